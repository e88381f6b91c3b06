"""Figures in double precision from their definitions, by NumPy: nothing here comes from the library."""
import os
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy as np
except ImportError:
    debian = "/usr/bin/python3"  # where python3-numpy is
    if os.path.exists(debian) and os.path.realpath(sys.executable) != os.path.realpath(debian):
        os.execv(debian, [debian, *sys.argv])
    print("skipped: needs NumPy (python3-numpy)")
    sys.exit(77)

Z = 1.959963984540054


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def cosines(x, y, whole=False):
    """whole: rows of whole numbers, whose products are exact; otherwise rounded so that equal ones are equal."""
    if whole:
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return np.round(x @ y.T / np.outer(np.sqrt((x * x).sum(1)), np.sqrt((y * y).sum(1))), 11)
    return np.round(unit(x) @ unit(y).T, 13)


def ranks(s, ties_for=False):
    own = np.diag(s)[:, None]
    return (s > own).sum(1) + 1 if ties_for else (s >= own).sum(1)


def recalls(s, ties_for=False):
    r = ranks(s, ties_for)
    return {"recall1": (r <= 1).mean(), "recall5": (r <= 5).mean(), "recall10": (r <= 10).mean(), "median_rank": np.median(r), "mrr": (1 / r).mean()}


def wilson(p, n):
    scale, middle = 1 + Z * Z / n, p + Z * Z / (2 * n)
    half = Z * np.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return [(middle - half) / scale, (middle + half) / scale]


def occurrences(s, within=False, k=10):
    """How often each column is among the k greatest of a row, ties at the edge shared."""
    s = s.copy()
    if within:
        np.fill_diagonal(s, -2)
    count = np.zeros(s.shape[1])
    for row in s:
        edge = np.sort(row)[-k]
        nearer, equal = row > edge, row == edge
        count += nearer + equal * (k - nearer.sum()) / equal.sum()
    return count


def skewness(x):
    e = x - x.mean()
    second = (e**2).mean()
    return (e**3).mean() / second**1.5 if second > 0 else 0.0


def cone(u):
    return np.degrees(np.arctan2(np.sqrt(((u - u.mean(0)) ** 2).sum(1).mean()), np.linalg.norm(u.mean(0))))


def mean_cosine(u):
    n = len(u)
    return 1 - ((u - u.mean(0)) ** 2).sum(1).mean() * n / (n - 1)


def gap(u, v):
    g = u.mean(0) - v.mean(0)
    w = np.vstack([u, v])
    w = w - w.mean(0)
    p, q = u.mean(0) / np.linalg.norm(u.mean(0)), v.mean(0) / np.linalg.norm(v.mean(0))
    return {"gap": np.linalg.norm(g), "gap_share": ((w @ (g / np.linalg.norm(g))) ** 2).sum() / (w**2).sum(),
            "cone_distance": np.degrees(2 * np.arctan2(np.linalg.norm(p - q), np.linalg.norm(p + q)))}


def log_mean_potential(u, v=None):
    """log mean e^(-2 |x - y|^2) over pairs i < j of one batch, or over all of two; rows about their mean, which keeps small distances."""
    centre, total = (u if v is None else np.vstack([u, v])).mean(0), 0.0
    x, y = u - centre, (u if v is None else v) - centre
    square = (y * y).sum(1)
    for i in range(0, len(x), 500):
        a = x[i:i + 500]
        total += np.exp(-2 * np.maximum((a * a).sum(1)[:, None] + square - 2 * a @ y.T, 0)).sum()
    return np.log((total - len(u)) / (len(u) * (len(u) - 1)) if v is None else total / (len(u) * len(v)))


def spectrum(u):
    s = np.linalg.svd(u - u.mean(0), compute_uv=False)
    p = s / s.sum()
    p = p[p > 0]
    d, lam = u.shape[1], np.zeros(u.shape[1])
    lam[:len(s)] = s**2 / len(u)
    v = np.sqrt(d) * lam / np.linalg.norm(lam)
    delta = np.linalg.norm(v - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    phi = (d - delta**2 * (d - np.sqrt(d))) ** 2 / d**2
    return {"effective_rank": np.exp(-(p * np.log(p)).sum()), "full_rank": int((s > 1e-6 * s[0]).sum()), "iso_score": (d * phi - 1) / (d - 1)}


def debiased_cka(u, v):
    def hsic(k, l):
        n, k, l = len(k), k.copy(), l.copy()
        np.fill_diagonal(k, 0)
        np.fill_diagonal(l, 0)
        one = np.ones(n)
        return (np.trace(k @ l) + one @ k @ one * (one @ l @ one) / (n - 1) / (n - 2) - 2 * (one @ k @ l @ one) / (n - 2)) / n / (n - 3)
    k, l = u @ u.T, v @ v.T
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def near_duplicates(x, s):
    equal = (x[:, None, :] == x[None, :, :]).all(2)
    return int(((s >= 0.999) & ~equal).any(1).sum())


class Sets(unittest.TestCase):
    """Arrays as files of a folder that goes with the test."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def put(self, name, rows, dtype="<f4"):
        np.save(self.path / f"{name}.npy", np.ascontiguousarray(rows, dtype))
        return self.path / f"{name}.npy"

    def figure(self, document, key, scope):
        return next(m for m in document["metrics"] if m["key"] == key and m["scope"] == scope)
