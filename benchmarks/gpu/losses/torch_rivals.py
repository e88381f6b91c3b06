"""Rivals of the CLIP loss on one GPU: eager PyTorch with OpenCLIP's formula, and torch.compile. Forward + backward, median of 30 by
CUDA events, peak memory over the inputs. Prints one JSON object a line.   python3 torch_rivals.py [N ...]"""
import json, sys, statistics, torch
import torch.nn.functional as F


def clip(x, y, scale):
    logits = scale * x @ y.T
    logits_t = scale * y @ x.T
    labels = torch.arange(x.shape[0], device=x.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits_t, labels)) / 2


def measure(name, n, d, step, repeats=30):
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    try:
        for _ in range(3):
            step()
        torch.cuda.synchronize()
        base = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        times = []
        for _ in range(repeats):
            a, b = torch.cuda.Event(True), torch.cuda.Event(True)
            a.record()
            step()
            b.record()
            b.synchronize()
            times.append(a.elapsed_time(b))
        print(json.dumps({"case": name, "n": n, "d": d, "ms": statistics.median(times), "min": min(times), "max": max(times),
                          "extra_MiB": (torch.cuda.max_memory_allocated() - base) / 2**20}), flush=True)
    except Exception as error:
        print(json.dumps({"case": name, "n": n, "d": d, "error": str(error)[:200]}), flush=True)


def main():
    sizes = [int(a) for a in sys.argv[1:]] or [1024, 4096, 32768]
    print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__}))
    d = 512
    for n in sizes:
        x = F.normalize(torch.randn(n, d, device="cuda"), dim=1).requires_grad_()
        y = F.normalize(torch.randn(n, d, device="cuda"), dim=1).requires_grad_()
        scale = torch.tensor(100.0, device="cuda", requires_grad=True)

        def step(f, autocast):
            def run():
                x.grad = y.grad = scale.grad = None
                with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
                    loss = f(x, y, scale)
                loss.backward()
            return run

        torch.backends.cuda.matmul.allow_tf32 = False
        measure("eager f32", n, d, step(clip, False), 30 if n < 30000 else 10)
        torch.backends.cuda.matmul.allow_tf32 = True
        measure("eager tf32", n, d, step(clip, False))
        measure("eager autocast bf16", n, d, step(clip, True))
        compiled = torch.compile(clip)
        measure("compile tf32", n, d, step(compiled, False))
        measure("compile autocast bf16", n, d, step(compiled, True))
        torch._dynamo.reset()


main()
