"""Contrastive losses and their gradients: f(...) is a number, f_with_gradient(...) a record."""
from ._native.losses import *  # noqa: F401, F403
from ._records import (  # noqa: F401
    AugmentedConsistencyGradient,
    BrownianBridgeGradient,
    ClampedLogScale,
    ContrastiveGradient,
    FeatureSeparationGradient,
    LogitGradient,
    MarginNceGradient,
    MixedLabelGradient,
    MixGradient,
    MixLambdas,
    PairGradient,
    SiglipGradient,
    SupervisedGradient,
    TripletGradient,
    TwoTemperatureGradient,
)


def encode_in_chunks(n, chunk, forward):
    """Embeddings of n inputs, `chunk` at a time: rows [first, first + count) from forward(first, count).

    The first pass of grad_cache.
    """
    if n < 1 or chunk < 1:
        raise ValueError(f"encode_in_chunks: n is {n} and chunk {chunk}")
    import numpy

    all_rows = None
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        rows = numpy.asarray(forward(first, count))
        if rows.ndim != 2 or rows.shape[0] != count or (all_rows is not None and rows.shape[1] != all_rows.shape[1]):
            shape = " x ".join(map(str, rows.shape))
            raise ValueError(f"encode_in_chunks: forward gave {shape} for {count} inputs from {first}")
        if all_rows is None:
            all_rows = numpy.empty((n, rows.shape[1]), rows.dtype)
        all_rows[first : first + count] = rows
    return all_rows


def backward_in_chunks(gradient, chunk, backward):
    """backward(first, count, gradient of those rows) for every chunk."""
    if chunk < 1:
        raise ValueError(f"backward_in_chunks: chunk is {chunk}")
    for first in range(0, len(gradient), chunk):
        count = min(chunk, len(gradient) - first)
        backward(first, count, gradient[first : first + count])


def grad_cache(n, chunk, forward_x, forward_y, loss, backward_x, backward_y):
    """Large batches with little memory: a loss of two batches over chunked encoders.

    pass 1   for each chunk:  E[chunk] = forward(first, count)       nothing is kept but E
    loss     loss(X, Y): a record with fields x and y (any f_with_gradient of this module)
    pass 2   for each chunk:  backward(first, count, dL/dE[chunk])   forward again, then backprop

    The gradient of the parameters is that of the full batch. Returns the record; the encoders have their gradients.
    Source: Gao et al. 2021, arXiv 2101.06983.
    """
    x = encode_in_chunks(n, chunk, forward_x)
    y = encode_in_chunks(n, chunk, forward_y)
    result = loss(x, y)
    backward_in_chunks(result.x, chunk, backward_x)
    backward_in_chunks(result.y, chunk, backward_y)
    return result
