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
    MatryoshkaGradient,
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


def grad_cache(n, chunk, forward_x, *rest):
    """Large batches with little memory: a loss of two batches over chunked encoders.

    grad_cache(n, chunk, forward_x, forward_y, loss(X, Y), backward_x, backward_y)   two encoders
    grad_cache(n, chunk, forward, loss(X), backward)                                 one
    grad_cache(n, chunk, forward, fixed, loss(X, fixed), backward)                   and labels, or frozen rows

    pass 1   for each chunk:  E[chunk] = forward(first, count)       nothing is kept but E
    loss     loss(X, Y): a record with fields x and y (any f_with_gradient of this module)
    pass 2   for each chunk:  backward(first, count, dL/dE[chunk])   forward again, then backprop

    The gradient of the parameters is that of the full batch. Returns the record; the encoders have their gradients.
    Source: Gao et al. 2021, arXiv 2101.06983.
    """
    if len(rest) not in (2, 3, 4):
        raise TypeError(f"grad_cache: {3 + len(rest)} arguments where 5, 6 or 7 are needed")
    x = encode_in_chunks(n, chunk, forward_x)
    if len(rest) < 4:
        *fixed, loss, backward = rest
        result = loss(x, *fixed)
        backward_in_chunks(result.x, chunk, backward)
        return result
    forward_y, loss, backward_x, backward_y = rest
    y = encode_in_chunks(n, chunk, forward_y)
    result = loss(x, y)
    backward_in_chunks(result.x, chunk, backward_x)
    backward_in_chunks(result.y, chunk, backward_y)
    return result


def _weighted(function, widths, weights, d):
    """Each width of rows of d numbers with its weight."""
    weights = [1.0] * len(widths) if weights is None else list(weights)
    if not widths or len(weights) != len(widths) or not all(0 <= w < float("inf") for w in weights):
        raise ValueError(f"{function}: {len(widths)} widths and {len(weights)} weights, which are finite and >= 0")
    if len(set(widths)) != len(widths):
        raise ValueError(f"{function}: widths {list(widths)}, of which one is there twice")
    for width in widths:
        if not 1 <= width <= d:
            raise ValueError(f"{function}: a width is {width}, outside [1, {d}]")
    return list(zip(widths, weights))


def _widths(function, x, y, widths, weights):
    """Each width, its weight and the first columns of the batches, normalised; then their normalisation's way back."""
    import numpy

    from . import sphere

    batches = [numpy.asarray(b) for b in (x, y) if b is not None]
    for width, weight in _weighted(function, widths, weights, batches[0].shape[1]):
        parts = [b[:, :width] for b in batches]

        def back(gradients, parts=parts):
            return [sphere.normalize_rows_vjp(p, g) for p, g in zip(parts, gradients)]

        yield width, weight, [sphere.normalize_rows(p) for p in parts], back


def matryoshka(x, y, loss, *, widths, weights=None):
    """One loss over several widths of the same embeddings: sum_k w_k loss(n(X_k), n(Y_k)).

    X_k is the first widths[k] columns of X and n normalises rows, so rows of any length may come in. y may be None:
    loss(n(X_k)). Source: Kusupati et al. 2022, arXiv 2205.13147.

    widths: column counts in [1, d], each once
    weights: one a width; None: all 1
    """
    return sum(w * loss(*rows) for _, w, rows, _ in _widths("matryoshka", x, y, widths, weights))


def matryoshka_with_gradient(x, y, loss, *, widths, weights=None):
    """matryoshka with the gradients of all widths added up; loss returns a record (any f_with_gradient of this module)."""
    import numpy

    sides = 1 if y is None else 2
    total, slope, losses = 0.0, 0.0, []
    gradients = [numpy.zeros_like(numpy.asarray(b)) for b in (x, y)[:sides]]
    for width, weight, rows, back in _widths("matryoshka_with_gradient", x, y, widths, weights):
        g = loss(*rows)
        total += weight * g.loss
        slope += weight * getattr(g, "log_temperature", 0.0)
        losses.append(g.loss)
        for into, part in zip(gradients, back([g.x, g.y] if sides == 2 else [g.x])):
            into[:, :width] += weight * part
    return MatryoshkaGradient(total, gradients[0], gradients[1] if sides == 2 else None, slope, losses)
