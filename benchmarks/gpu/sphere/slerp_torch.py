"""Rivals of slerp_rows and its vjp on one GPU: PyTorch eager and torch.compile, N = 65536, D = 512, f32, forward and backward.
Before timing, both are compared with the library's results that rows.cu left in $SPHEREMIX_SAMPLES. Median of 30 by CUDA events, L2
flushed, inputs rotated. Prints one JSON object a line."""
import json
import os
import statistics
import sys

import torch


def slerp(u, v, t):
    """The midpoint frame in PyTorch: the accurate form, so that results can be compared."""
    d, s = v - u, u + v
    theta = 2 * torch.atan2(d.norm(dim=1, keepdim=True), s.norm(dim=1, keepdim=True))
    sine = torch.sin(theta)
    return torch.sin((1 - t) * theta) / sine * u + torch.sin(t * theta) / sine * v


def slerp_acos(u, v, t):
    """The form most code uses."""
    theta = torch.acos((u * v).sum(1, keepdim=True).clamp(-1 + 1e-7, 1 - 1e-7))
    sine = torch.sin(theta)
    return torch.sin((1 - t) * theta) / sine * u + torch.sin(t * theta) / sine * v


def tangent(x, g):
    return g - (x * g).sum(1, keepdim=True) * x


def check(f, name):
    folder = os.environ.get("SPHEREMIX_SAMPLES")
    path = folder and os.path.join(folder, "slerp.f32")
    if not path or not os.path.exists(path):
        print(json.dumps({"case": name + " against the library", "skipped": "no samples"}))
        return
    numbers = torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.float32).cuda()
    u, v, g, m, du, dv = (x.view(64, 512) for x in numbers[: 6 * 64 * 512].split(64 * 512))
    dt = numbers[6 * 64 * 512 :]
    a, b = u.clone().requires_grad_(), v.clone().requires_grad_()
    t = torch.full((64, 1), 0.3, device="cuda", requires_grad=True)
    out = f(a, b, t)
    out.backward(g)
    off = lambda x, y: float((x - y).norm() / y.norm())
    errors = {"m": off(out, m), "du": off(tangent(u, a.grad), du), "dv": off(tangent(v, b.grad), dv), "dt": off(t.grad.view(-1), dt)}
    print(json.dumps({"case": name + " against the library", "relative_difference": errors}), flush=True)
    if max(errors.values()) > 1e-4:
        sys.exit(name + " disagrees with the library")


def measure(name, f, n, d, repeats=30):
    sets = []
    for seed in range(3):
        torch.manual_seed(seed)
        rows = [torch.nn.functional.normalize(torch.randn(n, d, device="cuda")) for _ in range(3)]
        sets.append((rows[0].requires_grad_(), rows[1].requires_grad_(), rows[2]))
    flush = torch.empty(4 * getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 64 << 20), dtype=torch.uint8, device="cuda")
    times = []
    for round in range(-5, repeats):
        u, v, g = sets[round % 3]
        u.grad = v.grad = None
        flush.fill_(round & 0xFF)
        start, stop = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        f(u, v, 0.3).backward(g)
        stop.record()
        stop.synchronize()
        if round >= 0:
            times.append(start.elapsed_time(stop) * 1e3)
    print(json.dumps({"case": name, "type": "f32", "n": n, "d": d, "us": statistics.median(times), "us_least": min(times),
                      "us_most": max(times)}), flush=True)


check(slerp, "torch eager slerp")
check(slerp_acos, "torch eager slerp by acos")
for n in (65536, 1024):
    measure("torch eager slerp + backward", slerp, n, 512)
    measure("torch eager slerp by acos + backward", slerp_acos, n, 512)
    torch._dynamo.reset()
    measure("torch.compile slerp + backward", torch.compile(slerp), n, 512)
    torch._dynamo.reset()
    measure("torch.compile slerp by acos + backward", torch.compile(slerp_acos), n, 512)
