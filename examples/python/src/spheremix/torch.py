"""The losses as functions of PyTorch tensors, with the library's closed-form gradients.

    import spheremix.torch as st
    loss = st.clip(x, y, log_temperature)      # ln(tau): a tensor or a number
    loss.backward()

    x, y, ...         CPU tensors, float32 or float64, any strides, with or without requires_grad; float16 and bfloat16
                      are computed in float32 and their gradients rounded back
    log_temperature   ln(tau), a tensor of one element (it gets dL/d ln(tau)) or a number. open_clip's logit_scale
                      before its exponential is -log_temperature.
    options           those of spheremix.losses, as keywords; temperature is not one of them

The result is a tensor of no dimensions and the type of the rows. Gradients are first ones: twice differentiable they
are not. Rows on a GPU: losses go to the device library where it was built (_device.py: which options it takes), all
rows of a call on one GPU, float32, float16 or bfloat16; maps of rows and the losses that it lacks are refused.
"""
import functools
import math
from typing import Any, Sequence

import torch as _torch

from . import _device
from . import losses as _losses
from . import metrics as _metrics
from . import mixup as _mixup
from . import sphere as _sphere

__all__ = []


def _plain(function: str, name: str, value: Any) -> Any:
    """A tensor as a NumPy array on the same memory; everything else as it is."""
    if not isinstance(value, _torch.Tensor):
        return value
    if value.device.type != "cpu":
        raise ValueError(
            f"{function}: {name} lies on {value.device}: this function of spheremix.torch computes on the CPU"
        )
    value = value.detach()
    if value.dtype == _torch.bfloat16:
        value = value.float()
    if value.is_neg() or value.is_conj():
        value = value.resolve_conj().resolve_neg()
    return value.numpy()


def _like(gradient: Any, tensor: _torch.Tensor) -> _torch.Tensor:
    """A gradient as the tensor that it belongs to: type and shape."""
    if not isinstance(gradient, float):
        gradient = _torch.from_numpy(gradient)
        return gradient.to(tensor.dtype).reshape(tensor.shape)
    return _torch.full(tensor.shape, gradient, dtype=tensor.dtype)


class _Loss(_torch.autograd.Function):
    """value(*plain arguments) or, where a gradient is asked for, gradient(...) -> (loss, gradients of each argument)."""

    @staticmethod
    def forward(ctx, names, value, gradient, *arguments):  # type: ignore[override]
        function = value.__name__
        plain = [_plain(function, name, a) for name, a in zip(names, arguments)]
        first = next(a for a in arguments if isinstance(a, _torch.Tensor))
        if not any(ctx.needs_input_grad):
            return _torch.tensor(value(*plain), dtype=first.dtype)
        loss, gradients = gradient(*plain)
        wanted = [
            _like(g, a) if needed and g is not None else None
            for g, a, needed in zip(gradients, arguments, ctx.needs_input_grad[3:])
        ]
        ctx.save_for_backward(*[g for g in wanted if g is not None])
        ctx.places = [g is not None for g in wanted]
        return _torch.tensor(loss, dtype=first.dtype)

    @staticmethod
    @_torch.autograd.function.once_differentiable
    def backward(ctx, up):  # type: ignore[override]
        saved = iter(ctx.saved_tensors)
        scaled = [(next(saved) * up if there else None) for there in ctx.places]
        return (None, None, None, *scaled)


def _number(value: Any) -> float:
    """A number, or an array of one element."""
    return float(value.item() if hasattr(value, "item") else value)


def _temperature(log_temperature: Any) -> float:
    return math.exp(_number(log_temperature))


def _public(function):
    __all__.append(function.__name__)
    return function


def _define(name: str, arguments: Sequence[str], fields: Sequence[str], module: Any = _losses, keywords: Any = ()) -> None:
    """A function `name` of the arguments: those of the C++ loss, then the ones that are options there (keywords).

    fields: for each argument the record's field with its gradient, or "" where it has none.
    """
    plain = getattr(module, name)
    with_gradient = getattr(module, name + "_with_gradient")
    keywords = dict(keywords)
    positional = len(arguments) - len(keywords)

    def call(function, options, values):
        given = {option: turn(v) for (option, turn), v in zip(keywords.values(), values[positional:])}
        return function(*values[:positional], **given, **options)

    def loss(*tensors: Any, **options: Any) -> _torch.Tensor:
        if "temperature" in options and "log_temperature" in arguments:
            raise TypeError(f"{name}: a temperature is given by its logarithm here: log_temperature=math.log({options['temperature']})")
        if len(tensors) < len(arguments):  # by keyword, or left to the default
            tensors = tensors + tuple(options.pop(a) for a in arguments[len(tensors) :] if a in options)
        if len(tensors) != len(arguments):
            raise TypeError(f"{name}: {len(tensors)} arguments where {', '.join(arguments)} are needed")
        if not any(isinstance(t, _torch.Tensor) for t in tensors):
            raise TypeError(f"{name}: no tensor among the arguments: spheremix.{module.__name__.split('.')[-1]}.{name} is for arrays")

        if any(isinstance(t, _torch.Tensor) and t.is_cuda and t.dim() > 1 for a, t in zip(arguments, tensors) if _device.is_rows(name, a)):
            return _device.loss(name, arguments, tensors, options)

        def value(*values):
            return call(plain, options, values)

        def gradient(*values):
            record = call(with_gradient, options, values)
            return record[0], [getattr(record, f) if f else None for f in fields]

        value.__name__ = name
        return _Loss.apply(tuple(arguments), value, gradient, *tensors)

    loss.__name__ = loss.__qualname__ = name
    listed = ", ".join(arguments)
    loss.__doc__ = f"{name}({listed}, **options) -> tensor\n\n{(plain.__doc__ or '').split(chr(10), 2)[-1]}"
    globals()[name] = _public(loss)


_log_tau = {"log_temperature": ("temperature", _temperature)}
_log_mix = {"log_mix_temperature": ("mix_temperature", _temperature)}
_pair = ["x", "y"]

for _name in ("info_nce", "info_nce_bf16", "clip", "clip_bf16", "nt_xent", "decoupled_contrastive", "hard_negative", "hn_nce", "cyclip"):
    _define(_name, [*_pair, "log_temperature"], [*_pair, "log_temperature"], keywords=_log_tau)
_define("margin_nce", [*_pair, "log_temperature", "margin"], [*_pair, "log_temperature", "margin"],
        keywords={**_log_tau, "margin": ("margin", _number)})
_define("siglip", [*_pair, "log_temperature", "bias"], [*_pair, "log_temperature", "bias"],
        keywords={**_log_tau, "bias": ("bias", _number)})
for _name in ("geometric_consistency", "align_uniform", "vicreg", "barlow_twins"):
    _define(_name, _pair, _pair)
for _name in ("m2_mix", "v_mix", "l_mix", "vl_mix"):
    _define(_name, [*_pair, "lambda_", "log_temperature"], [*_pair, "lambda_", "log_temperature"], keywords=_log_tau)
_define("clip_m2_mix", [*_pair, "lambda_", "log_temperature", "log_mix_temperature"],
        [*_pair, "lambda_", "log_temperature", "log_mix_temperature"], keywords={**_log_tau, **_log_mix})
_define("brownian_bridge", ["augmented", *_pair], ["augmented", *_pair])
_four = [*_pair, "x_augmented", "y_augmented"]
_define("augmented_geometric_consistency", _four, _four)
_six = [*_pair, "x_independent", "y_independent", "x_augmented", "y_augmented", "log_temperature"]
_define("feature_separation", _six, _six, keywords=_log_tau)
_define("sup_con", ["x", "labels", "log_temperature"], ["x", "", "log_temperature"], keywords=_log_tau)
_define("rank_n_contrast", ["x", "labels", "log_temperature"], ["x", "", "log_temperature"], keywords=_log_tau)
_define("sup_remix", ["x", "labels", "lambda_", "log_temperature"], ["x", "", "", "log_temperature"], keywords=_log_tau)
_define("triplet", ["x", "labels"], ["x", ""])
_define("triplet_of", ["x", "anchors", "positives", "negatives"], ["x", "", "", ""])
for _name in ("mixup_cross_entropy", "decoupled_mixup"):
    _define(_name, ["logits", "a", "b", "lambda_"], ["logits", "", "", "lambda_"])
    _define(_name + "_k", ["logits", "labels", "weights"], ["logits", "", ""])
_define("alignment", _pair, _pair, _metrics)
_define("uniformity", ["x"], ["x"], _metrics)
_define("modality_gap", _pair, _pair, _metrics)


@_public
def m3_mix(x: Any, y: Any, lambdas: Any, log_temperature: Any, log_mix_temperature: Any, **options: Any) -> _torch.Tensor:
    """m3_mix(x, y, lambdas, log_temperature, log_mix_temperature, **options) -> tensor; lambdas: a MixLambdas, or four."""
    names = ("x", "y", "lambda_.m2", "lambda_.v", "lambda_.l", "lambda_.vl", "log_temperature", "log_mix_temperature")

    def call(function, values):
        weights = _losses.MixLambdas(*values[2:6])
        taus = {"temperature": _temperature(values[6]), "mix_temperature": _temperature(values[7])}
        return function(values[0], values[1], weights, **taus, **options)

    def value(*values):
        return call(_losses.m3_mix, values)

    def gradient(*values):
        r = call(_losses.m3_mix_with_gradient, values)
        return r.loss, [r.x, r.y, *r.lambda_, r.log_temperature, r.log_mix_temperature]

    value.__name__ = "m3_mix"
    return _Loss.apply(names, value, gradient, x, y, *lambdas, log_temperature, log_mix_temperature)


# ---- Maps of rows ----


class _Rows(_torch.autograd.Function):
    """map(*plain) -> array; vjp(*plain, g) -> gradients of each argument."""

    @staticmethod
    def forward(ctx, names, function, vjp, *arguments):  # type: ignore[override]
        ctx.names, ctx.vjp = (function.__name__, *names), vjp
        # Saved as torch wants it: rows that are changed in place before the backward pass are an error, not other gradients.
        ctx.save_for_backward(*[a for a in arguments if isinstance(a, _torch.Tensor)])
        ctx.others = [None if isinstance(a, _torch.Tensor) else a for a in arguments]
        first = next(a for a in arguments if isinstance(a, _torch.Tensor))
        return _torch.from_numpy(function(*_Rows.plain(ctx, arguments))).to(first.dtype)

    @staticmethod
    def plain(ctx, arguments):
        return [_plain(ctx.names[0], name, a) for name, a in zip(ctx.names[1:], arguments)]

    @staticmethod
    @_torch.autograd.function.once_differentiable
    def backward(ctx, up):  # type: ignore[override]
        saved = iter(ctx.saved_tensors)
        arguments = [next(saved) if other is None else other for other in ctx.others]
        gradients = ctx.vjp(*_Rows.plain(ctx, arguments), _plain("backward", "gradient", up))
        wanted = [
            _like(g, a) if needed and isinstance(a, _torch.Tensor) else None
            for g, a, needed in zip(gradients, arguments, ctx.needs_input_grad[3:])
        ]
        return (None, None, None, *wanted)


@_public
def normalize_rows(x: _torch.Tensor, *, zero: str = "error") -> _torch.Tensor:
    """Every row over its length; zero="zero" lets zero rows be."""

    def pull(a, g):
        return (_sphere.normalize_rows_vjp(a, g, zero=zero),)

    return _Rows.apply(("x",), functools.wraps(_sphere.normalize_rows)(lambda a: _sphere.normalize_rows(a, zero=zero)), pull, x)


@_public
def slerp_rows(u: _torch.Tensor, v: _torch.Tensor, t: Any) -> _torch.Tensor:
    """Row i: the point a fraction t (a number, or one a row) of the way from u_i to v_i. Gradients are tangent."""
    return _Rows.apply(("u", "v", "t"), _sphere.slerp_rows, _sphere.slerp_rows_vjp, u, v, t)


@_public
def geodesic_distance_rows(u: _torch.Tensor, v: _torch.Tensor) -> _torch.Tensor:
    """Entry i: the angle between u_i and v_i. Gradients are tangent."""
    return _Rows.apply(("u", "v"), _sphere.geodesic_distance_rows, _sphere.geodesic_distance_rows_vjp, u, v)


@_public
def geodesic(x: _torch.Tensor, y: _torch.Tensor, lambda_: Any) -> _torch.Tensor:
    """Geodesic mixup, weight lambda_ on x. Gradients are tangent."""
    return _Rows.apply(("x", "y", "lambda_"), _mixup.geodesic, _mixup.geodesic_vjp, x, y, lambda_)


@_public
def linear(x: _torch.Tensor, y: _torch.Tensor, lambda_: Any) -> _torch.Tensor:
    """Linear mixup, weight lambda_ on x."""
    return _Rows.apply(("x", "y", "lambda_"), _mixup.linear, _mixup.linear_vjp, x, y, lambda_)


@_public
def matryoshka(x: _torch.Tensor, y: Any, loss: Any, *, widths: Sequence[int], weights: Any = None) -> _torch.Tensor:
    """One loss over several widths of the same embeddings: sum_k w_k loss(n(x_k), n(y_k)), y may be None: loss(n(x_k)).

    x_k is the first widths[k] columns of x, n normalises rows; loss is a function of tensors, any of this module.
    """
    weighted = _losses._weighted("matryoshka", widths, weights, x.shape[1])
    batches = [x] if y is None else [x, y]
    return sum(w * loss(*(normalize_rows(b[:, :k]) for b in batches)) for k, w in weighted)
