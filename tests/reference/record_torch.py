#!/usr/bin/env python3
"""Writes torch.txt: losses and gradients on real image-text pairs by PyTorch's autograd in float64.

    python3 tests/reference/record_torch.py

The pairs are pictures and names of emoji in the joint space of a small pair of encoders (48 x 256, float16):
emoji_image.npy and emoji_text.npy beside this file; --data FOLDER takes them anew from the whole data set's
image_shared_256_f16.npy and text_shared_256_f16.npy. Their notices are in examples/data/MANIFEST.md.

Without torch in the running Python it makes a virtual environment with one under the user's cache folder. The
losses are written as they are usually trained: materialised logits, torch.nn.functional.cross_entropy, spherical
mixing through an angle. Rows are normalised inside the mixing, so its gradient is the tangent one.
"""
import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

try:
    import numpy
    import torch
except ImportError:
    home = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "spheremix", "torch")
    python = os.path.join(home, "bin", "python")
    if sys.executable == python:
        raise
    if not os.path.exists(python):
        subprocess.check_call([sys.executable, "-m", "venv", home])
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", "torch", "numpy"])
    os.execv(python, [python] + sys.argv)

sys.path.insert(0, HERE)
from recipe import signature, write_case  # noqa: E402

F = torch.nn.functional


def take_pairs(folder):
    for side in ("image", "text"):
        x = numpy.load(os.path.join(folder, f"{side}_shared_256_f16.npy"))
        numpy.save(os.path.join(HERE, f"emoji_{side}.npy"), x[: 48 * 37 : 37])


def load(side, n):
    """The first n rows in float64, normalised."""
    x = numpy.load(os.path.join(HERE, f"emoji_{side}.npy")).astype(numpy.float64)[:n]
    return x / numpy.sqrt((x * x).sum(axis=1, keepdims=True))


def mix(a, b, lam):
    """The geodesic mixture with weight lam on a."""
    a, b = F.normalize(a, dim=1, eps=0), F.normalize(b, dim=1, eps=0)
    apart = (a - b).norm(dim=1) > 0
    difference = torch.where(apart[:, None], b - a, torch.ones_like(a))  # keeps the gradient of the norm finite
    theta = 2 * torch.atan2(difference.norm(dim=1), (a + b).norm(dim=1))[:, None]
    mixed = (torch.sin(lam * theta) * a + torch.sin((1 - lam) * theta) * b) / torch.sin(theta)
    return torch.where(apart[:, None], mixed, a)


def info_nce(x, y, scale):
    return F.cross_entropy(scale * x @ y.T, torch.arange(len(x)))


def clip(x, y, scale):
    return (info_nce(x, y, scale) + info_nce(y, x, scale)) / 2


def m2_mix(x, y, lam, scale, reduction="sum", negatives="replace"):
    n = len(x)
    eye = torch.eye(n, dtype=torch.bool)
    m = mix(x, y, lam)
    total = 0
    for anchor, other in ((x, y), (y, x)):
        ordinary = anchor @ other.T
        logits = torch.where(eye, ordinary, anchor @ m.T)
        if negatives == "append":
            logits = torch.cat([scale * logits, (scale * ordinary).masked_fill(eye, -torch.inf)], dim=1)
        else:
            logits = scale * logits
        total = total + F.cross_entropy(logits, torch.arange(n))
    return total if reduction == "sum" else total / 2


def soft(logits, targets):
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets.T)) / 2


def v_mix(x, y, lam, scale):
    eye = torch.eye(len(x), dtype=x.dtype)
    return soft(scale * mix(x, x.flip(0), lam) @ y.T, lam * eye + (1 - lam) * eye.flip(0))


def l_mix(x, y, lam, scale):
    return v_mix(y, x, lam, scale)


def vl_mix(x, y, lam, scale, targets="identity"):
    eye = torch.eye(len(x), dtype=x.dtype)
    logits = scale * mix(x, x.flip(0), lam) @ mix(y, y.flip(0), lam).T
    return soft(logits, eye + eye.flip(0) if targets == "released" else eye)


def evaluate(case, x, y, log_tau, log_mix, lam):
    scale, mix_scale = torch.exp(-log_tau), torch.exp(-log_mix)
    function = case["function"]
    if function in ("info_nce", "clip"):
        return globals()[function](x, y, scale)
    if function == "m2_mix":
        return m2_mix(x, y, lam[0], scale, case["reduction"], case["negatives"])
    if function == "clip_m2_mix":
        mixed = m2_mix(x, y, lam[0], mix_scale, case["reduction"], case["negatives"])
        return clip(x, y, scale) + case["weight"] * mixed
    if function == "vl_mix":
        return vl_mix(x, y, lam[0], scale, case["targets"])
    if function in ("v_mix", "l_mix"):
        return globals()[function](x, y, lam[0], scale)
    return (case["weight_m2"] * m2_mix(x, y, lam[0], mix_scale) + case["weight_v"] * v_mix(x, y, lam[1], scale) +
            case["weight_l"] * l_mix(x, y, lam[2], scale) + case["weight_vl"] * vl_mix(x, y, lam[3], scale))


def cases():
    for n in (48, 33):
        for tau in (0.01, 0.07):
            yield {"function": "info_nce", "n": n, "tau": tau}
            yield {"function": "clip", "n": n, "tau": tau}
            for reduction, negatives, lam in (("sum", "replace", 0.3), ("mean", "append", 0.75), ("sum", "append", 0.5)):
                yield {"function": "m2_mix", "n": n, "tau": tau, "reduction": reduction,
                       "negatives": negatives, "lambda": [lam]}
            yield {"function": "clip_m2_mix", "n": n, "tau": tau, "mix_tau": 0.07, "weight": 0.5,
                   "reduction": "mean", "negatives": "replace", "lambda": [0.4]}
            yield {"function": "v_mix", "n": n, "tau": tau, "lambda": [0.7]}
            yield {"function": "l_mix", "n": n, "tau": tau, "lambda": [0.2]}
            yield {"function": "vl_mix", "n": n, "tau": tau, "targets": "identity", "lambda": [0.6]}
            yield {"function": "vl_mix", "n": n, "tau": tau, "targets": "released", "lambda": [0.6]}
            yield {"function": "m3_mix", "n": n, "tau": tau, "mix_tau": 0.07, "weight_m2": 0.01,
                   "weight_v": 0.05, "weight_l": 0.05, "weight_vl": 0.1, "lambda": [0.45, 0.8, 0.35, 0.9]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", help="take the pairs anew from the whole data set")
    folder = parser.parse_args().data
    if folder:
        take_pairs(folder)
    torch.set_default_dtype(torch.float64)
    with open(os.path.join(HERE, "torch.txt"), "w") as out:
        for number, case in enumerate(cases()):
            x, y = (torch.tensor(load(side, case["n"]), requires_grad=True)
                    for side in ("image", "text"))
            lam = torch.tensor(case.get("lambda", [0.5]), requires_grad=True)
            taus = [torch.tensor(case.get(name, 1.0)).log().requires_grad_() for name in ("tau", "mix_tau")]
            loss = evaluate(case, x, y, *taus, lam)
            loss.backward()
            results = {"loss": [loss.item()], "x": signature(x.grad.numpy(), number),
                       "y": signature(y.grad.numpy(), number), "log_temperature": [taus[0].grad.item()]}
            if "lambda" in case:
                results |= {"lambda": case["lambda"], "dlambda": lam.grad.tolist()}
            if "mix_tau" in case:
                results["log_mix_temperature"] = [taus[1].grad.item()]
            write_case(out, case, number, results, unwritten=("lambda",))
    print(f"torch {torch.__version__}: {number + 1} cases, {os.path.getsize(out.name)} bytes")


if __name__ == "__main__":
    main()
