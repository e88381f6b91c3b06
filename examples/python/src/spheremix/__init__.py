"""spheremix: embeddings on the unit hypersphere. The C++ library, called from Python.

    import spheremix as sx
    g = sx.losses.clip_with_gradient(x, y, temperature=0.05)   # g.loss, g.x, g.y, g.log_temperature
    sx.metrics.uniformity(x)
    sx.metrics.retrieval(x, y, k=[1, 10]).recall
    sx.sphere.slerp_rows(u, v, 0.3)

Names, options and errors are the C++ ones; lambda is lambda_. `spheremix.torch` has the losses as functions of tensors
that autograd goes through.
"""
from . import _records as _records
from . import core, io, losses, metrics, mixup, sphere
from ._analyze import analyze
from ._native import __version__, set_threads, threads

__all__ = ["analyze", "core", "io", "losses", "metrics", "mixup", "set_threads", "sphere", "threads", "__version__"]
