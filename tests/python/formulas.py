"""The formulas of docs/formulas.md in plain NumPy, float64: what the package is compared with."""
import numpy as np


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def angle(u, v):
    return 2 * np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1))


def slerp(u, v, t):
    theta = angle(u, v)[..., None]
    t = np.reshape(t, (-1, 1)) if np.ndim(t) else t
    return (np.sin((1 - t) * theta) * u + np.sin(t * theta) * v) / np.sin(theta)


def mix(x, y, lam):
    return slerp(y, x, lam)


def lse(z, axis=-1):
    top = z.max(axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.exp(z - top).sum(axis=axis))


def log_softmax(z):
    return z - lse(z)[..., None]


def softplus(u):
    return np.maximum(u, 0) + np.log1p(np.exp(-np.abs(u)))


# ---- losses of pairs ----


def info_nce(x, y, tau):
    z = x @ y.T / tau
    return np.mean(lse(z) - np.diag(z))


def clip(x, y, tau):
    return (info_nce(x, y, tau) + info_nce(y, x, tau)) / 2


def margin_nce(x, y, tau, m):
    z = (x @ y.T - m * np.eye(len(x))) / tau
    return np.mean(lse(z) - np.diag(z))


def siglip(x, y, tau, bias):
    z = 2 * np.eye(len(x)) - 1
    return softplus(-z * (x @ y.T / tau + bias)).sum() / len(x)


def stacked(x, y, tau):
    z = np.concatenate([x, y])
    n = len(x)
    return z @ z.T / tau, np.r_[np.arange(n) + n, np.arange(n)]


def nt_xent(x, y, tau):
    s, partner = stacked(x, y, tau)
    masked = np.where(np.eye(len(s), dtype=bool), -np.inf, s)
    return np.mean(lse(masked) - s[np.arange(len(s)), partner])


def decoupled_contrastive(x, y, tau, sigma=None):
    s, partner = stacked(x, y, tau)
    out = np.eye(len(s), dtype=bool)
    out[np.arange(len(s)), partner] = True
    w = np.ones(len(s))
    if sigma:
        c = (x * y).sum(1) / sigma
        w = 2 - len(x) * np.exp(c - lse(c))
        w = np.r_[w, w]
    return np.mean(lse(np.where(out, -np.inf, s)) - w * s[np.arange(len(s)), partner])


def hard_negative(x, y, tau, beta, tau_plus):
    s, partner = stacked(x, y, tau)
    total = 0
    count = len(s) - 2
    for i in range(len(s)):
        b = np.delete(s[i], [i, partner[i]])
        a = s[i, partner[i]]
        r = count * np.exp((1 + beta) * b).sum() / np.exp(beta * b).sum()
        v = max((r - tau_plus * count * np.exp(a)) / (1 - tau_plus), count * np.exp(-1 / tau))
        total += np.log1p(v * np.exp(-a))
    return total / len(s)


def hn_nce(x, y, tau, beta, tau_plus):
    total, count = 0, len(x) - 1
    for s in (x @ y.T / tau, y @ x.T / tau):
        for i in range(len(x)):
            b, a = np.delete(s[i], i), s[i, i]
            r = count * np.exp((1 + beta) * b).sum() / np.exp(beta * b).sum()
            v = max((r - tau_plus * count * np.exp(a)) / (1 - tau_plus), count * np.exp(-1 / tau))
            total += np.log1p(v * np.exp(-a))
    return total / (2 * len(x))


def geometric_consistency(x, y, cross=1, within=1):
    s = x @ y.T
    return (cross * ((s - s.T) ** 2).sum() + within * ((x @ x.T - y @ y.T) ** 2).sum()) / len(x)


def cyclip(x, y, tau, cross, within):
    return clip(x, y, tau) + geometric_consistency(x, y, cross, within)


def augmented_geometric_consistency(x, y, xa, ya, cross, within):
    n = len(x)
    inside = ((x @ x.T - xa @ xa.T) ** 2).sum() + ((y @ y.T - ya @ ya.T) ** 2).sum()
    return within * inside / n + cross * (((x * y).sum(1) - (xa * ya).sum(1)) ** 2).sum() / n


def brownian_bridge(a, x, y, r):
    return np.mean(((a - unit(r * x + (1 - r) * y)) ** 2).sum(1))


def feature_separation(x, y, xi, yi, xa, ya, tau, weights, augmented, joint):
    n = len(x)
    ortho = (((x * xi).sum(1)) ** 2).sum() / n + (((y * yi).sum(1)) ** 2).sum() / n

    def contrast(own, other):
        keys = other if augmented else own
        return np.mean(lse(own @ keys.T / tau) - (own * other).sum(1) / tau)

    def spread(a):
        return np.exp(-2 * ((a[:, None] - a[None]) ** 2).sum(-1)).sum()

    even = np.log((spread(xi) + spread(yi)) / n) if joint else np.log(spread(xi) / n) + np.log(spread(yi) / n)
    return weights[0] * ortho + weights[1] * (contrast(xi, xa) + contrast(yi, ya)) + weights[2] * even


def barlow_twins(x, y, weight=0.005, eps=1e-5):
    xs, ys = ((a - a.mean(0)) / np.sqrt(a.var(0) + eps) for a in (x, y))
    c = xs.T @ ys / len(x)
    return ((1 - np.diag(c)) ** 2).sum() + weight * ((c - np.diag(np.diag(c))) ** 2).sum()


def vicreg(x, y, wi=25, wv=25, wc=1, gamma=1, eps=1e-4):
    def view(a):
        c = np.cov(a.T)
        spread = np.maximum(0, gamma - np.sqrt(np.diag(c) + eps)).mean() / 2
        return wv * spread + wc * (c**2).sum() / a.shape[1] - wc * (np.diag(c) ** 2).sum() / a.shape[1]

    return wi * np.mean((x - y) ** 2) + view(x) + view(y)


# ---- losses that mix ----


def m2_mix(x, y, lam, tau, mean=False, append=False):
    m = mix(x, y, lam)
    n = len(x)
    total = 0
    for a, b in ((x, y), (y, x)):
        own = (x * y).sum(1) / tau
        others = a @ m.T / tau
        z = np.where(np.eye(n, dtype=bool), own[:, None], others)
        if append:
            z = np.concatenate([z, np.where(np.eye(n, dtype=bool), -np.inf, a @ b.T / tau)], 1)
        total += np.mean(lse(z) - own)
    return total / 2 if mean else total


def clip_m2_mix(x, y, lam, tau, tau_mix, weight=1):
    return clip(x, y, tau) + weight * m2_mix(x, y, lam, tau_mix)


def soft(z, w):
    return ((w * (lse(z)[:, None] - z)).sum() + (w * (lse(z.T)[None, :] - z)).sum()) / (2 * len(z))


def partner_matrix(partners):
    j = np.zeros((len(partners),) * 2)
    j[np.arange(len(partners)), partners] = 1
    return j


def v_mix(x, y, lam, tau, partners):
    v = mix(x, x[partners], lam)
    l = np.reshape(np.broadcast_to(lam, len(x)), (-1, 1))
    return soft(v @ y.T / tau, l * np.eye(len(x)) + (1 - l) * partner_matrix(partners))


def l_mix(x, y, lam, tau, partners):
    return v_mix(y, x, lam, tau, partners)


def vl_mix(x, y, lam, tau, partners, released=False):
    v, t = mix(x, x[partners], lam), mix(y, y[partners], lam)
    w = np.eye(len(x)) + (partner_matrix(partners) if released else 0)
    return soft(v @ t.T / tau, w)


def m3_mix(x, y, lams, tau, tau_mix, weights, partners):
    m2, v, l, vl = lams
    return (
        weights[0] * m2_mix(x, y, m2, tau_mix)
        + weights[1] * v_mix(x, y, v, tau, partners)
        + weights[2] * l_mix(x, y, l, tau, partners)
        + weights[3] * vl_mix(x, y, vl, tau, partners)
    )


# ---- labels ----


def sup_con(x, labels, tau):
    total, anchors = 0, 0
    s = x @ x.T / tau
    for i in range(len(x)):
        others = np.delete(np.arange(len(x)), i)
        same = [p for p in others if labels[p] == labels[i]]
        if same:
            anchors += 1
            total += lse(s[i, others]) - s[i, same].mean()
    return total / anchors


def rank_n_contrast(x, apart, tau, cosine=False):
    n, total = len(x), 0
    for i in range(n):
        others = np.delete(np.arange(n), i)
        z = (x[others] @ x[i] if cosine else -np.linalg.norm(x[others] - x[i], axis=1)) / tau
        for j, away in enumerate(apart[i, others]):
            total += lse(z[apart[i, others] >= away]) - z[j]
    return total / (n * (n - 1))


def sup_remix(x, labels, lam, tau, window=1):
    total, anchors = 0, 0
    n = len(x)
    s = x @ x.T / tau
    weigh = lambda d: 1 + abs(d)  # noqa: E731
    for i in range(n):
        keys = [(s[i, q], weigh(labels[i] - labels[q]) if labels[q] != labels[i] else 1.0) for q in range(n) if q != i]
        positives = [s[i, q] for q in range(n) if q != i and labels[q] == labels[i]]
        for k in range(n):
            if labels[k] != labels[i]:
                keys.append((lam * s[i, i] + (1 - lam) * s[i, k], weigh((1 - lam) * (labels[i] - labels[k]))))
        for j in range(n):
            for k in range(n):
                if labels[i] - window < labels[j] < labels[i] < labels[k] < labels[i] + window:
                    l = (labels[k] - labels[i]) / (labels[k] - labels[j])
                    mixed = l * s[i, j] + (1 - l) * s[i, k]
                    keys.append((mixed, 1.0))
                    positives.append(mixed)
        if positives:
            anchors += 1
            z = np.array([k for k, _ in keys]) + np.log([w for _, w in keys])
            total += lse(z) - np.mean(positives)
    return total / anchors


def triplet(x, labels, margin, semi_hard=False, squared=False):
    d = np.linalg.norm(x[:, None] - x[None], axis=-1)
    if squared:
        d = d**2
    terms = []
    for a in range(len(x)):
        same = [p for p in range(len(x)) if p != a and labels[p] == labels[a]]
        other = [q for q in range(len(x)) if labels[q] != labels[a]]
        if not same or not other:
            continue
        if not semi_hard:
            terms.append(max(0, margin + max(d[a, p] for p in same) - min(d[a, q] for q in other)))
            continue
        for p in same:
            beyond = [d[a, q] for q in other if d[a, q] > d[a, p]]
            terms.append(max(0, margin + d[a, p] - (min(beyond) if beyond else max(d[a, q] for q in other))))
    return np.mean(terms)


def mixup_cross_entropy_k(z, c, w):
    p = log_softmax(z)
    return -np.mean([(w[i] * p[i, c[i]]).sum() for i in range(len(z))])


def mixup_cross_entropy(z, a, b, lam):
    l = np.broadcast_to(lam, len(z))
    return mixup_cross_entropy_k(z, np.stack([a, b], 1), np.stack([l, 1 - l], 1))


def decoupled_mixup_k(z, c, w, eta=0.1, weights=lambda lam: 1.0):
    extra = 0
    for i in range(len(z)):
        inside = sorted(set(c[i][w[i] > 0]))
        if len(inside) == 1 or len(inside) == z.shape[1]:
            continue
        rest = lse(np.delete(z[i], inside))
        extra += sum(weights(w[i][c[i] == k].sum()) * softplus(rest - z[i, k]) for k in inside)
    return mixup_cross_entropy_k(z, c, w) + eta * extra / len(z)


def decoupled_mixup(z, a, b, lam, **more):
    l = np.broadcast_to(lam, len(z))
    return decoupled_mixup_k(z, np.stack([a, b], 1), np.stack([l, 1 - l], 1), **more)


# ---- metrics ----


def alignment(x, y, alpha=2):
    return np.mean(np.linalg.norm(x - y, axis=1) ** alpha)


def cross_uniformity(x, y, t=2):
    return np.log(np.mean(np.exp(-t * ((x[:, None] - y[None]) ** 2).sum(-1))))


def uniformity(x, t=2):
    k = np.exp(-t * ((x[:, None] - x[None]) ** 2).sum(-1))
    return np.log(k[~np.eye(len(x), dtype=bool)].mean())


def relative_alignment(x, y):
    d = ((x[:, None] - y[None]) ** 2).sum(-1)
    own = np.diag(d)
    return np.mean(own - np.where(np.eye(len(x), dtype=bool), np.inf, d).min(1))


def ranks(x, y):
    s = x @ y.T
    own = np.diag(s)[:, None]
    return 1 + ((s >= own) & ~np.eye(len(x), dtype=bool)).sum(1)


def retrieval(x, y, ks):
    r = ranks(x, y)
    return [np.mean(r <= k) for k in ks], np.median(r), np.mean(1 / r)


def linear_cka(x, y):
    a, b = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(b.T @ a) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))


def effective_rank(x, epsilon=0, centred=False):
    s = np.linalg.svd(x - x.mean(0) if centred else x, compute_uv=False)
    p = s / s.sum() + epsilon
    return np.exp(-(p * np.log(p)).sum())


def isotropy(x):
    v = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    d = x.shape[1]
    v = np.r_[v, np.zeros(d - len(v))]
    w = np.sqrt(d) * v / np.linalg.norm(v)
    e2 = ((w - 1) ** 2).sum() / (2 * (d - np.sqrt(d)))
    return ((d - e2 * (d - np.sqrt(d))) ** 2 / d - 1) / (d - 1)


def anisotropy(x):
    u = unit(x)
    s = u @ u.T
    return s[~np.eye(len(x), dtype=bool)].mean()


def occurrences(x, y, k, own):
    s = x @ y.T
    if own:
        s = np.where(np.eye(len(x), dtype=bool), -np.inf, s)
    found = np.argsort(-s, axis=1, kind="stable")[:, :k]
    return np.bincount(found.ravel(), minlength=len(y))


def skewness(o):
    d = o - o.mean()
    return (d**3).mean() / (d**2).mean() ** 1.5


def ece(confidence, correct, bins=10):
    total = 0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if b == 0:
            inside |= confidence == 0
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def average_precision(x, y, label_x, label_y, own):
    s = x @ y.T
    values = []
    for i in range(len(x)):
        order = [j for j in np.argsort(-s[i]) if not (own and j == i)]
        hit = np.array([label_y[j] == label_x[i] for j in order])
        if hit.any():
            values.append((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].mean())
    return np.mean(values)


def frechet_mean(x, weights=None):
    m = unit(np.average(x, axis=0, weights=weights))
    for _ in range(500):
        c = x @ m
        along = x - c[:, None] * m
        theta = np.arctan2(np.linalg.norm(along, axis=1), c)
        step = np.average(along / np.linalg.norm(along, axis=1, keepdims=True) * theta[:, None], axis=0, weights=weights)
        size = np.linalg.norm(step)
        if size < 1e-14:
            break
        m = unit(np.cos(size) * m + np.sin(size) * step / size)
    return m
