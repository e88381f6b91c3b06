#!/usr/bin/env python3
"""The device library held against float64 PyTorch on one GPU, then timed beside PyTorch. Minutes.

    nvcc -std=c++20 -O3 -arch=sm_90 --shared -Xcompiler -fPIC -Iinclude examples/torch_cuda.cu -o libspheremix_cuda.so
    python3 tests/gpu/torch_harness.py libspheremix_cuda.so [... .so]     parts of it (SPHEREMIX_TORCH_ONLY) as well
        --seconds S     at most about S seconds (240)
        --emulated      on CPU tensors, small sizes, nothing timed: the libraries are built against the block emulator

One JSON object a line. Every function of examples/torch_cuda.cu that a library has is called on f32 rows, value and gradients
are compared with autograd of the formula in float64, twice the same bits are asked for, and in a captured graph. Exit status 1
where something differs. Then loss and gradients are timed (medians of 20 by CUDA events) beside PyTorch eager f32, autocast bf16,
torch.compile and a captured graph of eager; results are compared first. Without a GPU: "skipped: no GPU"."""
import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path

for folder in ("examples", "benchmarks/gpu/losses"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / folder))
from torch_cuda import Libraries, Prepared  # noqa: E402


# ---- The formulas, in PyTorch --------------------------------------------------------------------------------------------------
def formulas(torch):
    F = torch.nn.functional
    mean_ce = lambda z: F.cross_entropy(z, torch.arange(z.shape[0], device=z.device))

    def slerp(a, b, weight):  # weight on a; a row with itself stays as it is
        same = (a == b).all(1, keepdim=True)
        a, b = F.normalize(a, dim=1), F.normalize(torch.where(same, a.roll(1, 1), b), dim=1)
        theta = 2 * torch.atan2((a - b).norm(dim=1, keepdim=True), (a + b).norm(dim=1, keepdim=True))
        mixed = (torch.sin(weight * theta) * a + torch.sin((1 - weight) * theta) * b) / torch.sin(theta)
        return torch.where(same, a, mixed)

    def info_nce(x, y, tau):
        return mean_ce(x @ y.T / tau)

    def clip(x, y, tau):
        z = x @ y.T / tau
        return (mean_ce(z) + mean_ce(z.T)) / 2

    def margin_nce(x, y, tau, margin):
        eye = torch.eye(x.shape[0], dtype=x.dtype, device=x.device)
        return mean_ce((x @ y.T - margin * eye) / tau)

    def siglip(x, y, tau, bias):
        sign = 2 * torch.eye(x.shape[0], dtype=x.dtype, device=x.device) - 1
        return -F.logsigmoid(sign * (x @ y.T / tau + bias)).sum() / x.shape[0]

    def stacked(x, y, tau):  # cosines over tau of [X; Y], the positives', and what is no negative
        z = torch.cat([x, y])
        s, n = z @ z.T / tau, x.shape[0]
        pair = torch.arange(2 * n, device=x.device).roll(n)
        own = torch.eye(2 * n, dtype=torch.bool, device=x.device)
        return s, s.gather(1, pair[:, None])[:, 0], own, own | own.roll(n, 0)

    def nt_xent(x, y, tau):
        s, positive, own, _ = stacked(x, y, tau)
        return (torch.logsumexp(s.masked_fill(own, -math.inf), 1) - positive).mean()

    def decoupled_contrastive(x, y, tau):
        s, positive, _, out = stacked(x, y, tau)
        return (torch.logsumexp(s.masked_fill(out, -math.inf), 1) - positive).mean()

    def harder(s, a, out, tau, beta, tau_plus):  # of logits, their positives', and what is no negative
        count = s.shape[1] - int(out[0].sum())
        lse = lambda k: torch.logsumexp((k * s).masked_fill(out, -math.inf), 1)
        r = count * torch.exp(lse(1 + beta) - (lse(beta) if beta else math.log(count)))
        floor = count * torch.exp(-1 / torch.as_tensor(tau, dtype=s.dtype, device=s.device))
        v = torch.maximum((r - tau_plus * count * a.exp()) / (1 - tau_plus), floor)
        return torch.log1p(v * torch.exp(-a)).mean()

    def hard_negative(x, y, tau, beta, tau_plus):
        s, a, _, out = stacked(x, y, tau)
        return harder(s, a, out, tau, beta, tau_plus)

    def hn_nce(x, y, tau, beta, tau_plus):
        z, own = x @ y.T / tau, torch.eye(x.shape[0], dtype=torch.bool, device=x.device)
        return sum(harder(s, s.diagonal(), own, tau, beta, tau_plus) for s in (z, z.T)) / 2

    def geometric_consistency(x, y, cross, inside):
        a, b = x @ y.T, x @ x.T - y @ y.T
        return (cross * ((a - a.T) ** 2).sum() + inside * (b**2).sum()) / x.shape[0]

    def cyclip(x, y, tau, cross, inside):
        return clip(x, y, tau) + geometric_consistency(x, y, cross, inside)

    def augmented_geometric_consistency(x, y, xa, ya, cross, inside):
        return (geometric_consistency(x, xa, 0, inside) + geometric_consistency(y, ya, 0, inside)
                + cross * (((x * y).sum(1) - (xa * ya).sum(1)) ** 2).mean())

    def brownian_bridge(a, x, y, ratio):
        return ((a - F.normalize(ratio * x + (1 - ratio) * y, dim=1)) ** 2).sum(1).mean()

    def potential_of(x, t, y=None):
        g = (x * x).sum(1, keepdim=True)
        h = g if y is None else (y * y).sum(1, keepdim=True)
        return torch.exp(-t * (g + h.T - 2 * x @ (x if y is None else y).T))

    def uniformity(x, t):
        n = x.shape[0]
        k = potential_of(x, t).masked_fill(torch.eye(n, dtype=torch.bool, device=x.device), 0)
        return torch.log(k.sum() / (n * (n - 1)))

    def cross_uniformity(x, y, t):
        return potential_of(x, t, y).mean().log()

    def joint_uniformity(x, y, t):
        return uniformity(torch.cat([x, y]), t)

    def alignment(x, y, alpha):
        return ((x - y).norm(dim=1) ** alpha).mean()

    def feature_separation(x, y, xi, yi, xa, ya, tau):
        n = x.shape[0]
        ortho = (((x * xi).sum(1)) ** 2 + ((y * yi).sum(1)) ** 2).mean()
        contrast = sum((torch.logsumexp(i @ i.T / tau, 1) - (i * a).sum(1) / tau).mean() for i, a in ((xi, xa), (yi, ya)))
        return ortho + contrast + torch.log((potential_of(xi, 2).sum() + potential_of(yi, 2).sum()) / n)

    def m2_mix(x, y, tau, lam):
        m = slerp(x, y, lam)
        own, eye = (x * y).sum(1) / tau, torch.eye(x.shape[0], dtype=torch.bool, device=x.device)
        side = lambda a: (torch.logsumexp(torch.where(eye, own[:, None], a @ m.T / tau), 1) - own).mean()
        return side(x) + side(y)

    def clip_m2_mix(x, y, tau, lam, tau_mix):
        return clip(x, y, tau) + m2_mix(x, y, tau_mix, lam)

    def soft_pairs(z, w):
        rows = (w * (torch.logsumexp(z, 1, keepdim=True) - z)).sum()
        return (rows + (w * (torch.logsumexp(z, 0, keepdim=True) - z)).sum()) / (2 * z.shape[0])

    def targets(x, lam):
        eye = torch.eye(x.shape[0], dtype=x.dtype, device=x.device)
        return lam * eye + (1 - lam) * eye.flip(1)

    def v_mix(x, y, tau, lam):
        return soft_pairs(slerp(x, x.flip(0), lam) @ y.T / tau, targets(x, lam))

    def l_mix(x, y, tau, lam):
        return v_mix(y, x, tau, lam)

    def vl_mix(x, y, tau, lam):
        z = slerp(x, x.flip(0), lam) @ slerp(y, y.flip(0), lam).T / tau
        return soft_pairs(z, torch.eye(x.shape[0], dtype=x.dtype, device=x.device))

    def m3_mix(x, y, tau, lam, tau_mix):
        return m2_mix(x, y, tau_mix, lam) + v_mix(x, y, tau, lam) + l_mix(x, y, tau, lam) + vl_mix(x, y, tau, lam)

    def sup_con(x, label, tau):
        n = x.shape[0]
        own = torch.eye(n, dtype=torch.bool, device=x.device)
        same = (label[:, None] == label) & ~own
        s, count = x @ x.T / tau, same.sum(1)
        each = torch.logsumexp(s.masked_fill(own, -math.inf), 1) - (s * same).sum(1) / count.clamp(min=1)
        return each[count > 0].mean()

    def rank_n_contrast(x, label, tau, cosine):
        z = x @ x.T / tau if cosine else -torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") / tau
        away = (label[:, None] - label).abs().fill_diagonal_(-1)
        away, order = (t[:, :-1].contiguous() for t in away.sort(1, descending=True))  # each anchor itself is the last
        z = z.gather(1, order)
        last = torch.searchsorted(-away, -away, right=True) - 1  # of those at least as far
        return (torch.logcumsumexp(z, 1).gather(1, last) - z).mean()

    def sup_remix(x, label, tau, lam, window):
        xd, out = x.detach(), []
        for i in range(x.shape[0]):
            away = label - label[i]
            same = away == 0
            same[i] = False
            other = away != 0
            real, neg = x @ x[i], (lam * xd[i] + (1 - lam) * xd) @ x[i]
            left, right = ((away < 0) & (away > -window)).nonzero()[:, 0], ((away > 0) & (away < window)).nonzero()[:, 0]
            j, k = torch.cartesian_prod(left, right).T if len(left) and len(right) else (left[:0], left[:0])
            share = (away[k] / (away[k] - away[j]).clamp(min=1))[:, None].to(x.dtype)
            pos = (share * xd[j] + (1 - share) * xd[k]) @ x[i]
            wanted = torch.cat([real[same], pos])
            if not len(wanted):
                continue
            real_w = torch.where(same, torch.ones_like(real), 1 + away.abs().to(x.dtype))
            real_w[i] = 0
            all_z = torch.cat([real, neg[other], pos]) / tau
            all_w = torch.cat([real_w, 1 + (1 - lam) * away[other].abs().to(x.dtype), torch.ones_like(pos)])
            out.append(torch.logsumexp(all_z + torch.log(all_w), 0) - wanted.mean() / tau)
        return torch.stack(out).mean()

    def mixup_cross_entropy(z, a, b, lam):
        return lam * F.cross_entropy(z, a) + (1 - lam) * F.cross_entropy(z, b)

    def decoupled_mixup(z, a, b, lam):
        out = torch.zeros_like(z, dtype=torch.bool).scatter(1, torch.stack([a, b], 1), True)
        rest = torch.logsumexp(z.masked_fill(out, -math.inf), 1)
        pick = lambda c: z.gather(1, c[:, None])[:, 0]
        return mixup_cross_entropy(z, a, b, lam) + 0.1 * (F.softplus(rest - pick(a)) + F.softplus(rest - pick(b))).mean()

    def vicreg(x, y, invariance, variance, covariance):
        def view(v):
            n, d = v.shape
            c = v - v.mean(0)
            m = c.T @ c / (n - 1)
            lack = torch.relu(1 - torch.sqrt(m.diagonal() + 1e-4)).mean() / 2
            return variance * lack + covariance * ((m**2).sum() - (m.diagonal() ** 2).sum()) / d

        return invariance * ((x - y) ** 2).mean() + view(x) + view(y)

    def barlow_twins(x, y, off_diagonal, epsilon):
        xs, ys = ((v - v.mean(0)) / torch.sqrt(v.var(0, unbiased=False) + epsilon) for v in (x, y))
        c = xs.T @ ys / x.shape[0]
        own = c.diagonal()
        return ((1 - own) ** 2).sum() + off_diagonal * ((c**2).sum() - (own**2).sum())

    def align_uniform(x, y, alpha, t, align, even):
        return align * alignment(x, y, alpha) + even / 2 * (uniformity(x, t) + uniformity(y, t))

    def triplet_of(x, a, p, n, margin):
        return torch.relu(margin + (x[a] - x[p]).norm(dim=1) - (x[a] - x[n]).norm(dim=1)).mean()

    def triplet(x, label, margin):
        with torch.no_grad():
            away = torch.cdist(x.detach(), x.detach(), compute_mode="donot_use_mm_for_euclid_dist")
            own = torch.eye(x.shape[0], dtype=torch.bool, device=x.device)
            same, other = (label[:, None] == label) & ~own, label[:, None] != label
            keep = (same.any(1) & other.any(1)).nonzero()[:, 0]
            p, n = away.masked_fill(~same, -1).argmax(1), away.masked_fill(~other, math.inf).argmin(1)
        return triplet_of(x, keep, p[keep], n[keep], margin)

    def distance(u, v):
        u, v = F.normalize(u, dim=1), F.normalize(v, dim=1)
        return 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))

    return {k: v for k, v in locals().items() if callable(v)}


# ---- What is compared ----------------------------------------------------------------------------------------------------------
def batches(torch, device, n, d, count, seed=1):
    """Unit rows that belong together loosely, f32."""
    make = torch.Generator().manual_seed(seed)
    unit = lambda t: torch.nn.functional.normalize(t.double(), dim=1).float()
    x = [unit(torch.randn(n, d, generator=make))]
    for k in range(1, count):
        x.append(unit(0.6 * x[0] + 0.8 / math.sqrt(d) * torch.randn(n, d, generator=make)))
    return [t.to(device) for t in x]


# name, batches, options of the library, options of the formula where they are others, index tensors
LOSSES = [
    ("clip", 2, (0.07,)), ("info_nce", 2, (0.07,)), ("margin_nce", 2, (0.1, 0.2)), ("siglip", 2, (0.1, -3.0)), ("nt_xent", 2, (0.1,)),
    ("decoupled_contrastive", 2, (0.1,)), ("hard_negative", 2, (0.5, 1.0, 0.1)), ("hn_nce", 2, (0.5, 1.0, 0.1)),
    ("cyclip", 2, (0.1, 0.25, 0.25)),
    ("geometric_consistency", 2, (0.5, 1.0)), ("augmented_geometric_consistency", 4, (0.5, 1.0)), ("brownian_bridge", 3, (0.25,)),
    ("feature_separation", 6, (0.3,)), ("m2_mix", 2, (0.1, 0.4)), ("clip_m2_mix", 2, (0.1, 0.4, 0.2)), ("v_mix", 2, (0.1, 0.3)),
    ("l_mix", 2, (0.1, 0.3)), ("vl_mix", 2, (0.1, 0.3)), ("m3_mix", 2, (0.1, 0.3, 0.2)), ("vicreg", 2, (25.0, 25.0, 1.0)),
    ("barlow_twins", 2, (0.005, 1e-5)),
    ("align_uniform", 2, (2.0, 2.0, 1.0, 1.0)), ("alignment", 2, (3.0,)), ("uniformity", 1, (2.0,)), ("cross_uniformity", 2, (2.0,)),
    ("joint_uniformity", 2, (2.0,)), ("sup_con", 1, (0.1,), "label"), ("rank_n_contrast", 1, (2.0, 0.0), "label"), ("triplet", 1, (0.2,), "label"),
    ("triplet_of", 1, (0.2,), "lists"), ("sup_remix", 1, (0.1, 0.3, 2.0), "label"), ("mixup_cross_entropy", 1, (0.3,), "classes"),
    ("decoupled_mixup", 1, (0.3,), "classes")]
TANGENT = {"m2_mix", "clip_m2_mix", "v_mix", "l_mix", "vl_mix", "m3_mix"}  # gradients through slerp
DENSE = {"sup_remix"}  # a formula that goes anchor by anchor
TAU = {"clip", "info_nce", "margin_nce", "siglip", "nt_xent", "decoupled_contrastive", "hard_negative", "hn_nce", "cyclip", "m2_mix",
       "v_mix", "l_mix", "vl_mix", "sup_con", "rank_n_contrast", "feature_separation", "clip_m2_mix", "sup_remix"}


def index_of(torch, kind, n, d, device):
    i = torch.arange(n)
    if kind == "label":
        return [((i * i + i // 3) % max(2, n // 8)).to(device)]
    if kind == "lists":
        return [t.to(device) for t in (i % n, (i + 1) % n, (3 * i + 2) % n)]
    return [t.to(device) for t in (i % d, (3 * i + 1) % d)] if kind == "classes" else []


def relative(got, want):
    return float((got.double() - want).norm() / want.norm().clamp(min=1e-300))


class Harness:
    def __init__(self, torch, libraries, device, seconds):
        self.torch, self.libraries, self.device = torch, libraries, device
        self.formula, self.until = formulas(torch), time.monotonic() + seconds
        self.wrong = self.compared = 0

    def say(self, **line):
        print(json.dumps(line), flush=True)

    def check(self, name, n, d, errors, most, **more):
        bad = [k for k, e in errors.items() if not e <= (most[k] if isinstance(most, dict) else most)]
        self.compared += 1
        self.wrong += bool(bad)
        self.say(check=name, n=n, d=d, errors={k: float(f"{e:.2e}") for k, e in errors.items()}, ok=not bad, **more)

    def loss(self, name, count, option, kind, n, d, exact):
        torch, function = self.torch, self.libraries.function(name)
        if not function or time.monotonic() > self.until:
            return
        x = batches(torch, self.device, n, d, count)
        if kind == "classes":
            x[0] = 4 * x[0] * math.sqrt(d)
        index = index_of(torch, kind, n, d, self.device)
        out = [torch.full_like(t, math.nan) for t in x]
        leaves = [t.double().requires_grad_() for t in x]
        scale = torch.zeros((), dtype=torch.float64, device=self.device, requires_grad=True)  # ln tau's part
        plain = [float(v) for v in option]
        if name in TAU:
            plain[0] = plain[0] * torch.exp(scale)
        value = self.formula[name](*leaves, *index, *plain)
        want = float(value.detach())
        grads = torch.autograd.grad(value, [*leaves, scale] if name in TAU else leaves)
        lists = {"other_rows": index[0].numel()} if kind == "lists" else {}
        call = Prepared(function, x, out, option, index=index, exact=exact, **lists)()
        self.wait()
        first = [t.clone() for t in (*out, call.number)]
        errors = {"loss": abs(float(call.number[0]) - want) / (abs(want) + 1e-3)}
        for k, (mine, g) in enumerate(zip(out, grads)):
            if name in TANGENT:  # ambient through the products, tangent through the mixing: compare along the sphere
                along = lambda v: v.double() - (v.double() * leaves[k].detach()).sum(1, keepdim=True) * leaves[k].detach()
                mine, g = along(mine), along(g)
            errors[f"d{k}"] = relative(mine, g)
        if name in TAU:
            errors["log_tau"] = abs(float(call.number[1]) - float(grads[-1])) / (abs(float(grads[-1])) + 0.1)
        call()
        self.wait()
        again = all(torch.equal(a.nan_to_num(7), b.nan_to_num(7)) for a, b in zip(first, (*out, call.number)))
        errors["again"] = 0.0 if again else math.inf
        if x[0].is_cuda:
            errors["graph"] = 0.0 if self.captured(call, out, first) else math.inf
        self.check(name, n, d, errors, 2e-5 if exact else 3e-3, exact=exact)

    def captured(self, call, out, first):
        torch = self.torch
        for t in out:
            t.fill_(math.nan)
        graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), torch.cuda.graph(graph, stream=side):
            call()
        graph.replay()
        self.wait()
        return all(torch.equal(a.nan_to_num(7), b.nan_to_num(7)) for a, b in zip(first, (*out, call.number)))

    def wait(self):
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def row_functions(self, n, d):
        torch, f = self.torch, self.formula
        x, y, g = batches(torch, self.device, n, d, 3)
        lam = torch.linspace(0.05, 0.95, n, device=self.device)
        xd, yd, gd, ld = (t.double() for t in (x, y, g, lam))
        tangent = lambda p, v: v - (v * p).sum(1, keepdim=True) * p
        unit = torch.nn.functional.normalize

        def vjp(of, cotangent, *leaves):
            leaves = [t.clone().requires_grad_() for t in leaves]
            return torch.autograd.grad(of(*leaves), leaves, cotangent)

        mixed = lambda a, b, t: f["slerp"](b, a, t[:, None])  # slerp_rows: t = 1 is v
        mix = lambda a, b, t: f["slerp"](a, b, t[:, None])  # geodesic: lambda weighs x
        line = lambda a, b, t: t[:, None] * a + (1 - t)[:, None] * b
        v = 0.7 * tangent(xd, gd)
        theta = f["distance"](xd, yd)
        log = unit(tangent(xd, yd), dim=1) * theta[:, None]
        e = unit(tangent(xd, yd), dim=1)
        w = (tangent(xd, gd) * e).sum(1, keepdim=True)
        carried = tangent(xd, gd) + w * ((torch.cos(theta) - 1)[:, None] * e - torch.sin(theta)[:, None] * xd)
        norm = v.norm(dim=1, keepdim=True)
        du, dv, dt = vjp(mixed, gd, xd, yd, ld)
        mu, mv, mt = vjp(mix, gd, xd, yd, ld)
        lu, lv, lt = vjp(line, gd, xd, yd, ld)
        au, av = vjp(f["distance"], ld, xd, yd)
        new = lambda: torch.full_like(x, math.nan)
        column = lambda: torch.full_like(lam, math.nan)
        on_sphere = lambda p: (lambda t: tangent(p, t.double()))
        same = lambda t: t.double()
        cases = [
            ("normalize_rows", [3 * x], [], [(new(), xd, same)]),
            ("normalize_rows_vjp", [3 * x, g], [], [(new(), tangent(xd, gd) / 3, same)]),
            ("geodesic_distance_rows", [x, y], [], [(column(), theta, same)]),
            ("geodesic_distance_rows_vjp", [x, y], [lam], [(new(), au, on_sphere(xd)), (new(), av, on_sphere(yd))]),
            ("slerp_rows", [x, y], [lam], [(new(), mixed(xd, yd, ld), same)]),
            ("slerp_rows_vjp", [x, y, g], [lam], [(new(), du, on_sphere(xd)), (new(), dv, on_sphere(yd)), (column(), dt, same)]),
            ("geodesic", [x, y], [lam], [(new(), mix(xd, yd, ld), same)]),
            ("geodesic_vjp", [x, y, g], [lam], [(new(), mu, on_sphere(xd)), (new(), mv, on_sphere(yd)), (column(), mt, same)]),
            ("linear", [x, y], [lam], [(new(), line(xd, yd, ld), same)]),
            ("linear_vjp", [x, y, g], [lam], [(new(), lu, same), (new(), lv, same), (column(), lt, same)]),
            ("tangent_rows", [x, g], [], [(new(), tangent(xd, gd), same)]),
            ("exp_map_rows", [x, v.float()], [], [(new(), torch.cos(norm) * xd + torch.sin(norm) * v / norm, same)]),
            ("log_map_rows", [x, y], [], [(new(), log, same)]),
            ("parallel_transport_rows", [x, y, tangent(xd, gd).float()], [], [(new(), carried, same)])]
        for name, ins, real, outs in cases:
            function = self.libraries.function(name)
            if function and time.monotonic() < self.until:
                Prepared(function, ins, [o[0] for o in outs], real=real)()
                self.wait()
                self.check(name, n, d, {f"out{k}": relative(view(got), view(want)) for k, (got, want, view) in enumerate(outs)}, 3e-6)

    def metrics(self, n, d):
        torch = self.torch
        x, y = batches(torch, self.device, n, d, 2)
        xd, yd = x.double(), y.double()
        label, = index_of(torch, "label", n, d, self.device)
        s = xd @ yd.T
        own = s.diagonal()[:, None]
        eye = torch.eye(n, dtype=torch.bool, device=self.device)
        rank = (1 + ((s >= own) & ~eye).sum(1)).double()
        square = ((xd[:, None] - yd[None]) ** 2).sum(2) if n <= 512 else 2 - 2 * s
        sigma = lambda t: torch.linalg.svdvals(t)
        cov_sigma = sigma(xd - xd.mean(0))
        share = sigma(xd) / sigma(xd).sum()
        spread = torch.nn.functional.pad(cov_sigma**2, (0, d - min(n, d)))
        off = (math.sqrt(d) * spread / spread.norm() - 1).norm() / math.sqrt(2 * (d - math.sqrt(d)))
        kept = (d - off**2 * (d - math.sqrt(d))) ** 2 / d**2
        k = min(5, n)
        top = s.topk(k, 1).indices.flatten().bincount(minlength=n).double()
        away = top - top.mean()
        relevant = label[:, None] == label
        order = s.argsort(1, descending=True)
        hits = relevant.gather(1, order).double()
        precision = ((hits.cumsum(1) * hits / torch.arange(1, n + 1, device=self.device)).sum(1) / hits.sum(1)).mean()
        stated = ((torch.arange(n, device=self.device) * 37 % 101).float() / 100)
        right = (torch.arange(n, device=self.device) % 3 == 0).long()
        bins = torch.clamp(torch.ceil(stated.double() * 10 - 1e-6).long() - 1, 0, 9)
        per_bin = lambda v: torch.zeros(10, dtype=torch.float64, device=self.device).index_add(0, bins, v)
        gap = (xd.mean(0) - yd.mean(0)).norm()
        cases = {
            "modality_gap": ([x, y], (), gap, {}),
            "relative_alignment": ([x, y], (), (square.diagonal() - square.masked_fill(eye, math.inf).min(1).values).mean(), {}),
            "hubness": ([x, y], (float(k),), (away**3).mean() / (away**2).mean() ** 1.5, {"counts": (n + 1) // 2 + 1}),
            "singular_values": ([x], (1.0,), cov_sigma, {"numbers": min(n, d)}),
            "effective_rank": ([x], (), torch.exp(-torch.special.xlogy(share, share).sum()), {}),
            "isotropy": ([x], (), (d * kept - 1) / (d - 1), {}),
            "anisotropy": ([x], (), ((xd.sum(0) ** 2).sum() - n) / (n * (n - 1)), {}),
            "mean_average_precision": ([x, y], (), precision, {"index": [label, label]}),
            "expected_calibration_error": ([], (10.0,), (per_bin(right.double()) - per_bin(stated.double())).abs().sum() / n,
                                           {"real": [stated], "index": [right]})}
        for name, (ins, option, want, more) in cases.items():
            function = self.libraries.function(name)
            if function and time.monotonic() < self.until:
                call = Prepared(function, ins, (), option, **more)()
                self.wait()
                got = call.number[: want.numel()].view(want.shape)
                self.check(name, n, d, {"value": relative(got, want)}, 1e-5)
        function = self.libraries.function("retrieval")
        if function:
            call = Prepared(function, [x, y], numbers=12)()
            self.wait()
            want = torch.stack([*((rank <= k).double().mean() for k in (1, 5, 10)), (1 / rank).mean()])
            self.check("retrieval", n, d, {"value": relative(call.number[[0, 1, 2, 9]], want)}, 1e-12)

    # ---- Times ----
    def medians(self, steps, repeats=20):
        """Median ms of each step, taken in turns."""
        torch = self.torch
        times = {k: [] for k in steps}
        for step in steps.values():
            for _ in range(3):
                step()
        for _ in range(repeats):
            for k, step in steps.items():
                a, b = torch.cuda.Event(True), torch.cuda.Event(True)
                a.record()
                step()
                b.record()
                b.synchronize()
                times[k].append(a.elapsed_time(b))
        return {k: round(statistics.median(t), 4) for k, t in times.items()}

    def race(self, name, count, option, kind, n, d):
        from torch_rivals import graph_of
        torch, function = self.torch, self.libraries.function(name)
        if not function or time.monotonic() > self.until:
            return
        x = batches(torch, self.device, n, d, count)
        index = index_of(torch, kind, n, d, self.device)
        out = [torch.empty_like(t) for t in x]
        leaves = [t.clone().requires_grad_() for t in x]
        formula = self.formula[name]

        def gradients(f, autocast):
            with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
                loss = f(*leaves, *index, *option)
            return torch.autograd.grad(loss, leaves)

        call = Prepared(function, x, out, option, index=index)
        steps, errors, notes = {"ours": call, "ours, graph": graph_of(call)}, {}, {}
        call()
        mine = [t.double() for t in out]
        rivals = {"eager f32": lambda: gradients(formula, False), "eager bf16": lambda: gradients(formula, True)}
        compiled = torch.compile(formula, dynamic=False)
        rivals["compile bf16"] = lambda: gradients(compiled, True)
        for rival, step in rivals.items():
            try:
                errors[rival] = float(f"{max(relative(g, m) for g, m in zip(step(), mine)):.1e}")
                steps[rival] = step
                if rival == "eager bf16":
                    steps["eager bf16, graph"] = graph_of(step)
            except Exception as error:  # out of memory, what a compiler does not know
                notes[rival] = str(error).splitlines()[0][:120]
        if errors.get("eager f32", 0) > 5e-3:
            self.wrong += 1
        self.say(time=name, n=n, d=d, ms=self.medians(steps), differences=errors, left_out=notes, extra_MiB=round(call.call.needed / 2**20, 1))
        torch._dynamo.reset()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("library", nargs="+")
    arguments.add_argument("--seconds", type=float, default=240)
    arguments.add_argument("--emulated", action="store_true")
    given = arguments.parse_args()
    libraries = Libraries(given.library)
    known = [name for name, *_ in LOSSES if libraries.function(name)]
    print(f"loaded: {len(libraries.parts)} libraries, {len(known)} losses", flush=True)
    try:
        import torch
    except ImportError:
        print("skipped: no PyTorch")
        return 0
    if not given.emulated and not torch.cuda.is_available():
        print("skipped: no GPU")
        return 0
    torch.backends.cuda.matmul.allow_tf32 = False
    harness = Harness(torch, libraries, "cpu" if given.emulated else "cuda", given.seconds)
    if not given.emulated:
        harness.say(device=torch.cuda.get_device_name(), torch=torch.__version__, cuda=torch.version.cuda)
    sizes = [(37, 24), (130, 16)] if given.emulated else [(300, 96), (4096, 520), (8192, 1024)]
    for n, d in sizes:
        harness.row_functions(n, d)
        if n <= 4096:
            harness.metrics(n, d)
        for name, count, option, *kind in LOSSES:
            if name in DENSE and n > 300:
                continue
            for exact in (True, False):
                harness.loss(name, count, option, kind[0] if kind else "", n, d, exact)
    if not given.emulated:
        for name, count, option, *kind in LOSSES:  # beyond one range of the default size, neither a multiple of anything
            if name in ("clip", "siglip"):
                harness.loss(name, count, option, "", 20001, 520, False)
        for n in (1024, 4096, 32768):
            for name, count, option, *kind in LOSSES:
                if name in ("clip", "siglip", "m2_mix", "sup_con", "vicreg", "align_uniform", "triplet"):
                    harness.race(name, count, option, kind[0] if kind else "", n, 512)
    harness.say(compared=harness.compared, wrong=harness.wrong)
    return int(harness.wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
