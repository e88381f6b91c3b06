#!/usr/bin/env python3
"""The figures of spheremix-analyze as one would write them with PyTorch: whole N x N tables, one statement each.

    python3 benchmarks/versus/analyze_torch.py IMAGE.npy TEXT.npy OUT.json [THREADS]

Without intervals, without a report. Writes the figures, the seconds from opening the files to the last figure, and the
memory of the process before. Needs torch and numpy. benchmarks/analyze.py runs it and compares the figures."""
import json
import resource
import sys
import time

import numpy as np
import torch

TAU = 0.07
TEMPERATURES = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.5, 1)
LAMBDAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CURVE_ROWS = 2048
figures = {}


def put(scope, **values):
    for key, value in values.items():
        figures[f"{scope}.{key}"] = float(value)


def skewness(count):
    e = count.double() - count.double().mean()
    return (e**3).mean() / (e**2).mean() ** 1.5


def entropy_rank(sigma, eps=0.0):
    p = sigma / sigma.sum() + eps
    p = p[p > 0]
    return torch.exp(-(p * p.log()).sum())


def iso_score(sigma):
    d = len(sigma)
    v = sigma.double() ** 2
    v = d**0.5 * v / v.norm()
    delta = (v - 1).norm() / (2 * (d - d**0.5)) ** 0.5
    phi = (d - delta**2 * (d - d**0.5)) ** 2 / d**2
    return (d * phi - 1) / (d - 1)


def hubs(scope, top, n, asking):
    count = torch.bincount(top.flatten(), minlength=n)
    put(scope, hubness=skewness(count), top_hub=count.max() / asking)


def modality(name, x):
    n, d = x.shape
    norms = x.norm(dim=1)
    put(name, not_finite=(~torch.isfinite(x).all(1)).sum(), zero=(norms == 0).sum(), norm_mean=norms.mean(),
        duplicates=n - len({row.tobytes() for row in x.numpy()}), constant_columns=(x.min(0).values == x.max(0).values).sum(),
        norm_spread=(norms.quantile(0.95) - norms.quantile(0.05)) / norms.median())
    u = x / norms[:, None]
    m = u.mean(0)
    s = u @ u.T
    s.fill_diagonal_(-2)
    top = s.topk(10, dim=1)
    put(name, near_duplicates=(top.values[:, 0] >= 0.999).sum(), cone_angle=torch.rad2deg(torch.acos(m.norm())),
        mean_cosine=(n * m.norm() ** 2 - 1) / (n - 1))
    hubs(name, top.indices, n, n - 1)
    potential = torch.exp(4 * (s - 1)).fill_diagonal_(0).sum(dtype=torch.float64)
    put(name, uniformity=torch.log(potential / (n * (n - 1))))
    centred = torch.linalg.svdvals(u - m)
    put(name, effective_rank=entropy_rank(centred.double()), rank_me=entropy_rank(torch.linalg.svdvals(u).double(), 1e-7),
        full_rank=(centred > 1e-6 * centred[0]).sum(), iso_score=iso_score(centred))
    return u, m, potential


def direction(scope, s, own):
    rank = (s >= own[:, None]).sum(1)
    top = s.topk(10, dim=1)
    first = top.indices[:, 0]
    rows = torch.arange(len(s))
    other = torch.where(first == rows, top.values[:, 1], top.values[:, 0])
    put(scope, recall1=(rank <= 1).double().mean(), recall5=(rank <= 5).double().mean(), recall10=(rank <= 10).double().mean(),
        median_rank=rank.double().quantile(0.5), mrr=(1 / rank.double()).mean(), relative_alignment=(2 * (other - own)).double().mean())
    hubs(scope, top.indices, s.shape[1], len(s))
    return first - rows


def cka(a, b):
    return (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())


def ece(p, right):
    confidence = p.max(1).values
    bins = torch.clamp(torch.ceil(confidence * 10).long() - 1, 0, 9)
    total = 0
    for k in range(10):
        inside = bins == k
        if inside.any():
            total += (right[inside].double().mean() - confidence[inside].mean()).abs() * inside.sum()
    return total / len(p)


def curves(x, y):
    x, y = x[:CURVE_ROWS].double(), y[:CURVE_ROWS].double()
    x, y = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    n = len(x)
    s = x @ y.T
    off = ~torch.eye(n, dtype=torch.bool)
    theta = torch.acos((x * y).sum(1, keepdim=True).clamp(-1, 1))
    for lam in LAMBDAS:
        m = (torch.sin(lam * theta) * x + torch.sin((1 - lam) * theta) * y) / torch.sin(theta)
        _ = [((a @ (m - b).T >= 0) & off).double().mean() for a, b in ((x, y), (y, x))]
    for tau in TEMPERATURES + (TAU,):
        for table in (s, s.T):
            p = torch.softmax(table / tau, 1)
            right = (table >= table.diagonal()[:, None]).sum(1) == 1
            _ = ece(p, right), 1 - p.diagonal().mean()
    g = x.mean(0) - y.mean(0)
    for k in range(-2, 7):
        u, v = x - k / 8 * g, y + k / 8 * g
        u, v = u / u.norm(dim=1, keepdim=True), v / v.norm(dim=1, keepdim=True)
        t = u @ v.T
        _ = [((q >= q.diagonal()[:, None]).sum(1) == 1).double().mean() for q in (t, t.T)], ((u - v) ** 2).sum(1).mean()


def main():
    if len(sys.argv) > 4:
        torch.set_num_threads(int(sys.argv[4]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    x, y = (torch.from_numpy(np.load(path).astype(np.float32)) for path in sys.argv[1:3])
    (v, p, within_v), (t, q, within_t) = modality("image", x), modality("text", y)
    n = len(v)
    s = v @ t.T
    own = s.diagonal().clone()
    offset = direction("image-text", s, own)
    direction("text-image", s.T.contiguous(), own)
    shifted = torch.unique(offset[offset != 0], return_counts=True)[1]
    put("image-text", offset_share=shifted.max() / n if len(shifted) else 0,
        alignment=((v - t) ** 2).sum(1).double().mean(), positive_cosine=own.double().mean(),
        negative_cosine=(s.sum(dtype=torch.float64) - own.double().sum()) / (n * (n - 1)))
    across = torch.exp(4 * (s - 1)).sum(dtype=torch.float64)
    del s
    g = p - q
    w = torch.cat([v, t])
    w = w - w.mean(0)
    put("image-text", uniformity_cross=torch.log(across / n**2),
        uniformity_joint=torch.log((within_v + within_t + 2 * across) / (2 * n * (2 * n - 1))),
        distribution_gap=(within_v + within_t) / (n * (n - 1)) - 2 * across / n**2, gap=g.norm(),
        cone_distance=torch.rad2deg(torch.acos(p @ q / (p.norm() * q.norm()))),
        gap_share=((w @ (g / g.norm())) ** 2).sum() / (w**2).sum(), cka=cka(v - p, t - q))
    cka(v - p, (t - q)[torch.randperm(n)])
    curves(v, t)
    seconds = time.perf_counter() - start
    with open(sys.argv[3], "w") as file:
        json.dump({"seconds": seconds, "before": before, "torch": torch.__version__, "figures": figures}, file)


if __name__ == "__main__":
    main()
