#!/usr/bin/env python3
"""Writes sphere.txt, metrics.txt and losses.txt: high-precision values of every function the promises cover.

    python3 -m venv /tmp/reference && /tmp/reference/bin/pip install mpmath numpy gmpy2
    /tmp/reference/bin/python tests/reference/generate.py [sphere] [metrics] [losses]

Each formula is written once as a value with 80 digits; gradients come from autodiff.py, checked here against
central differences. Inputs are exact in the case's precision: either stored, or named by (kind, seed, n, d) of
recipe.py. Results are hexadecimal doubles. No part of the library is used. About four minutes of one core.
"""
import os
import random
import sys

import mpmath
import numpy

from autodiff import Var, array, atan2, cos, exp, lift, log, sin, sqrt
from recipe import cotangent, key, rows, signature

HERE = os.path.dirname(os.path.abspath(__file__))
mpf = mpmath.mpf


def f32(x):
    return float(numpy.float32(x))


def rounded(x, precision):
    a = numpy.array([[float(v) for v in row] for row in numpy.atleast_2d(x)])
    return a.astype(numpy.float32).astype(float) if precision == "f32" else a


class Writer:
    """One case a block: `case function precision key=value ...`, then `name count values...` lines."""

    def __init__(self, name):
        self.file = open(os.path.join(HERE, name), "w")
        self.cases = 0

    def case(self, function, precision, fields, arrays):
        words = ["case", function, precision]
        words += [f"{k}={v.hex() if isinstance(v, float) else v}" for k, v in fields.items()]
        print(*words, file=self.file)
        for name, values in arrays.items():
            values = [float(v) for v in values]
            if function != "normalize":  # what 80 digits and steps of 1e-30 leave of an exact zero
                values = [0.0 if abs(v) < 1e-28 else v for v in values]
            print(" ", name, len(values), *[short(v) for v in values], file=self.file)
        self.cases += 1

    def close(self):
        self.file.close()
        size = os.path.getsize(self.file.name)
        print(f"{os.path.basename(self.file.name)}: {self.cases} cases, {size} bytes")


def short(v):
    """The shorter of the decimal and the hexadecimal that read back as v."""
    return min(repr(v).removesuffix(".0"), v.hex(), key=len)


# ---- The formulas ----


def rowdot(a, b):
    return (a * b).sum(axis=1)


def unit(x):
    return x / sqrt(rowdot(x, x))


def apart(a, b):
    """b, with rows equal to a's moved by 1e-30 across: gives the limit of slerp there, whose gradient is smooth."""
    n, d = a.shape
    shift = numpy.full((n, d), mpf(0), dtype=object)
    for i in range(n):
        c = mpmath.fdot(list(a.value[i]), list(b.value[i]))
        r = b.value[i] - c * a.value[i]
        if mpmath.sqrt(mpmath.fdot(list(r), list(r))) < mpf(10) ** -60:
            assert c > 0, "antipodal"
            j = min(range(d), key=lambda k: abs(a.value[i, k]))
            e = -a.value[i, j] * a.value[i]
            e[j] += 1
            shift[i] = e * mpf(10) ** -30
    return b + Var(shift)


def frame(a, b):
    """cos, sin as n x 1, the unit tangent at a towards b, and the angle."""
    c = rowdot(a, b)
    r = b - c * a
    s = sqrt(rowdot(r, r))
    return r / s, atan2(s, c)


def slerp(a, b, t):
    """From a (t = 0) to b (t = 1) along the great circle of the normalised rows."""
    a, b = unit(a), unit(b)
    if a.shape[1] == 1:
        return a + 0 * t * b
    e, theta = frame(a, apart(a, b))
    return cos(t * theta) * a + sin(t * theta) * e


def lse(z, mask=None):
    e = exp(z)
    if mask is not None:
        e = e * mask
    return log(e.sum(axis=1))


def diagonal(z):
    return (z * eye(z.shape[0])).sum(axis=1)


def eye(n):
    return array(numpy.eye(n))


def info_nce(x, y, log_tau):
    z = x @ y.T / exp(log_tau)
    return (lse(z) - diagonal(z)).sum() / x.shape[0]


def clip(x, y, log_tau):
    return (info_nce(x, y, log_tau) + info_nce(y, x, log_tau)) / 2


def m2_mix(x, y, lam, log_tau, reduction="sum", negatives="replace"):
    n = x.shape[0]
    m = slerp(x, y, 1 - lam)
    tau, off = exp(log_tau), array(1 - numpy.eye(n))
    positive = rowdot(x, y) / tau
    total = 0
    for anchor, other in ((x, y), (y, x)):
        parts = exp(positive) + (exp(anchor @ m.T / tau) * off).sum(axis=1)
        if negatives == "append":
            parts = parts + (exp(anchor @ other.T / tau) * off).sum(axis=1)
        total = total + (log(parts) - positive).sum() / n
    return total if reduction == "sum" else total / 2


def soft(z, targets):
    """Half the sum of both directions' cross entropies; the columns use the transposed targets."""
    n = z.shape[0]
    rows_ = (targets * (lse(z) - z)).sum() / n
    columns = (targets.T * (lse(z.T) - z.T)).sum() / n
    return (rows_ + columns) / 2


def partner_matrix(partners):
    j = numpy.zeros((len(partners), len(partners)))
    j[range(len(partners)), partners] = 1
    return array(j)


def v_mix(x, y, lam, log_tau, partners):
    mixed = slerp(x, x.rows(partners), 1 - lam)
    targets = lam * eye(len(partners)) + (1 - lam) * partner_matrix(partners)
    return soft(mixed @ y.T / exp(log_tau), targets)


def l_mix(x, y, lam, log_tau, partners):
    return v_mix(y, x, lam, log_tau, partners)


def vl_mix(x, y, lam, log_tau, partners, targets="identity"):
    z = slerp(x, x.rows(partners), 1 - lam) @ slerp(y, y.rows(partners), 1 - lam).T / exp(log_tau)
    wanted = lift(eye(len(partners)))
    return soft(z, wanted + partner_matrix(partners) if targets == "released" else wanted)


# ---- The sphere ----

ANGLES = ["0", "1e-20", "1e-12", "1e-9", "1e-7", "1e-5", "1e-3", "0.05", "0.5", "1", "pi/2", "2", "3", "pi-1e-2", "pi-1e-4",
          "pi-1e-6", "pi-1e-8", "pi-1e-10", "pi-1e-12"]
TIMES = [0.5, f32(0.3), 0.25, 0.0, 1.0, 0.875, f32(0.01), 1.5, -0.25]


def angle_pair(d, theta, precision, rng):
    """u and v exact in the precision, about theta apart, from small components when theta is below its grid."""
    theta = mpmath.mpf(eval(theta, {"pi": mpmath.pi}) if "pi" in theta else theta)
    near = min(theta, mpmath.pi - theta)
    if d == 1:
        return numpy.array([[1.0]]), numpy.array([[1.0]])
    if near < (1e-3 if precision == "f32" else 1e-6):  # along an axis small components are exact to their own eps
        u = [mpf(0)] * d
        v = [mpf(0)] * d
        tilt = [mpf(rng.uniform(-1, 1)) for _ in range(d - 1)]
        norm = mpmath.sqrt(sum(x * x for x in tilt))
        for k in range(1, d):
            u[k] = near * mpf("0.75") * tilt[k - 1] / norm
            v[k] = -near * mpf("0.25") * tilt[k - 1] / norm
        u[0] = mpmath.sqrt(1 - sum(x * x for x in u))
        v[0] = mpmath.sqrt(1 - sum(x * x for x in v))
    else:
        u = [mpf(rng.gauss(0, 1)) for _ in range(d)]
        w = [mpf(rng.gauss(0, 1)) for _ in range(d)]
        n = mpmath.sqrt(sum(x * x for x in u))
        u = [x / n for x in u]
        c = sum(x * y for x, y in zip(u, w))
        w = [y - c * x for x, y in zip(u, w)]
        n = mpmath.sqrt(sum(x * x for x in w))
        v = [mpmath.cos(near) * x + mpmath.sin(near) * y / n for x, y in zip(u, w)]
    if near != theta:
        v = [-x for x in v]
    return rounded([u], precision), rounded([v], precision)


def ulps_apart(d, precision, rng, opposite):
    """u in general position and v (or -v) a few units in the last place from it: what is left of the rows' own
    rounding is as large as their distance, so the frame must be orthogonalised."""
    kind = numpy.float32 if precision == "f32" else numpy.float64
    u = numpy.array([rng.gauss(0, 1) for _ in range(d)])
    u = (u / numpy.sqrt((u * u).sum())).astype(kind)
    v = u.copy()
    for k in range(d):
        for _ in range(rng.randrange(4)):
            v[k] = numpy.nextafter(v[k], kind(2))
    return u[None].astype(float), (-v if opposite else v)[None].astype(float)


def sphere_values(u, v, g, w, t):
    """Everything the sphere promises about one pair, with g a cotangent or vector and w a tangent at u."""
    d = u.shape[1]
    ua, va, ta = Var(array(u)), Var(array(v)), Var(array([[t]]))
    out = {}
    a, b = unit(Var(array(u))), unit(Var(array(v)))
    same = d == 1 or numpy.array_equal(u, v)
    zero = numpy.full((1, d), mpf(0), dtype=object)
    e, theta = (Var(zero), Var(array([[0]]))) if same else frame(a, b)
    out["distance"] = theta.value
    out["log"] = (e * theta).value
    ga = Var(array(g))
    tangent = ga - rowdot(a, ga) * a
    out["tangent"] = tangent.value
    middle = a + b
    out["transport"] = (tangent - 2 * rowdot(b, tangent) / rowdot(middle, middle) * middle).value
    wa = Var(array(w))
    wa = wa - rowdot(a, wa) * a
    if all(x == 0 for x in wa.value.reshape(-1)):
        out["exp"] = a.value
    else:
        size = sqrt(rowdot(wa, wa))
        out["exp"] = (cos(size) * a + sin(size) / size * wa).value
    point = slerp(ua, va, ta)
    out["slerp"] = point.value
    (point * ga).sum().backward()
    out["vjp_u"], out["vjp_v"], out["vjp_t"] = ua.gradient, va.gradient, ta.gradient
    sine = mpmath.sin(theta.value[0, 0])
    return out, sine


def quarter_turn(u, scale):
    """Exactly tangent to u: pairs of components turned by 90 degrees, times a power of two."""
    w = numpy.zeros_like(u)
    for k in range(0, u.shape[1] - 1, 2):
        w[0, k], w[0, k + 1] = -u[0, k + 1] * scale, u[0, k] * scale
    return w


def write_sphere():
    out = Writer("sphere.txt")
    rng = random.Random(1)
    count = 0

    def one(precision, u, v, fields):
        nonlocal count
        d, t, scale = u.shape[1], TIMES[count % len(TIMES)], 2.0 ** [0, -20, 1, -3][count % 4]
        count += 1
        values, sine = sphere_values(u, v, cotangent(count, 1, d), quarter_turn(u, scale), t)
        arrays = {} if "kind" in fields else {"u": u[0], "v": v[0]}
        arrays |= {k: signature(x, count) for k, x in values.items()}
        fields = fields | {"d": d, "sample": count, "t": t, "scale": scale, "sine": float(mpmath.nstr(sine, 6))}
        out.case("sphere", precision, fields, arrays)

    for precision in ("f32", "f64"):
        for d in (1, 2, 3, 64):
            for theta in ["0"] if d == 1 else ANGLES:
                if d == 64 and precision == "f32" and theta not in ANGLES[1:-1:4]:
                    continue
                for repeat in range(1 if d in (1, 64) else 3):
                    u, v = angle_pair(d, theta, precision, rng)
                    one(precision, u, v, {"theta": theta})
        for d in (2, 3, 64):
            for repeat in range(2 if d == 64 else 12):
                u, v = ulps_apart(d, precision, rng, repeat % 2)
                if not numpy.array_equal(abs(u), abs(v)):
                    one(precision, u, v, {"theta": "pi-ulps" if repeat % 2 else "ulps"})
        for d in (64, 512):
            for kind in ("random", "cone", "near", "close", "far"):
                for seed in range(3):
                    u, v = rows(kind, seed, 0, 1, d, precision), rows(kind, seed, 1, 1, d, precision)
                    one(precision, u, v, {"kind": kind, "seed": seed})
    # Normalisation: ordinary rows, and rows whose squares overflow or vanish.
    for precision in ("f32", "f64"):
        tiny, huge = (2.0**-149, 2.0**127) if precision == "f32" else (5e-324, 2.0**1023)
        for d in (1, 2, 3, 7, 64):
            for scale in (1.0, tiny, tiny * 1024, tiny * 2**30, huge, huge / 2**20, huge / 2**80):
                x = numpy.array([[rng.uniform(-1, 1) for _ in range(d)]])
                x = x * scale if scale > tiny * 2048 else numpy.round(x * 1000 + 0.5) * scale
                if scale > 1 and d > 2:
                    x[0, 0] = 1.0
                x = rounded(x, precision)
                if d == 64 and scale not in (1.0, tiny, huge):
                    continue
                value = unit(Var(array(x))).value
                out.case("normalize", precision, {"d": d, "size": float(abs(x).max())}, {"x": x[0], "value": value[0]})
    out.close()


# ---- Metrics ----


def alignment(x, y, alpha):
    d = x - y
    square = rowdot(d, d)
    power = square if alpha == 2 else exp(log(square) * (mpf(alpha) / 2))
    return power.sum() / x.shape[0]


def uniformity(x, t):
    n = x.shape[0]
    total = 0
    for shift in range(1, n):  # rows paired with the rows after them, without the Gram form
        d = x.rows(range(shift, n)) - x.rows(range(0, n - shift))
        total = total + exp(-t * rowdot(d, d)).sum()
    return log(total / (mpf(n) * (n - 1) / 2))


def write_metrics():
    out = Writer("metrics.txt")
    rng = random.Random(2)
    seed = 100
    for precision in ("f32", "f64"):
        for n, d in [(1, 1), (2, 2), (3, 3), (7, 3), (7, 64), (33, 2), (33, 3), (33, 64), (7, 512)]:
            for kind in ("cone", "near", "close", "bunch"):
                seed += 1
                kind = "line" if d == 1 else kind
                x, y = rows(kind, seed, 0, n, d, precision), rows(kind, seed, 1, n, d, precision)
                fields = {"kind": kind, "seed": seed, "n": n, "d": d}
                for alpha in (2.0, [1.0, 3.0, 0.5][seed % 3]):
                    if d == 1 and alpha != 2:
                        continue
                    xv, yv = Var(array(x)), Var(array(y))
                    value = alignment(xv, yv, alpha)
                    value.backward()
                    out.case("alignment", precision, fields | {"alpha": alpha},
                             {"value": [value.value], "x": signature(xv.gradient, seed), "y": signature(yv.gradient, seed)})
                if n > 1:
                    t = [2.0, 2.0, 1.0, 5.0][seed % 4]
                    xv = Var(array(x))
                    value = uniformity(xv, t)
                    value.backward()
                    out.case("uniformity", precision, fields | {"t": t},
                             {"value": [value.value], "x": signature(xv.gradient, seed)})
        # Near-duplicates closer than the recipe can make them: small components around an axis.
        for spread in (1e-3, 1e-5, 1e-7, 1e-9, 1e-12):
            for n, d in ((2, 2), (7, 3)):
                x = [[mpf(1)] + [mpf(rng.gauss(0, spread)) for _ in range(d - 1)] for _ in range(n)]
                x = rounded([[c / mpmath.sqrt(sum(v * v for v in row)) for c in row] for row in x], precision)
                y = x.copy()
                y[:, 1:] = rounded(y[:, 1:] * 1.5, precision)
                xv, yv = Var(array(x)), Var(array(y))
                value = alignment(xv, yv, 2.0)
                value.backward()
                out.case("alignment", precision, {"spread": spread, "n": n, "d": d, "alpha": 2.0},
                         {"X": x.reshape(-1), "Y": y.reshape(-1), "value": [value.value],
                          "x": signature(xv.gradient, 1), "y": signature(yv.gradient, 1)})
                xv = Var(array(x))
                value = uniformity(xv, 2.0)
                value.backward()
                out.case("uniformity", precision, {"spread": spread, "n": n, "d": d, "t": 2.0},
                         {"X": x.reshape(-1), "value": [value.value], "x": signature(xv.gradient, 1)})
    out.close()


# ---- Losses ----

SHAPES = ([(n, 1) for n in (1, 2, 7)] + [(n, d) for d in (2, 3, 64) for n in (1, 2, 3, 7, 33)] + [(2, 512), (33, 512)])
TAUS = (0.01, 0.07, 1.0, 0.001)
LAMBDAS = (f32(0.3), 0.5, 0.0, 1.0, f32(0.9), 2.0**-20, "rows")
LOSSES = ("info_nce", "clip", "m2_mix", "clip_m2_mix", "v_mix", "l_mix", "vl_mix", "m3_mix")


def loss_value(function, x, y, lam, taus, partners, fields):
    """The loss as a Var of the Vars x, y, lam (a dict for m3_mix, else one) and taus (one or two)."""
    if function == "info_nce":
        return info_nce(x, y, taus[0])
    if function == "clip":
        return clip(x, y, taus[0])
    if function == "m2_mix":
        return m2_mix(x, y, lam["lambda"], taus[0], fields["reduction"], fields["negatives"])
    if function == "clip_m2_mix":
        mixed = m2_mix(x, y, lam["lambda"], taus[1], fields["reduction"], fields["negatives"])
        return clip(x, y, taus[0]) + fields["weight"] * mixed
    if function == "v_mix":
        return v_mix(x, y, lam["lambda"], taus[0], partners)
    if function == "l_mix":
        return l_mix(x, y, lam["lambda"], taus[0], partners)
    if function == "vl_mix":
        return vl_mix(x, y, lam["lambda"], taus[0], partners, fields["targets"])
    w = fields
    return (w["weight_m2"] * m2_mix(x, y, lam["lambda_m2"], taus[1]) +
            w["weight_v"] * v_mix(x, y, lam["lambda_v"], taus[0], partners) +
            w["weight_l"] * l_mix(x, y, lam["lambda_l"], taus[0], partners) +
            w["weight_vl"] * vl_mix(x, y, lam["lambda_vl"], taus[0], partners))


def smallest_sine(x, y):
    """Over paired rows that are not equal: how far from the antipode the mixing is."""
    least = mpf(1)
    a, b = unit(Var(array(x))).value, unit(Var(array(y))).value
    for p, q in zip(a, b):
        c = mpmath.fdot(list(p), list(q))
        if c < 0:
            least = min(least, mpmath.sqrt(abs(1 - c * c)))
    return float(mpmath.nstr(least, 6))


def loss_case(function, kind, seed, n, d, precision, rng, tau):
    fields = {"kind": kind, "seed": seed, "n": n, "d": d, "tau": tau}
    x, y = rows(kind, seed, 0, n, d, precision), rows(kind, seed, 1, n, d, precision)
    names, logs = [], [tau]
    if function == "m3_mix":
        names = ["lambda_m2", "lambda_v", "lambda_l", "lambda_vl"]
    elif "mix" in function:
        names = ["lambda"]
    if function in ("m3_mix", "clip_m2_mix"):
        fields["mix_tau"] = rng.choice(TAUS)
        logs.append(fields["mix_tau"])
    if function in ("m2_mix", "clip_m2_mix"):
        fields["reduction"], fields["negatives"] = rng.choice(("sum", "mean")), rng.choice(("replace", "append"))
    if function == "clip_m2_mix":
        fields["weight"] = rng.choice((1.0, 0.25, 0.0))
    if function == "vl_mix":
        fields["targets"] = rng.choice(("identity", "released"))
    if function == "m3_mix":
        fields |= {"weight_m2": rng.choice((1.0, 0.125)), "weight_v": rng.choice((1.0, 0.5)),
                   "weight_l": rng.choice((1.0, 0.25)), "weight_vl": rng.choice((1.0, 2.0))}
    arrays, lambdas = {}, {}
    for name in names:
        lam = rng.choice(LAMBDAS)
        column = [[rng.randrange(1, 1024) / 1024] for _ in range(n)] if lam == "rows" else [[lam]]
        if lam == "rows" and n > 1 and rng.random() < 0.5:
            column[0], column[1] = [0.0], [1.0]
        if function == "m3_mix" and lam == "rows":
            column = [[0.625]]
        lambdas[name] = Var(array(column))
        if lam == "rows" and function != "m3_mix":
            fields["rows"] = 1
        arrays[name] = [c[0] for c in column]
    partners = list(range(n))[::-1]
    if function in ("v_mix", "l_mix", "vl_mix", "m3_mix") and rng.random() < 0.4 and n > 1:
        rng.shuffle(partners)
        arrays["partners"] = partners
    xv, yv = Var(array(x)), Var(array(y))
    taus = [Var(numpy.array([[mpmath.log(mpf(t))]], dtype=object)) for t in logs]
    value = loss_value(function, xv, yv, lambdas, taus, partners, fields)
    value.backward()
    check_gradient(function, x, y, lambdas, taus, partners, fields, xv, yv)
    cosine = max(abs(mpmath.fdot(list(p), list(q))) for p in array(x) for q in array(y)) if n * n * d < 3000 else 1
    fields["logit"] = float(mpmath.nstr(cosine / mpf(min(logs)), 6))
    sines = [1.0]
    if function in ("m2_mix", "clip_m2_mix", "m3_mix"):
        sines.append(smallest_sine(x, y))
    if function in ("v_mix", "vl_mix", "m3_mix"):
        sines.append(smallest_sine(x, x[partners]))
    if function in ("l_mix", "vl_mix", "m3_mix"):
        sines.append(smallest_sine(y, y[partners]))
    fields["sine"] = min(sines)
    arrays["loss"] = [value.value]
    arrays["x"], arrays["y"] = signature(xv.gradient, seed), signature(yv.gradient, seed)
    for name, lam in lambdas.items():
        arrays["d" + name] = lam.gradient.reshape(-1)
    arrays["log_temperature"] = taus[0].gradient.reshape(-1)
    if len(taus) > 1:
        arrays["log_mix_temperature"] = taus[1].gradient.reshape(-1)
    return fields, arrays


def check_gradient(function, x, y, lambdas, taus, partners, fields, xv, yv):
    """The chain rule against a central difference along a random direction; small cases only."""
    n, d = x.shape
    if n * d > 25 or d == 1 or fields["kind"] == "edges":
        return
    h = mpf(10) ** -25
    rng = random.Random(fields["seed"])
    directions = [array([[rng.gauss(0, 1) for _ in range(d)] for _ in range(n)]) for _ in range(2)]
    shifts = {k: mpf(rng.gauss(0, 1)) for k in lambdas}
    tau_shifts = [mpf(rng.gauss(0, 1)) for _ in taus]

    def at(step):
        lam = {k: Var(v.value + step * shifts[k]) for k, v in lambdas.items()}
        tau = [Var(v.value + step * s) for v, s in zip(taus, tau_shifts)]
        return loss_value(function, Var(array(x) + step * directions[0]), Var(array(y) + step * directions[1]), lam, tau,
                          partners, fields).value.reshape(-1)[0]

    difference = (at(h) - at(-h)) / (2 * h)
    chain = (xv.gradient * directions[0]).sum() + (yv.gradient * directions[1]).sum()
    chain += sum(v.gradient.sum() * shifts[k] for k, v in lambdas.items() if v.gradient is not None)
    chain += sum(v.gradient.sum() * s for v, s in zip(taus, tau_shifts) if v.gradient is not None)
    assert abs(chain - difference) < mpf(10) ** -25 * (1 + abs(chain)), (function, fields, chain, difference)


def write_losses():
    out = Writer("losses.txt")
    seed = 1000
    for function in LOSSES:
        for precision in ("f32", "f64"):
            rng = random.Random(f"{function} {precision}")
            todo = [(n, d, TAUS[i % 4]) for i, (n, d) in enumerate(SHAPES)]
            todo += [(n, d, tau) for n, d in ((7, 3), (33, 64)) for tau in TAUS]
            todo += [(7, 3, tau) for tau in TAUS]
            for n, d, tau in todo:
                if (n, d) == (33, 512) and function not in ("info_nce", "clip", "m2_mix", "clip_m2_mix", "m3_mix"):
                    continue
                seed += 1
                kind = "line" if d == 1 else rng.choice(("cone", "cone", "near", "close", "edges"))
                if function in ("info_nce", "clip"):
                    kind = rng.choice(("random", "cone", "near", "far", "bunch"))
                out.case(function, precision, *loss_case(function, kind, seed, n, d, precision, rng, tau))
    out.close()


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["sphere", "metrics", "losses"]
    for family in wanted:
        globals()["write_" + family]()
