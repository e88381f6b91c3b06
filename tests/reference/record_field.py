#!/usr/bin/env python3
"""Writes field.txt: Barlow Twins, Rank-N-Contrast and HN-NCE on real pairs by PyTorch's autograd in float64.

    python3 tests/reference/record_field.py

The pairs are those of record_torch.py, which also says how torch is found. The losses are written as their authors
released them: batch normalisation without a learned scale and the off-diagonal sum (barlowtwins), a loop over
positives with a mask by label distance and the diagonal taken out (Rank-N-Contrast), reweighted exponentials (HN-NCE).
"""
import os

from record_torch import F, HERE, load, signature, torch, write_case


def barlow_twins(x, y, case):
    bn = torch.nn.BatchNorm1d(x.shape[1], affine=False)
    c = bn(x).T @ bn(y) / len(x)
    off = c.flatten()[:-1].view(len(c) - 1, len(c) + 1)[:, 1:]  # without the diagonal
    return (torch.diagonal(c) - 1).pow(2).sum() + case["weight"] * off.pow(2).sum()


def labels_of(n):
    """Whole numbers with ties. The test takes a tenth of them, whose distances round: the order is the same."""
    return torch.tensor([(7 * i) % 11 for i in range(n)], dtype=torch.float64)


def rank_n_contrast(x, y, tau, case):
    labels = labels_of(len(x)).repeat(2)[:, None]
    features = torch.cat([x, y])
    label_diffs = (labels[:, None, :] - labels[None, :, :]).abs().sum(-1)
    n = len(features)
    # not norm over all pairs: its gradient on the diagonal would be one of 0 / 0
    off = ~torch.eye(n, dtype=torch.bool)
    if case["similarity"] == "cosine":
        logits = (features @ features.T)[off].view(n, n - 1) / tau
    else:
        difference = (features[:, None, :] - features[None, :, :])[off].view(n, n - 1, -1)
        logits = -difference.norm(2, dim=-1) / tau
    logits = logits - logits.max(dim=1, keepdim=True)[0].detach()
    exp_logits = logits.exp()
    label_diffs = label_diffs[off].view(n, n - 1)
    loss = 0
    for k in range(n - 1):
        neg_mask = (label_diffs >= label_diffs[:, k : k + 1]).double()
        pos_log_probs = logits[:, k] - torch.log((neg_mask * exp_logits).sum(dim=-1))
        loss = loss - (pos_log_probs / (n * (n - 1))).sum()
    return loss


def hn_nce(x, y, tau, case):
    n, beta, plus = len(x), case["beta"], case["tau_plus"]
    s = x @ y.T / tau
    eye = torch.eye(n, dtype=torch.bool)
    loss = 0
    for z in (s, s.T):
        own = torch.diagonal(z)
        weights = (n - 1) * F.softmax((beta * z).masked_fill(eye, -torch.inf), dim=1)
        others = (weights * z.exp()).sum(1)
        least = (n - 1) * torch.exp(-1 / tau)
        others = torch.maximum((others - plus * (n - 1) * own.exp()) / (1 - plus), least)
        loss = loss - torch.log(own.exp() / (own.exp() + others)).mean() / 2
    return loss


def cases():
    yield {"function": "barlow_twins", "n": 48, "weight": 0.0051}
    yield {"function": "barlow_twins", "n": 33, "weight": 1.0}
    for similarity in ("negative_distance", "cosine"):
        yield {"function": "rank_n_contrast", "n": 24, "tau": 2.0 if similarity != "cosine" else 0.1, "similarity": similarity}
    for beta, plus in ((0.25, 0.0), (1.0, 0.1)):
        yield {"function": "hn_nce", "n": 48, "tau": 0.1, "beta": beta, "tau_plus": plus}


def main():
    torch.set_default_dtype(torch.float64)
    with open(os.path.join(HERE, "field.txt"), "w") as out:
        for number, case in enumerate(cases()):
            x, y = (torch.tensor(load(side, case["n"]), requires_grad=True) for side in ("image", "text"))
            log_tau = torch.tensor(case.get("tau", 1.0)).log().requires_grad_()
            if case["function"] == "barlow_twins":
                loss = barlow_twins(x, y, case)
            else:
                loss = globals()[case["function"]](x, y, log_tau.exp(), case)
            loss.backward()
            results = {"loss": [loss.item()], "x": signature(x.grad.numpy(), number), "y": signature(y.grad.numpy(), number)}
            if "tau" in case:
                results["log_temperature"] = [log_tau.grad.item()]
            write_case(out, case, number, results)
    print(f"torch {torch.__version__}: {number + 1} cases, {os.path.getsize(out.name)} bytes")


if __name__ == "__main__":
    main()
