"""The plot of demo.py: loss a step, and two figures of held-out pairs before and after."""
import numpy as np


def plot(path, before, runs):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for name, run in runs.items():
        left.plot(run["losses"], label=name, linewidth=0.8)
    left.set(title="loss a step", xlabel="step", ylabel="nats")
    left.legend()
    names = ["recall@10", "gap"]
    width = 0.8 / (len(runs) + 1)
    for i, (name, figures) in enumerate([("before", before)] + [(n, r["figures"]) for n, r in runs.items()]):
        right.bar(np.arange(len(names)) + i * width, [figures[k] for k in names], width, label=name)
    right.set_xticks(np.arange(len(names)) + width, names)
    right.set_title("held-out pairs")
    right.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
