"""Rivals of the CLIP loss on one GPU: PyTorch with OpenCLIP's formula under autocast bf16, eager, from a CUDA graph, and compiled.
Forward + backward, median of 30 by CUDA events, peak memory over the inputs. Before timing, one line a size compares the formula in
f32, and what is timed, with the library's gradients that losses_bench left in $SPHEREMIX_SAMPLES. One JSON object a line.
    python3 torch_rivals.py [N ...]"""
import json
import os
import statistics
import sys

import torch
import torch.nn.functional as F

D = 512


def clip(x, y, scale):
    logits = scale * x @ y.T
    logits_t = scale * y @ x.T
    labels = torch.arange(x.shape[0], device=x.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits_t, labels)) / 2


def gradients(f, x, y, scale, autocast=True):
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        loss = f(x, y, scale)
    return torch.autograd.grad(loss, (x, y, scale))


def inputs(n):
    """(x, y, the library's dX and dY or None)."""
    folder = os.environ.get("SPHEREMIX_SAMPLES")
    path = folder and os.path.join(folder, f"clip_{n}.f32")
    if path and os.path.exists(path):
        parts = torch.from_file(path, size=4 * n * D, dtype=torch.float32).view(4, n, D).cuda()
        return parts[0].clone().requires_grad_(), parts[1].clone().requires_grad_(), parts[2:]
    unit = lambda: F.normalize(torch.randn(n, D, device="cuda"), dim=1).requires_grad_()
    return unit(), unit(), None


def graph_of(step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(name, n, make, repeats=30):
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    base = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    try:
        step = make()
        for _ in range(3):
            step()
        times = []
        for _ in range(repeats):
            a, b = torch.cuda.Event(True), torch.cuda.Event(True)
            a.record()
            step()
            b.record()
            b.synchronize()
            times.append(a.elapsed_time(b))
        line = {"ms": statistics.median(times), "min": min(times), "max": max(times),
                "extra_MiB": (torch.cuda.max_memory_allocated() - base) / 2**20}
    except Exception as error:
        line = {"error": str(error)[:200]}
    print(json.dumps({"case": name, "n": n, "d": D, **line}), flush=True)


def compare(name, n, got, want, most):
    off = {k: float((g.float() - w).norm() / w.norm()) for k, g, w in zip(("dx", "dy"), got, want)}
    print(json.dumps({"case": name, "n": n, "relative_difference": off}), flush=True)
    return all(v <= most for v in off.values())


def main():
    sizes = [int(a) for a in sys.argv[1:]] or [4096, 32768]
    print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__}), flush=True)
    same = True
    for n in sizes:
        x, y, want = inputs(n)
        scale = torch.tensor(100.0, device="cuda", requires_grad=True)
        if want is None:
            print(json.dumps({"case": "against the library", "n": n, "skipped": "no samples"}), flush=True)
        else:
            same = compare("f32", n, gradients(clip, x, y, scale, False), want, 5e-3) and same
            same = compare("eager autocast bf16", n, gradients(clip, x, y, scale), want, 0.2) and same
            del want
        eager = lambda: gradients(clip, x, y, scale)
        measure("eager autocast bf16", n, lambda: eager)
        measure("eager autocast bf16 from a graph", n, lambda: graph_of(eager))
        compiled = torch.compile(clip, dynamic=False)
        measure("compile autocast bf16", n, lambda: lambda: gradients(compiled, x, y, scale))
        torch._dynamo.reset()
    if not same:
        sys.exit("error: PyTorch's gradients are not the library's")


if __name__ == "__main__":
    main()
