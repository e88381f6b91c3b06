"""The device library on CUDA tensors: examples/torch_cuda.cu through ctypes, on the current stream of the rows' GPU. Copied
are rows of 16 bits but for clip and siglip, and rows whose numbers lie apart; a number on the GPU (log_temperature) is read.

spheremix.torch takes a loss from here where a row lies on a GPU. The library is the package's own where it was built
(pip install -C cmake.define.SPHEREMIX_PYTHON_CUDA=ON), or the file that SPHEREMIX_CUDA_LIBRARY names (several: joined by
os.pathsep). Rows are float32, float16 and bfloat16 (computed in float32 but for clip and siglip); the gradient comes with
the value. No GPU has run this yet: tests/python/device_test.py runs it in the emulator.
"""
import ctypes
import math
import os
from pathlib import Path
from typing import Any

I64 = ctypes.c_int64


class Rows(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", I64)]


class Call(ctypes.Structure):
    """SpheremixCall of torch_cuda.cu, field for field."""
    _fields_ = [("rows", I64), ("cols", I64), ("other_rows", I64), ("ins", Rows * 6), ("outs", Rows * 6), ("real", ctypes.c_void_p * 2),
                ("index", ctypes.c_void_p * 3), ("option", ctypes.c_double * 8), ("number", ctypes.c_void_p * 8), ("count", ctypes.c_void_p * 2),
                ("scratch", ctypes.c_void_p), ("scratch_bytes", I64), ("needed", I64), ("stream", ctypes.c_void_p),
                ("type", ctypes.c_int32), ("exact", ctypes.c_int32), ("error", ctypes.c_char_p)]


class Libraries:
    """Functions by name, out of one library or several parts."""

    def __init__(self, paths):
        self.parts = [ctypes.CDLL(p) for p in paths]

    def function(self, name):
        for part in self.parts:
            f = getattr(part, "spheremix_" + name, None)
            if f:
                f.argtypes, f.restype = [ctypes.POINTER(Call)], ctypes.c_int
                return f
        return None


_ROWS = ["torch.float32", "torch.float16", "torch.bfloat16"]


def in_rows(t):
    """Whether a row's numbers lie next to each other and rows do not overlap."""
    return (t.shape[1] < 2 or t.stride(1) == 1) and (t.shape[0] < 2 or t.stride(0) >= t.shape[1])


class Prepared:
    """One call with its memory; self() enqueues it. ins, outs: matrices; real, index: float32 and int64 vectors; option: numbers."""

    def __init__(self, function, ins, outs=(), option=(), real=(), index=(), numbers=12, counts=2, other_rows=None, exact=False):
        import torch
        device = (list(ins) + list(real))[0].device
        for tensors, types in ((ins, _ROWS), (outs, ["torch.float32"]), (real, ["torch.float32"]), (index, ["torch.int64"])):
            for t in tensors:
                if str(t.dtype) not in types or t.device != device:
                    raise ValueError(f"a tensor of {t.dtype} on {t.device} where {' or '.join(types)} on {device} is needed")
                if tensors is ins and t.dtype != ins[0].dtype:
                    raise ValueError(f"rows of {t.dtype} beside rows of {ins[0].dtype}")
                if not t.is_contiguous() if t.dim() < 2 else not in_rows(t):
                    raise ValueError("a row's numbers are not next to each other, or rows overlap")
        self.function, self.torch, self.keep = function, torch, [*ins, *outs, *real, *index]
        self.number = torch.full((max(numbers, 12),), math.nan, dtype=torch.float64, device=device)
        self.count = torch.zeros(max(counts, 2), dtype=torch.int64, device=device)
        c = self.call = Call()
        c.rows, c.cols = ins[0].shape if ins else (real[0].numel(), 1)
        c.other_rows = other_rows if other_rows is not None else (ins[1].shape[0] if len(ins) > 1 else c.rows)
        for place, tensors in ((c.ins, ins), (c.outs, outs)):
            for k, t in enumerate(tensors):
                # PyTorch gives a dimension of size 1 any stride.
                place[k] = Rows(t.data_ptr(), 1 if t.dim() < 2 else t.stride(0) if t.shape[0] > 1 else max(1, t.shape[1]))
        for place, tensors in ((c.real, real), (c.index, index)):
            for k, t in enumerate(tensors):
                place[k] = t.data_ptr()
        for k, v in enumerate(option):
            c.option[k] = v
        for k in range(8):
            c.number[k] = self.number.data_ptr() + 8 * k
        for k in range(2):
            c.count[k] = self.count.data_ptr() + 8 * k
        c.type = {torch.float16: 1, torch.bfloat16: 2}.get(ins[0].dtype if ins else None, 0)
        c.exact = exact
        self()  # counts
        self.memory = torch.empty(c.needed + 512, dtype=torch.uint8, device=device)
        c.scratch, c.scratch_bytes = (self.memory.data_ptr() + 255) // 256 * 256, c.needed

    def __call__(self):
        if self.number.is_cuda:  # the tensors' GPU, which need not be the current one
            with self.torch.cuda.device(self.number.device):
                self.call.stream = self.torch.cuda.current_stream(self.number.device).cuda_stream
                code = self.function(ctypes.byref(self.call))
        else:
            code = self.function(ctypes.byref(self.call))
        if code:
            name = self.function.__name__.replace("spheremix_", "", 1)
            raise RuntimeError(f"{name}: {(self.call.error or b'').decode() or f'CUDA error {code}'}")
        return self


# ---- The losses of spheremix.torch ----

_TAU, _MIX_TAU = {"temperature": None}, {"mix_temperature": None}
_MIX = {**_TAU, "lambda_": None}
_HARD = {**_TAU, "beta": 1.0, "tau_plus": 0.1}
_CONSISTENCY = {"cross_weight": 1.0, "in_modal_weight": 1.0}

# For each loss: its options in the order of option[], with the defaults of the library (None: always given), and which
# number is the gradient of which argument.
LOSSES = {
    **{name: (_TAU, {"log_temperature": 1}) for name in ("clip", "info_nce", "nt_xent", "decoupled_contrastive", "sup_con")},
    "margin_nce": ({**_TAU, "margin": 0.2}, {"log_temperature": 1, "margin": 2}),
    "siglip": ({**_TAU, "bias": -10.0}, {"log_temperature": 1, "bias": 2}),
    "hard_negative": (_HARD, {"log_temperature": 1}),
    "hn_nce": ({**_HARD, "beta": 0.25, "tau_plus": 0.0}, {"log_temperature": 1}),
    "cyclip": ({**_TAU, "cross_weight": 0.25, "in_modal_weight": 0.25}, {"log_temperature": 1}),
    "geometric_consistency": (_CONSISTENCY, {}),
    "augmented_geometric_consistency": (_CONSISTENCY, {}),
    "brownian_bridge": ({"ratio": 0.25}, {}),
    "feature_separation": (_TAU, {"log_temperature": 1}),
    **{name: (_MIX, {"log_temperature": 1, "lambda_": 2}) for name in ("m2_mix", "v_mix", "l_mix", "vl_mix")},
    "clip_m2_mix": ({**_MIX, **_MIX_TAU}, {"log_temperature": 1, "lambda_": 2, "log_mix_temperature": 3}),
    "rank_n_contrast": ({"temperature": None, "similarity": "negative_distance"}, {"log_temperature": 1}),
    "barlow_twins": ({"off_diagonal_weight": 0.005, "epsilon": 1e-5}, {}),
    "vicreg": ({"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}, {}),
    "align_uniform": ({"alpha": 2.0, "t": 2.0, "align_weight": 1.0, "uniform_weight": 1.0}, {}),
    "triplet": ({"margin": 0.2}, {}),
    "triplet_of": ({"margin": 0.2}, {}),
    "sup_remix": ({**_TAU, "lambda_": None, "window": 1.0}, {"log_temperature": 1}),
    "mixup_cross_entropy": ({"lambda_": None}, {"lambda_": 1}),
    "decoupled_mixup": ({"lambda_": None}, {"lambda_": 1}),
    "alignment": ({"alpha": 2.0}, {}),
    "uniformity": ({"t": 2.0}, {}),
}
_INDEX = ("labels", "anchors", "positives", "negatives", "a", "b")
_SIMILARITIES = ("negative_distance", "cosine")
_libraries = None


def libraries(function: str) -> Libraries:
    """The device library, once; one sentence where there is none."""
    global _libraries
    if _libraries is None:
        named = os.environ.get("SPHEREMIX_CUDA_LIBRARY")
        paths = named.split(os.pathsep) if named else sorted(map(str, Path(__file__).parent.glob("libspheremix_cuda*")))
        if not paths:
            raise ValueError(
                f"{function}: its rows lie on a GPU and this package was built without the device library: build it where "
                "nvcc is, by pip install -C cmake.define.SPHEREMIX_PYTHON_CUDA=ON ./examples/python, or name one in "
                "SPHEREMIX_CUDA_LIBRARY (examples/torch_cuda.cu)"
            )
        _libraries = Libraries(paths)
    return _libraries


def loss(name: str, arguments: Any, values: Any, options: Any) -> Any:
    """The loss `name` of its arguments (names, values) and options, differentiable. Rows decide the device."""
    import torch

    if name not in LOSSES:
        raise ValueError(f"{name}: the device library has no such function for rows on a GPU: .cpu() them")
    function = libraries(name).function(name)
    if function is None:
        raise ValueError(f"{name}: the device library at hand does not hold it")
    order, numbers = LOSSES[name]
    for option in options:
        if option not in order:
            raise ValueError(f"{name}: {option} is not an option of the device library's function: .cpu() the rows")
    return _function(torch).apply(function, name, order, numbers, tuple(arguments), dict(options), *values)


def is_rows(name: str, argument: str) -> bool:
    """Whether this argument of the loss is a matrix of rows."""
    return argument not in _INDEX and argument != "lambda_" and not argument.startswith("log_") and argument not in LOSSES.get(name, ((),))[0]


def _scalar(value: Any) -> float:
    return float(value.item() if hasattr(value, "item") else value)


def _function(torch: Any) -> Any:
    class OnDevice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, function, name, order, numbers, arguments, options, *values):
            given = dict(zip(arguments, values))
            device = next(v for k, v in given.items() if is_rows(name, k)).device
            rows, index, real, settings = [], [], [], dict(options)
            for key, value in given.items():
                if key in _INDEX:
                    value = torch.as_tensor(value)
                    if value.is_floating_point() or value.is_complex():
                        raise ValueError(f"{name}: {key} are {value.dtype}; the device library takes integers")
                    needed = rows[0].shape[0] if name != "triplet_of" else index[0].numel() if index else value.numel()
                    if value.dim() != 1 or value.numel() != needed:
                        raise ValueError(f"{name}: {key} are {tuple(value.shape)} where ({needed},) is needed")
                    index.append(value.to(device=device, dtype=torch.int64).contiguous())
                elif key == "lambda_" and torch.as_tensor(value).dim() > 0:
                    if "lambda_" not in numbers:
                        raise ValueError(f"{name}: lambda is more than a number, which the device library does not take")
                    real.append(torch.as_tensor(value).detach().to(device=device, dtype=torch.float32).contiguous())
                    if real[-1].numel() != rows[0].shape[0]:
                        raise ValueError(f"{name}: lambda has {real[-1].numel()} elements where {rows[0].shape[0]} are needed")
                    settings[key] = 0.0
                elif key.startswith("log_"):
                    settings[key[4:]] = math.exp(_scalar(value))
                elif key in order:
                    settings[key] = _scalar(value)
                else:
                    if not isinstance(value, torch.Tensor) or value.dim() != 2:
                        raise ValueError(f"{name}: {key} is no matrix of PyTorch, whose rows the device library takes")
                    if value.device != device:
                        raise ValueError(f"{name}: {key} lies on {value.device}, the other rows on {device}")
                    if str(value.dtype) not in _ROWS:
                        raise ValueError(f"{name}: {key} is {value.dtype}; the device library takes float32, float16 and bfloat16")
                    if rows and value.shape != rows[0].shape:
                        raise ValueError(f"{name}: {key} is {tuple(value.shape)} where the other rows are {tuple(rows[0].shape)}")
                    rows.append(value.detach().resolve_neg())
            of_16_bits = name in ("clip", "siglip") and len({r.dtype for r in rows}) == 1 and rows[0].dtype in (torch.float16, torch.bfloat16)
            rows = [r if of_16_bits else r.float() for r in rows]
            rows = [r if in_rows(r) else r.contiguous() for r in rows]
            option = [settings.get(key, default) for key, default in order.items()]
            if "similarity" in order:
                place = list(order).index("similarity")
                if option[place] not in _SIMILARITIES:
                    raise ValueError(f'{name}: similarity is "{option[place]}", not one of {", ".join(_SIMILARITIES)}')
                option[place] = _SIMILARITIES.index(option[place])
            needs = ctx.needs_input_grad[6:]
            # Gradients come all together: any of them wants those of the rows.
            outs = [torch.empty(r.shape, dtype=torch.float32, device=device) for r in rows] if any(needs) else []
            more = {"other_rows": index[0].numel()} if name == "triplet_of" else {}
            # dL/dlambda is one a row where lambda is: it goes to number[2] and on.
            each = real[0].numel() if real else 0
            call = Prepared(function, rows, outs, option, real=real, index=index, numbers=12 + each, **more)
            if each:
                slot = numbers["lambda_"]
                apart = torch.empty(each, dtype=torch.float64, device=device)
                call.keep.append(apart)
                call.call.number[slot] = apart.data_ptr()
            call()
            saved, row = [], 0
            for key, value, need in zip(arguments, values, needs):
                row_here = is_rows(name, key)
                gradient = None
                if need and row_here:
                    gradient = outs[row].to(value.dtype)
                elif need and key in numbers:
                    gradient = apart if each and key == "lambda_" else call.number[numbers[key]]
                    gradient = gradient.to(device=value.device, dtype=value.dtype).reshape(value.shape)
                row += row_here
                saved.append(gradient)
            ctx.save_for_backward(*[g for g in saved if g is not None])
            ctx.there = [g is not None for g in saved]
            return call.number[0].to(next(v for k, v in given.items() if is_rows(name, k)).dtype)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, up):
            saved = iter(ctx.saved_tensors)
            scaled = [(g * up.to(g.device) if (g := (next(saved) if there else None)) is not None else None) for there in ctx.there]
            return (None, None, None, None, None, None, *scaled)

    return OnDevice
