#!/usr/bin/env python3
"""Figures of the bundled embeddings by NumPy in double precision, from their definitions: recorded.json.

    python3 tests/analyze/record.py > tests/analyze/recorded.json

Nothing here comes from the library: every N x N table is written out. Needs NumPy (1.24 or later)."""
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SETS = {
    "emoji": ("examples/data/image_feat_256_f16.npy", "examples/data/text_feat_256_f16.npy"),
    "openclipart": ("tests/data/openclipart/image_shared_256_f16.npy", "tests/data/openclipart/text_shared_256_f16.npy"),
}


def skewness(x):
    e = x - x.mean()
    return (e**3).mean() / (e**2).mean() ** 1.5


def occurrences(s, k=10):
    """How often each column is among the k greatest of a row; columns equal at the edge share its places."""
    s = np.round(s, 12)
    edge = np.sort(s, axis=1)[:, -k][:, None]
    nearer, equal = s > edge, s == edge
    return (nearer + equal * ((k - nearer.sum(1)) / equal.sum(1))[:, None]).sum(0)


def squared(a, b):
    """|a_i - b_j|^2, block by block from the differences themselves where they are small."""
    d = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    return np.maximum(d, 0)


def spectrum(u):
    return np.linalg.svd(u, compute_uv=False)


def entropy_rank(sigma, eps=0.0):
    p = sigma / sigma.sum() + eps
    p = p[p > 0]
    return float(np.exp(-(p * np.log(p)).sum()))


def iso_score(u):
    v = np.cov(u.T, bias=True)
    d = len(v)
    v = np.linalg.eigvalsh(v)[::-1]
    v = np.sqrt(d) * v / np.linalg.norm(v)
    delta = np.linalg.norm(v - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    phi = (d - delta**2 * (d - np.sqrt(d))) ** 2 / d**2
    return float((d * phi - 1) / (d - 1))


def floor(d, t=2.0):
    term, total, k = 1.0, 1.0, 1
    while term > 1e-20:
        term *= t * t / (k * (d / 2 + k - 1))
        total += term
        k += 1
    return float(-2 * t + np.log(total))


def modality(x):
    n, d = x.shape
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    s = u @ u.T
    upper = np.triu_indices(n, 1)
    m = u.mean(0)
    np.fill_diagonal(s, -2)
    _, first = np.unique(x, axis=0, return_index=True)
    norms = np.linalg.norm(x, axis=1)
    centred = spectrum(u - m)
    return u, {
        "duplicates": n - len(first),
        "norm_mean": norms.mean(),
        "cone_angle": np.degrees(np.arccos(np.linalg.norm(m))),
        "mean_cosine": s[upper].mean(),
        "uniformity": np.log(np.exp(-2 * squared(u, u)[upper]).mean()),
        "uniformity_floor": floor(d),
        "effective_rank": entropy_rank(centred),
        "rank_me": entropy_rank(spectrum(u), 1e-7),
        "full_rank": int((centred > 1e-6 * centred[0]).sum()),
        "iso_score": iso_score(u),
        "hubness": skewness(occurrences(s)),
    }


def direction(s, y_rows):
    """Row i's answer is column i. Equal columns have equal cosines whatever the product's rounding."""
    own = np.diag(s)
    tie = 1e-12
    ranks = (s >= own[:, None] - tie).sum(1)
    others = s.copy()
    np.fill_diagonal(others, -2)
    return {
        "recall1": (ranks <= 1).mean(),
        "recall5": (ranks <= 5).mean(),
        "recall10": (ranks <= 10).mean(),
        "median_rank": np.median(ranks),
        "mrr": (1 / ranks).mean(),
        "relative_alignment": (2 * (others.max(1) - own)).mean(),
        "hubness": skewness(occurrences(s)),
        "tied_queries": ((s >= own[:, None] - tie).sum(1) > (s > own[:, None] + tie).sum(1) + 1).mean(),
    }


def debiased_cka(v, t):
    k, l = v @ v.T, t @ t.T
    for m in (k, l):
        np.fill_diagonal(m, 0)

    def hsic(k, l):
        n = len(k)
        return (k * l).sum() + k.sum() * l.sum() / (n - 1) / (n - 2) - 2 * (k.sum(0) @ l.sum(0)) / (n - 2)

    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def slerp(x, y, lam):
    """Weight lam on x."""
    theta = np.arccos(np.clip((x * y).sum(1, keepdims=True), -1, 1))
    return (np.sin(lam * theta) * x + np.sin((1 - lam) * theta) * y) / np.sin(theta)


def softmax(s, tau):
    z = s / tau
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def ece(p, right):
    """10 bins (l, h] of the greatest probability."""
    c = p.max(1)
    b = np.clip(np.ceil(c * 10).astype(int) - 1, 0, 9)
    return sum(abs(right[b == k].mean() - c[b == k].mean()) * (b == k).sum() for k in range(10) if (b == k).any()) / len(c)


def pair(v, t, tau=0.07):
    n = len(v)
    s = v @ t.T
    own = np.diag(s)
    g = v.mean(0) - t.mean(0)
    a, b = v - v.mean(0), t - t.mean(0)
    w = np.vstack([v, t])
    z = w - w.mean(0)
    cka = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    m = slerp(v, t, 0.5)
    off = ~np.eye(n, dtype=bool)
    harder = lambda x, y: ((x @ (m - y).T >= 0) & off).sum() / (n * (n - 1))
    right = lambda q: (q >= np.diag(q)[:, None] - 1e-12).sum(1) == 1
    push = lambda q: 1 - np.diag(softmax(q, tau)).mean()
    joint = squared(w, w)[np.triu_indices(2 * n, 1)]
    upper = np.triu_indices(n, 1)
    mean_of = lambda d: np.exp(-2 * d).mean()
    return {
        "alignment": ((v - t) ** 2).sum(1).mean(),
        "positive_cosine": own.mean(),
        "negative_cosine": s[off].mean(),
        "uniformity_cross": np.log(np.exp(-2 * squared(v, t)).mean()),
        "uniformity_joint": np.log(np.exp(-2 * joint).mean()),
        "distribution_gap": mean_of(squared(v, v)[upper]) + mean_of(squared(t, t)[upper]) - 2 * mean_of(squared(v, t)),
        "gap": np.linalg.norm(g),
        "cone_distance": np.degrees(np.arccos(v.mean(0) @ t.mean(0) / np.linalg.norm(v.mean(0)) / np.linalg.norm(t.mean(0)))),
        "gap_share": ((z @ (g / np.linalg.norm(g))) ** 2).sum() / (z**2).sum(),
        "cka": cka,
        "cka_debiased": debiased_cka(v, t),
        "hardness": (harder(v, t) + harder(t, v)) / 2,
        "ece": (ece(softmax(s, tau), right(s)) + ece(softmax(s.T, tau), right(s.T))) / 2,
        "push": (push(s) + push(s.T)) / 2,
    }


def main():
    recorded = {}
    for name, files in SETS.items():
        x, y = (np.load(ROOT / f).astype(np.float64) for f in files)
        v, image = modality(x)
        t, text = modality(y)
        figures = {"image": image, "text": text, "image-text": pair(v, t)}
        figures["image-text"].update(direction(v @ t.T, t))
        figures["text-image"] = direction(t @ v.T, v)
        recorded[name] = {"image": files[0], "text": files[1],
                          "figures": {scope: {k: float(f) for k, f in values.items()} for scope, values in figures.items()}}
    json.dump(recorded, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
