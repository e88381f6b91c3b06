#!/usr/bin/env python3
"""The library on PyTorch's CUDA tensors, without a copy: examples/torch_cuda.cu through ctypes.

    nvcc -std=c++20 -O3 -arch=sm_90 --shared -Xcompiler -fPIC -Iinclude examples/torch_cuda.cu -o libspheremix_cuda.so
    python3 examples/torch_cuda.py libspheremix_cuda.so        trains two heads for 50 steps; without a GPU: "skipped: no GPU"

    clip = Loss.of(Libraries(["libspheremix_cuda.so"]), "clip")
    clip(x, y, option=[0.07]).backward()

Rows are float32, unit where the loss wants it; each tensor's rows may be apart (stride). The gradient comes with the value, in
one go. Every function and its options: examples/torch_cuda.cu. tests/gpu/torch_harness.py holds them against float64 PyTorch."""
import ctypes
import math
import os
import sys

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


class Prepared:
    """One call with its memory; self() enqueues it. ins, outs: matrices; real, index: float32 and int64 vectors; option: numbers."""

    def __init__(self, function, ins, outs=(), option=(), real=(), index=(), numbers=12, counts=2, other_rows=None, exact=False):
        import torch
        device = (list(ins) + list(real))[0].device
        self.function, self.torch, self.keep = function, torch, [*ins, *outs, *real, *index]
        self.number = torch.full((max(numbers, 12),), math.nan, dtype=torch.float64, device=device)
        self.count = torch.zeros(max(counts, 2), dtype=torch.int64, device=device)
        c = self.call = Call()
        c.rows, c.cols = ins[0].shape if ins else (real[0].numel(), 1)
        c.other_rows = other_rows if other_rows is not None else (ins[1].shape[0] if len(ins) > 1 else c.rows)
        for place, tensors in ((c.ins, ins), (c.outs, outs)):
            for k, t in enumerate(tensors):
                if t.stride(-1) != 1:
                    raise ValueError("a row's numbers are not next to each other")
                place[k] = Rows(t.data_ptr(), t.stride(0) if t.dim() == 2 else 1)
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
        if self.number.is_cuda:
            self.call.stream = self.torch.cuda.current_stream().cuda_stream
        if self.function(ctypes.byref(self.call)):
            raise RuntimeError((self.call.error or b"").decode())
        return self


class Loss:
    """A loss as a function of tensors; gradients reach `rows` alone."""

    @staticmethod
    def of(libraries, name):
        import torch
        function = libraries.function(name)

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(context, option, index, *rows):
                rows = [t.detach().float() for t in rows]
                outs = [torch.empty(t.shape, device=t.device) for t in rows] if any(context.needs_input_grad[2:]) else []
                call = Prepared(function, rows, outs, option, index=index)()
                context.save_for_backward(*outs)
                return call.number[0].float()

            @staticmethod
            def backward(context, cotangent):
                return None, None, *(cotangent * g for g in context.saved_tensors)

        return lambda *rows, option=(), index=(): Function.apply(option, index, *rows)


def main():
    try:
        import torch
    except ImportError:
        return print("skipped: no PyTorch")
    libraries = Libraries(sys.argv[1:])
    if not torch.cuda.is_available() and not os.environ.get("SPHEREMIX_EMULATED"):
        return print("skipped: no GPU")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(1)
    unit, clip = torch.nn.functional.normalize, Loss.of(libraries, "clip")
    latent = torch.randn(96, 8, device=device)
    views = [latent @ torch.randn(8, 24, device=device) + 0.3 * torch.randn(96, 24, device=device) for _ in range(2)]
    heads = [torch.nn.Linear(24, 16, device=device) for _ in range(2)]
    adam = torch.optim.Adam([p for h in heads for p in h.parameters()], lr=0.02)
    for step in range(50):
        loss = clip(*(unit(h(v), dim=1) for h, v in zip(heads, views)), option=[0.1])
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step % 10 == 0 or step == 49:
            print(f"step {step}: loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
