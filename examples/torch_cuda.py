#!/usr/bin/env python3
"""The library on PyTorch's CUDA tensors, without a copy: examples/torch_cuda.cu through ctypes.

    nvcc -std=c++20 -O3 -arch=sm_90 --shared -Xcompiler -fPIC -Iinclude examples/torch_cuda.cu -o libspheremix_cuda.so
    python3 examples/torch_cuda.py libspheremix_cuda.so        trains two heads for 50 steps; without a GPU: "skipped: no GPU"

    clip = Loss.of(Libraries(["libspheremix_cuda.so"]), "clip")
    clip(x, y, option=[0.07]).backward()

Rows are float32, unit where the loss wants it; each tensor's rows may be apart (stride). The gradient comes with the value, in
one go. Every function and its options: examples/torch_cuda.cu. tests/gpu/torch_harness.py holds them against float64 PyTorch."""
import importlib.util
import os
import sys
from pathlib import Path

# The call and its memory are the Python package's, taken as a file: of the package nothing else is needed.
_spec = importlib.util.spec_from_file_location("spheremix_device", Path(__file__).parent / "python/src/spheremix/_device.py")
_device = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_device)
Call, Libraries, Prepared, Rows = _device.Call, _device.Libraries, _device.Prepared, _device.Rows


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
