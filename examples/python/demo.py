"""A tour of the package on 1,870 real pairs of pictures and names: `sh examples/python/demo.sh`.

Looks at two encoders that never met, teaches a linear head to each, once with CLIP and once with CLIP + m2-Mix, and looks
again at pairs that were held out. Figures with a sentence each; a plot in out/python.png.
"""
import argparse
import pathlib

import numpy as np
import spheremix as sx
from demo_plot import plot

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"


def look(image, text):
    """The figures of a set of pairs."""
    found = sx.metrics.retrieval_both(image, text, k=[1, 10])
    return {
        "recall@10": (found.x_to_y.recall[1] + found.y_to_x.recall[1]) / 2,
        "gap": sx.metrics.modality_gap(image, text),
        "alignment": sx.metrics.alignment(image, text),
        "uniformity": sx.metrics.joint_uniformity(image, text),
        "rank": sx.metrics.effective_rank(image),
    }


class Adam:
    """Of one array, in place."""

    def __init__(self, w, rate):
        self.w, self.rate, self.m, self.v, self.t = w, rate, np.zeros_like(w), np.zeros_like(w), 0

    def step(self, g):
        self.t += 1
        self.m += 0.1 * (g - self.m)
        self.v += 0.001 * (g * g - self.v)
        self.w -= self.rate * (self.m / (1 - 0.9**self.t)) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)


def train(image, text, rng, epochs, mixing):
    """Two linear heads; returns them, the learned temperature and the loss of each step."""
    d = image.shape[1]
    heads = [np.eye(d, dtype=np.float32), np.eye(d, dtype=np.float32)]
    log_temperature = np.array(np.log(0.05))
    optimisers = [Adam(w, 2e-3) for w in heads] + [Adam(log_temperature, 2e-3)]
    losses = []
    for _ in range(epochs):
        order = sx.mixup.random_partners(len(image), rng)
        for first in range(0, len(order) - 255, 256):
            rows = order[first : first + 256]
            inputs = image[rows], text[rows]
            raw = [x @ w for x, w in zip(inputs, heads)]
            x, y = map(sx.sphere.normalize_rows, raw)
            tau = float(np.exp(log_temperature))
            if mixing:
                lam = float(sx.mixup.beta(1, 0.5, 0.5, rng)[0])
                g = sx.losses.clip_m2_mix_with_gradient(x, y, lam, temperature=tau, mix_temperature=0.07, weight=0.5)
            else:
                g = sx.losses.clip_with_gradient(x, y, temperature=tau)
            for optimiser, a, r, dx in zip(optimisers, inputs, raw, (g.x, g.y)):
                optimiser.step(a.T @ sx.sphere.normalize_rows_vjp(r, dx))
            optimisers[2].step(np.float64(g.log_temperature))
            losses.append(g.loss)
    return heads, float(np.exp(log_temperature)), losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=pathlib.Path, default=DATA.parents[1] / "out" / "python.png")
    arguments = parser.parse_args()

    image = sx.sphere.normalize_rows(sx.io.load_npy(DATA / "image_feat_256_f16.npy"))
    text = sx.sphere.normalize_rows(sx.io.load_npy(DATA / "text_feat_256_f16.npy"))
    print(f"{len(image)} pairs of {image.shape[1]} numbers, read from float16 as {image.dtype}; {sx.threads()} threads")
    rng = sx.core.Philox(1)
    shuffled = sx.mixup.random_partners(len(image), rng)
    test, rest = shuffled[: len(image) // 4], shuffled[len(image) // 4 :]

    before = look(image[test], text[test])
    print(f"before: recall@10 is {before['recall@10']:.1%}, where chance is {10 / len(test):.1%}: the encoders never met")
    print(f"        the modalities' centres lie {before['gap']:.2f} apart (the gap), of 2 at most")
    print(f"        the pictures use {before['rank']:.0f} of {image.shape[1]} dimensions (effective rank)")
    runs = {}
    for name, mixing in (("CLIP", False), ("CLIP + m2-Mix", True)):
        heads, tau, losses = train(image[rest], text[rest], rng, arguments.epochs, mixing)
        x, y = (sx.sphere.normalize_rows(a[test] @ w) for a, w in zip((image, text), heads))
        f = look(x, y)
        runs[name] = {"losses": losses, "figures": f}
        print(f"{name}: recall@10 is {f['recall@10']:.1%} after {len(losses)} steps, tau went from 0.05 to {tau:.3f}")
        print(f"        gap {f['gap']:.2f}, alignment {f['alignment']:.2f}, uniformity {f['uniformity']:.2f} (evenly spread: -3.9)")
    plot(arguments.out, before, runs)
    print(f"plotted in {arguments.out}")


if __name__ == "__main__":
    main()
