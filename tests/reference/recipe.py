"""Inputs that need no storage: rows made of integers and one correctly rounded square root and division.

k(seed, matrix, i, j) is an odd integer in [-2047, 2047] from a 64-bit hash. A row of integers K becomes the row
K / sqrt(sum K^2), computed in double (the sum is an exact integer) and then rounded to the working type, so every
language and compiler gets the same bits. tests/reference/reference.hpp is the C++ twin.
"""
import math

import numpy

MASK = (1 << 64) - 1


def mix(x):
    """The finaliser of SplitMix64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def key(seed, matrix, i, j):
    return mix(mix(mix(mix(seed) ^ matrix) ^ i) ^ j)


def odd(seed, matrix, i, j):
    return 2 * ((key(seed, matrix, i, j) >> 53) - 1024) + 1


def integers(kind, seed, side, i, j):
    """Entry (i, j) of X (side 0) or Y (side 1) before normalisation."""
    a, b = odd(seed, 0, i, j), odd(seed, 1, i, j)
    if kind == "random":  # independent rows
        return a if side == 0 else b
    if kind == "cone":  # two cones, pairs correlated: what a trained pair of encoders gives
        return 2 * a + 2 * odd(seed, 2, 0, j) if side == 0 else a + b + 2 * odd(seed, 3, 0, j)
    if kind == "near":  # pairs about 1e-3 apart
        return 1024 * a + (b if side else 0)
    if kind == "close":  # pairs about 6e-5 apart
        return 16384 * a + (b if side else 0)
    if kind == "far":  # pairs about pi - 1e-3 apart
        return -1024 * a + b if side else 1024 * a
    if kind == "edges":  # as cone, but row 0 is its own partner and row 1 almost antipodal to its own
        if i == 0:
            return a
        if i == 1:
            return integers("far", seed, side, i, j)
        return integers("cone", seed, side, i, j)
    if kind == "bunch":  # all rows within 1e-4 of each other
        return 16384 * odd(seed, 2, 0, j) + (b if side else a)
    if kind == "line":  # d = 1 with every row at +1
        return 1
    raise ValueError(kind)


def rows(kind, seed, side, n, d, precision):
    out = numpy.empty((n, d))
    for i in range(n):
        k = [integers(kind, seed, side, i, j) for j in range(d)]
        root = math.sqrt(float(sum(v * v for v in k)))
        out[i] = [v / root for v in k]
    return out.astype(numpy.float32).astype(float) if precision == "f32" else out


def cotangent(seed, n, d):
    """Numbers that both precisions hold exactly, in (-2, 2)."""
    return numpy.array([[odd(seed, 7, i, j) / 1024 for j in range(d)] for i in range(n)])


def signs(seed, i, d):
    return [1 if key(seed, 9, i, j) & 1 else -1 for j in range(d)]


def write_case(out, case, seed, results, unwritten=()):
    """A recorded case: its line of options (but those `unwritten`), then a line of numbers for each result."""
    fields = [f"{k}={v}" for k, v in case.items() if k != "function" and k not in unwritten]
    print("case", case["function"], "f64", *fields, f"seed={seed}", file=out)
    for name, values in results.items():
        print(" ", name, len(values), *[repr(float(v)) for v in values], file=out)


FULL = 24  # matrices up to this many entries are stored whole
SAMPLES = 8


def signature(matrix, seed):
    """A matrix whole if small, else SAMPLES of its entries and one sum with random signs for each row."""
    n, d = matrix.shape
    if n * d <= FULL:
        return list(matrix.reshape(-1))
    entries = [matrix[key(seed, 10, k, 0) % n, key(seed, 10, k, 1) % d] for k in range(SAMPLES)]
    return entries + [sum(s * x for s, x in zip(signs(seed, i, d), matrix[i])) for i in range(n)]
