"""Inputs, and a loss's gradients against differences of its NumPy formula."""
import numpy as np

from formulas import unit


def batches(count, n=7, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return [unit(rng.normal(size=(n, d))) for _ in range(count)]


def close(a, b, relative=1e-11):
    """Relative to the largest number; equal to the bit where both are 0."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert a.shape == b.shape, (a.shape, b.shape)
    scale = max(np.abs(b).max(initial=0), np.abs(a).max(initial=0))
    assert np.all(np.abs(a - b) <= relative * scale), (a, b)


def slopes(formula, arguments, gradients, on_sphere=True, seed=1):
    """<gradient, v> against a central difference of the formula along tangent directions v (rows stay unit)."""
    rng = np.random.default_rng(seed)
    for at, gradient in enumerate(gradients):
        for _ in range(3):
            x = np.asarray(arguments[at], float)
            v = rng.normal(size=x.shape)
            batch = on_sphere and x.ndim == 2
            if batch:
                v -= (v * x).sum(1, keepdims=True) * x
            h = 1e-5

            def along(t):
                moved = list(arguments)
                moved[at] = unit(x + t * v) if batch else x + t * v
                return formula(*moved)

            there = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
            here = float((np.asarray(gradient) * v).sum())
            assert abs(here - there) <= 1e-8 * max(1, abs(there), np.abs(gradient).max()), (at, here, there)
