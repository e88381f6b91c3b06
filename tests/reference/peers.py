"""What open_clip, pytorch-metric-learning, lightly and align_uniform compute, for the table of docs/python.md.

    python tests/reference/peers.py record     runs the left column, writes peers.json beside this file
    python tests/reference/peers.py check      runs it and compares with peers.json

In an environment with torch, open_clip_torch, pytorch-metric-learning and lightly (`sh tests/run.sh peers` makes one).
align_uniform is not on PyPI: its two functions are written out below by their formulas (arXiv 2005.10242, figure 5).
"""
import importlib.metadata
import json
import math
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECORD = HERE / "peers.json"
N, D = 8, 6
LABELS = [0, 0, 1, 1, 2, 2, 3, 3]
LOG_SCALE, BIAS = 1.5, -2.0


def rows(side):
    """Unit rows from sines: the same on every machine to the last digits, no file, no generator."""
    out = []
    for i in range(N):
        row = [math.sin(1 + 2.3 * i + 1.7 * k + 0.9 * side * (1 + i * k)) for k in range(D)]
        norm = math.sqrt(sum(v * v for v in row))
        out.append([v / norm for v in row])
    return out


def table():
    """Rows of the migration tables: (from, there, here with tensors, here with arrays, here in C++)."""
    _, tensors, arrays, cpp = re.split(r"<!-- migration: \w+ -->", (HERE.parents[1] / "docs/python.md").read_text())
    tensors = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| `([^`]+)` \|$", tensors, flags=re.M)
    arrays = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", arrays, flags=re.M))
    cpp = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", cpp, flags=re.M))
    if len(tensors) < 2 or not set(arrays) == set(cpp) == {there for _, there, _ in tensors}:
        raise SystemExit("failed: the tables of docs/python.md were not understood")
    return [(source, there, here, arrays[there], cpp[there]) for source, there, here in tensors]


def peers():
    import lightly.loss
    import open_clip.loss
    import pytorch_metric_learning.losses
    import pytorch_metric_learning.miners
    import pytorch_metric_learning.reducers
    import torch

    def align_loss(x, y, alpha=2):
        return (x - y).norm(p=2, dim=1).pow(alpha).mean()

    def uniform_loss(x, t=2):
        return torch.pdist(x, p=2).pow(2).mul(-t).exp().mean().log()

    return {
        "torch": torch,
        "F": torch.nn.functional,
        "open_clip": open_clip.loss,
        "lightly": lightly.loss,
        "pml": pytorch_metric_learning.losses,
        "mean": pytorch_metric_learning.reducers.MeanReducer(),
        "hardest": pytorch_metric_learning.miners.BatchHardMiner(),
        "align_loss": align_loss,
        "uniform_loss": uniform_loss,
    }


def measure(code, names):
    """Value and dL/dx of a line, float64."""
    import torch

    x = torch.tensor(rows(0), dtype=torch.double, requires_grad=True)
    y = torch.tensor(rows(1), dtype=torch.double)
    scope = {
        **names,
        "math": math,
        "x": x,
        "y": y,
        "labels": torch.tensor(LABELS),
        "log_scale": torch.tensor(LOG_SCALE, dtype=torch.double),
        "bias": torch.tensor(BIAS, dtype=torch.double),
    }
    loss = eval(code, scope)
    loss.backward()
    # pytorch-metric-learning and lightly normalise inside: what is tangent is compared.
    gradient = x.grad - (x.grad * x.detach()).sum(1, keepdim=True) * x.detach()
    return {"value": loss.item(), "tangent_gradient": gradient.tolist()}


def furthest(a, b):
    """Largest difference of two nested lists of one shape."""
    if isinstance(a, list):
        return max(map(furthest, a, b), default=0) if len(a) == len(b) else math.inf
    return abs(a - b)


def main():
    names = peers()
    figures = {there: measure(there, names) for _, there, *_ in table()}
    packages = ("torch", "open_clip_torch", "pytorch-metric-learning", "lightly")
    if sys.argv[1:] == ["record"]:
        versions = {p: importlib.metadata.version(p) for p in packages}
        RECORD.write_text(json.dumps({"versions": versions, "figures": figures}, indent=1) + "\n")
        return
    recorded = json.loads(RECORD.read_text())["figures"]
    for there, now in figures.items():
        then = recorded.get(there)
        apart = math.inf if then is None else abs(now["value"] - then["value"]) / max(1, abs(then["value"]))
        away = math.inf if then is None else furthest(now["tangent_gradient"], then["tangent_gradient"])
        print(f"{'passed' if apart < 1e-9 and away < 1e-8 else 'failed'}: {there} gives {now['value']!r}, {apart:.1e} from the record, "
              f"its gradient {away:.1e}")


if __name__ == "__main__":
    main()
