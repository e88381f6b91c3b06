"""Every loss: value against its NumPy formula, gradients against differences of that formula, float32 near float64."""
import math

import formulas as f
import numpy as np
import pytest
import spheremix as sx
from support import batches, close, slopes

L = sx.losses
N = 7
FLIP = np.arange(N)[::-1].copy()
ROUND = np.roll(np.arange(N), 2)
CLASSES = np.array([0, 0, 1, 1, 2, 2, 2])
NUMBERS = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 1.5, 2.25])
EACH = np.linspace(0.1, 0.9, N)
A, B = np.array([0, 1, 2, 3, 4, 0, 1]), np.array([1, 1, 3, 0, 2, 4, 3])
K_LABELS = np.array([[0, 1, 2], [1, 1, 3], [2, 0, 0], [3, 4, 1], [4, 0, 1], [0, 2, 2], [1, 3, 0]])
K_WEIGHTS = np.linspace(0.1, 0.9, 3 * N).reshape(N, 3)
FOUR = L.MixLambdas(m2=0.3, v=0.6, l=0.4, vl=0.7)
FOUR_EACH = L.MixLambdas(m2=EACH, v=0.6, l=EACH[::-1].copy(), vl=0.7)

# name, options, how many batches lead, further arguments, formula(batches..., further..., ln taus...), ln taus by field
CASES = [
    ("info_nce", {}, 2, (), lambda x, y, t: f.info_nce(x, y, np.exp(t)), {"temperature": 0.07}),
    ("clip", {}, 2, (), lambda x, y, t: f.clip(x, y, np.exp(t)), {"temperature": 0.05}),
    ("margin_nce", {"margin": 0.3}, 2, (), lambda x, y, t: f.margin_nce(x, y, np.exp(t), 0.3), {"temperature": 0.1}),
    ("siglip", {"bias": -2.0}, 2, (), lambda x, y, t: f.siglip(x, y, np.exp(t), -2), {"temperature": 0.2}),
    ("nt_xent", {}, 2, (), lambda x, y, t: f.nt_xent(x, y, np.exp(t)), {"temperature": 0.1}),
    ("decoupled_contrastive", {}, 2, (), lambda x, y, t: f.decoupled_contrastive(x, y, np.exp(t)), {"temperature": 0.1}),
    (
        "decoupled_contrastive",
        {"weighting": "von_mises_fisher", "sigma": 0.4},
        2,
        (),
        lambda x, y, t: f.decoupled_contrastive(x, y, np.exp(t), 0.4),
        {"temperature": 0.1},
    ),
    (
        "hard_negative",
        {"beta": 0.7, "tau_plus": 0.05},
        2,
        (),
        lambda x, y, t: f.hard_negative(x, y, np.exp(t), 0.7, 0.05),
        {"temperature": 0.5},
    ),
    ("hn_nce", {"beta": 0.7, "tau_plus": 0.05}, 2, (), lambda x, y, t: f.hn_nce(x, y, np.exp(t), 0.7, 0.05), {"temperature": 0.3}),
    (
        "cyclip",
        {"cross_weight": 0.5, "in_modal_weight": 0.3},
        2,
        (),
        lambda x, y, t: f.cyclip(x, y, np.exp(t), 0.5, 0.3),
        {"temperature": 0.07},
    ),
    ("geometric_consistency", {"cross_weight": 2.0}, 2, (), lambda x, y: f.geometric_consistency(x, y, 2, 1), {}),
    (
        "augmented_geometric_consistency",
        {"in_modal_weight": 0.5},
        4,
        (),
        lambda x, y, a, b: f.augmented_geometric_consistency(x, y, a, b, 1, 0.5),
        {},
    ),
    ("brownian_bridge", {"ratio": 0.3}, 3, (), lambda a, x, y: f.brownian_bridge(a, x, y, 0.3), {}),
    ("brownian_bridge", {"ratios": EACH}, 3, (), lambda a, x, y: f.brownian_bridge(a, x, y, EACH[:, None]), {}),
    (
        "feature_separation",
        {"ortho_weight": 0.5},
        6,
        (),
        lambda *b: f.feature_separation(*b[:6], np.exp(b[6]), (0.5, 1, 1), False, True),
        {"temperature": 0.2},
    ),
    (
        "feature_separation",
        {"denominator": "augmented", "uniformity": "separate"},
        6,
        (),
        lambda *b: f.feature_separation(*b[:6], np.exp(b[6]), (1, 1, 1), True, False),
        {"temperature": 0.2},
    ),
    ("barlow_twins", {"off_diagonal_weight": 0.1}, 2, (), lambda x, y: f.barlow_twins(x, y, 0.1), {}),
    ("vicreg", {"gamma": 0.5}, 2, (), lambda x, y: f.vicreg(x, y, gamma=0.5), {}),
    (
        "align_uniform",
        {"alpha": 3.0, "t": 1.5, "uniform_weight": 0.5},
        2,
        (),
        lambda x, y: f.alignment(x, y, 3) + 0.25 * (f.uniformity(x, 1.5) + f.uniformity(y, 1.5)),
        {},
    ),
    ("m2_mix", {}, 2, (0.3,), lambda x, y, l, t: f.m2_mix(x, y, l, np.exp(t)), {"temperature": 0.07}),
    (
        "m2_mix",
        {"reduction": "mean", "negatives": L.Negatives.append},
        2,
        (EACH,),
        lambda x, y, l, t: f.m2_mix(x, y, l, np.exp(t), True, True),
        {"temperature": 0.1},
    ),
    (
        "clip_m2_mix",
        {"weight": 0.5},
        2,
        (0.4,),
        lambda x, y, l, t, s: f.clip_m2_mix(x, y, l, np.exp(t), np.exp(s), 0.5),
        {"temperature": 0.05, "mix_temperature": 0.1},
    ),
    ("v_mix", {}, 2, (EACH,), lambda x, y, l, t: f.v_mix(x, y, l, np.exp(t), FLIP), {"temperature": 0.1}),
    (
        "l_mix",
        {"partners": ROUND},
        2,
        (0.3,),
        lambda x, y, l, t: f.l_mix(x, y, l, np.exp(t), ROUND),
        {"temperature": 0.1},
    ),
    (
        "vl_mix",
        {"targets": "released", "partners": list(ROUND)},
        2,
        (EACH,),
        lambda x, y, l, t: f.vl_mix(x, y, l, np.exp(t), ROUND, True),
        {"temperature": 0.1},
    ),
]
OTHERS = ["x_independent", "y_independent", "x_augmented", "y_augmented"]
IDS = [f"{c[0]}-{i}" for i, c in enumerate(CASES)]


@pytest.mark.parametrize("name, options, count, more, formula, taus", CASES, ids=IDS)
def test_value_and_gradients(name, options, count, more, formula, taus):
    if name in ("v_mix", "l_mix", "vl_mix") and "partners" not in options:
        # the row in the middle is its own partner there: the formula's slerp divides by sin 0
        options = {**options, "partners": ROUND}
        formula = lambda x, y, l, t: f.v_mix(x, y, l, np.exp(t), ROUND)  # noqa: E731
    rows = batches(count, N)
    logs = [math.log(t) for t in taus.values()]
    want = formula(*rows, *more, *logs)
    close(getattr(L, name)(*rows, *more, **options, **taus), want, 1e-12)
    g = getattr(L, name + "_with_gradient")(*rows, *more, **options, **taus)
    close(g.loss, want, 1e-12)
    lead = {"brownian_bridge": ["augmented", "x", "y"]}.get(name, ["x", "y", *(OTHERS if count == 6 else OTHERS[2:])][:count]) + ["lambda_"] * len(more)
    gradients = [getattr(g, field) for field in lead]
    gradients += [getattr(g, "log_" + tau) for tau in taus]
    for gradient, row in zip(gradients, rows):
        assert gradient.dtype == np.float64 and gradient.shape == row.shape
    slopes(formula, [*rows, *more, *logs], gradients)
    # float32: the same numbers within its precision, in its own type
    small = [r.astype(np.float32) for r in rows]
    s = getattr(L, name + "_with_gradient")(*small, *more, **options, **taus)
    close(s.loss, want, 1e-4)
    assert s.x.dtype == np.float32
    close(s.x, g.x, 1e-3)


def test_margin_and_bias_slopes():
    x, y = batches(2, N)
    g = L.margin_nce_with_gradient(x, y, temperature=0.1, margin=0.3)
    slopes(lambda m: f.margin_nce(x, y, 0.1, m), [np.array(0.3)], [g.margin])
    g = L.siglip_with_gradient(x, y, temperature=0.2, bias=-2.0)
    slopes(lambda b: f.siglip(x, y, 0.2, b), [np.array(-2.0)], [g.bias])


@pytest.mark.parametrize("four", [FOUR, FOUR_EACH], ids=["numbers", "each"])
def test_m3_mix(four):
    x, y = batches(2, N)
    weights = dict(weight_m2=0.5, weight_v=1.5, weight_l=0.7, weight_vl=1.2)
    options = dict(temperature=0.1, mix_temperature=0.2, partners=ROUND, **weights)

    def formula(x, y, m2, v, l, vl, t, s):
        return f.m3_mix(x, y, (m2, v, l, vl), np.exp(t), np.exp(s), list(weights.values()), ROUND)

    arguments = [x, y, *four, math.log(0.1), math.log(0.2)]
    close(L.m3_mix(x, y, four, **options), formula(*arguments), 1e-12)
    g = L.m3_mix_with_gradient(x, y, four, **options)
    close(g.loss, formula(*arguments), 1e-12)
    assert isinstance(g.lambda_, L.MixLambdas)
    slopes(formula, arguments, [g.x, g.y, *g.lambda_, g.log_temperature, g.log_mix_temperature])


@pytest.mark.parametrize("labels", [CLASSES, CLASSES.astype(float), list(CLASSES), CLASSES.astype(np.uint8)], ids=str)
def test_sup_con(labels):
    (x,) = batches(1, N)
    formula = lambda x, t: f.sup_con(x, CLASSES, np.exp(t))  # noqa: E731
    close(L.sup_con(x, labels, temperature=0.2), formula(x, math.log(0.2)), 1e-12)
    g = L.sup_con_with_gradient(x, labels, temperature=0.2)
    slopes(formula, [x, math.log(0.2)], [g.x, g.log_temperature])
    assert g.skipped == 0
    assert L.sup_con_with_gradient(x, np.arange(N)).skipped == N


@pytest.mark.parametrize("similarity", ["negative_distance", "cosine"])
def test_rank_n_contrast(similarity):
    (x,) = batches(1, N)
    apart = np.abs(NUMBERS[:, None] - NUMBERS[None])
    formula = lambda x, t: f.rank_n_contrast(x, apart, np.exp(t), similarity == "cosine")  # noqa: E731
    options = dict(temperature=0.5, similarity=similarity)
    close(L.rank_n_contrast(x, NUMBERS, **options), formula(x, math.log(0.5)), 1e-12)
    for labels in (NUMBERS, (4 * NUMBERS).astype(np.int8), L.label_distances(apart)):
        g = L.rank_n_contrast_with_gradient(x, labels, **options)
        slopes(formula, [x, math.log(0.5)], [g.x, g.log_temperature])
    assert g.skipped == 0


def test_sup_remix():
    (x,) = batches(1, N)
    options = dict(temperature=0.2, window=1.0)
    formula = lambda x, t: f.sup_remix(x, NUMBERS, 0.3, np.exp(t))  # noqa: E731
    close(L.sup_remix(x, NUMBERS, 0.3, **options), formula(x, math.log(0.2)), 1e-12)
    attached = L.sup_remix_with_gradient(x, NUMBERS, 0.3, detach=False, **options)
    slopes(formula, [x, math.log(0.2)], [attached.x, attached.log_temperature], on_sphere=True)
    close(L.sup_remix(x, NUMBERS, np.full((N, N), 0.3), **options), formula(x, math.log(0.2)), 1e-12)
    rng = sx.core.Philox(3)
    drawn = L.sup_remix(x, NUMBERS, rng, **options)
    assert rng.step() == 1 and drawn == L.sup_remix(x, NUMBERS, sx.core.Philox(3), **options)
    assert drawn != L.sup_remix(x, NUMBERS, rng, **options)


@pytest.mark.parametrize("mining", ["batch_hard", "semi_hard"])
@pytest.mark.parametrize("distance", ["euclidean", "squared"])
def test_triplet(mining, distance):
    (x,) = batches(1, N)
    formula = lambda x: f.triplet(x, CLASSES, 0.4, mining == "semi_hard", distance == "squared")  # noqa: E731
    options = dict(margin=0.4, mining=mining, distance=distance)
    close(L.triplet(x, CLASSES, **options), formula(x), 1e-12)
    g = L.triplet_with_gradient(x, CLASSES, **options)
    slopes(formula, [x], [g.x])
    assert g.active > 0 and g.skipped == 0


@pytest.mark.parametrize("form", ["hinge", "soft"])
def test_triplet_of(form):
    (x,) = batches(1, N)
    lists = [0, 1, 4, 4], [1, 0, 5, 6], [3, 4, 0, 2]

    def formula(x):
        a, p, n = (x[list(rows)] for rows in lists)
        u = np.linalg.norm(a - p, axis=1) - np.linalg.norm(a - n, axis=1)
        return np.mean(f.softplus(u) if form == "soft" else np.maximum(0, 0.4 + u))

    options = dict(margin=0.4, form=form)
    close(L.triplet_of(x, *lists, **options), formula(x), 1e-12)
    g = L.triplet_of_with_gradient(x, *map(np.array, lists), **options)
    slopes(formula, [x], [g.x])
    with pytest.raises(ValueError, match="^triplet_of: "):
        L.triplet_of(x, [0], [1], [N])


def test_label_distances():
    """Labels of two dimensions: those on a line give what numbers give; a table gives what its function gives."""
    (x,) = batches(1, N)
    plane = np.stack([0.6 * NUMBERS, 0.8 * NUMBERS], 1)
    apart = L.label_distances(plane, lambda a, b: np.linalg.norm(a - b))
    table = L.label_distances(np.linalg.norm(plane[:, None] - plane[None], axis=-1))
    options = dict(temperature=0.2, mix_positives=False)
    want = L.sup_remix(x, NUMBERS, 0.3, **options)
    for labels in (apart, table):
        close(L.sup_remix(x, labels, 0.3, label_tolerance=1e-9, **options), want, 1e-9)
    with pytest.raises(ValueError, match="label_distances: the table is 7 x 2, not square"):
        L.label_distances(plane)


@pytest.mark.parametrize("lam", [0.3, EACH], ids=["one", "each"])
def test_mixed_labels(lam):
    z = np.random.default_rng(5).normal(size=(N, 5))
    formula = lambda z, l: f.mixup_cross_entropy(z, A, B, l)  # noqa: E731
    close(L.mixup_cross_entropy(z, A, B, lam), formula(z, lam), 1e-12)
    g = L.mixup_cross_entropy_with_gradient(z, A, B, lam)
    slopes(formula, [z, lam], [g.logits, g.lambda_], on_sphere=False)
    weighed = dict(weight=0.2, weighting="lambda")
    formula = lambda z, l: f.decoupled_mixup(z, A, B, l, eta=0.2, weights=lambda w: w)  # noqa: E731
    close(L.decoupled_mixup(z, A, B, lam, **weighed), formula(z, lam), 1e-12)
    g = L.decoupled_mixup_with_gradient(z, A, B, lam, **weighed)
    slopes(formula, [z, lam], [g.logits, g.lambda_], on_sphere=False)


def test_k_labels():
    z = np.random.default_rng(5).normal(size=(N, 5))
    for function, formula in (("mixup_cross_entropy_k", f.mixup_cross_entropy_k), ("decoupled_mixup_k", f.decoupled_mixup_k)):
        close(getattr(L, function)(z, K_LABELS, K_WEIGHTS), formula(z, K_LABELS, K_WEIGHTS), 1e-12)
        g = getattr(L, function + "_with_gradient")(z, K_LABELS, K_WEIGHTS)
        slopes(lambda z: formula(z, K_LABELS, K_WEIGHTS), [z], [g.logits], on_sphere=False)


@pytest.mark.parametrize("name", ["clip", "info_nce"])
def test_bf16(name):
    x, y = batches(2, 64, 48)
    small = x.astype(np.float32), y.astype(np.float32)
    want = getattr(f, name)(x, y, 0.1)
    close(getattr(L, name + "_bf16")(*small, temperature=0.1), want, 0.02)
    g = getattr(L, name + "_bf16_with_gradient")(*small, temperature=0.1)
    close(g.x, getattr(L, name + "_with_gradient")(*small, temperature=0.1).x, 0.05)
    with pytest.raises(TypeError, match="bf16 is for float rows"):
        getattr(L, name + "_bf16")(x, y)


def with_targets(name, x, y, t, tau, bias=0.0):
    """Softmax losses: t normalised over each line, lines without a target left out. siglip: z = +1 where t > 0."""
    s = x @ y.T / tau
    if name == "siglip":
        z = np.where(t > 0, 1, -1)
        return f.softplus(-z * (s + bias)).sum() / len(x)

    def one_way(s, t):
        kept = t.sum(1) > 0
        w = t[kept] / t[kept].sum(1, keepdims=True)
        return np.mean(f.lse(s[kept]) - (w * s[kept]).sum(1))

    return one_way(s, t) if name == "info_nce" else (one_way(s, t) + one_way(s.T, t.T)) / 2


@pytest.mark.parametrize("name", ["info_nce", "clip", "siglip"])
def test_targets(name):
    x, y = batches(2, N)
    y = np.concatenate([y, batches(1, 3, seed=4)[0]])
    a, b = np.array([5, 5, 2**62 + 1, 9, 1, 2, 3]), np.array([5, 9, 2**62 + 1, 2**62, 5, 1, 2, 2, 7, 7])
    table = (a[:, None] == b[None]).astype(float)
    rows, cols, weights = [0, 1, 1, 4, 6], [3, 0, 8, 4, 9], [1.0, 0.5, 2.0, 1.5, 1.0]
    sparse = np.zeros((7, 10))
    sparse[rows, cols] = weights
    dense = np.exp(-3 * ((x[:, None] - y[None]) ** 2).sum(-1))
    dense /= dense.sum(1, keepdims=True)
    value, gradient = getattr(L, name), getattr(L, name + "_with_gradient")
    options = {"bias": -1.0} if name == "siglip" else {}
    targets = [(L.ids(a, b), table), (L.pairs(rows, cols, weights), sparse), (L.pairs(rows, cols), (sparse > 0) * 1.0)]
    if name != "siglip":
        targets.append((L.soft(dense), dense))
    for given, t in targets:
        formula = lambda x, y, l: with_targets(name, x, y, t, np.exp(l), -1.0)  # noqa: E731, B023
        close(value(x, y, given, temperature=0.2, **options), formula(x, y, math.log(0.2)), 1e-12)
        g = gradient(x, y, targets=given, temperature=0.2, **options)
        assert g.y.shape == y.shape
        slopes(formula, [x, y, math.log(0.2)], [g.x, g.y, g.log_temperature])
    with pytest.raises(TypeError, match=f"^{name}: targets is not made by ids, pairs or soft; options are keywords, as in temperature=0.1$"):
        value(x, y, table)
    # soft reads the array in place, and keeps it
    p = dense.copy()
    given = L.soft(p)
    before = value(x, y, given, **options)
    p[:] = p[:, ::-1]
    assert value(x, y, given, **options) != before
    del p
    assert value(x, y, given, **options) == value(x, y, L.soft(dense[:, ::-1].copy()), **options)


def test_smoothing_weights_and_exclusion():
    x, y = batches(2, N)
    s = x @ y.T / 0.2
    p = f.log_softmax(s)
    e = 0.1
    t = (1 - e) * np.eye(N) + e / N
    close(L.info_nce(x, y, temperature=0.2, label_smoothing=e), -np.mean((t * p).sum(1)), 1e-12)
    w = np.linspace(0, 2, N)
    close(L.info_nce(x, y, temperature=0.2, row_weights=w), -(w * np.diag(p)).sum() / w.sum(), 1e-12)
    out = L.ids(CLASSES, CLASSES)
    left = np.where((CLASSES[:, None] == CLASSES[None]) & ~np.eye(N, dtype=bool), -np.inf, s)
    close(L.info_nce(x, y, temperature=0.2, exclude=out), np.mean(f.lse(left) - np.diag(s)), 1e-12)


def test_teacher():
    x, y = batches(2, N)
    s = x @ y.T
    close(L.teacher_rows(s, 0.3), np.exp(f.log_softmax(s / 0.3)), 1e-12)
    table = L.teacher_table(s.astype("f4"), 0.3)
    assert table.dtype == np.float64
    close(table / table.sum(1, keepdims=True), np.exp(f.log_softmax(s / 0.3)), 1e-5)
    close(table / table.sum(0), np.exp(f.log_softmax(s.T / 0.3)).T, 1e-5)


def test_mixing_takes_weights_and_exclusions():
    x, y = batches(2, N)
    for name in ("m2_mix", "v_mix", "l_mix", "vl_mix", "clip_m2_mix"):
        loss = getattr(L, name)
        plain = loss(x, y, 0.3, temperature=0.2)
        close(loss(x, y, 0.3, temperature=0.2, row_weights=np.full(N, 2.0)), plain, 1e-12)
        close(loss(x, y, 0.3, temperature=0.2, exclude=L.ids(np.arange(N), np.arange(N))), plain, 1e-12)
        assert abs(loss(x, y, 0.3, temperature=0.2, row_weights=[1.0] * 3 + [0.1] * 4) - plain) > 1e-3
        assert loss(x, y, 0.3, temperature=0.2, exclude=L.ids(CLASSES, CLASSES)) < plain


def test_clamp_log_scale():
    assert L.clamp_log_scale(2.0) == (2.0, 1.0)
    assert L.clamp_log_scale(5.0) == (pytest.approx(math.log(100)), 0.0)
    assert L.clamp_log_scale(-1.0, low=-0.5) == (-0.5, 0.0)


def test_grad_cache():
    """Chunked linear encoders have the full batch's gradient."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(9, 4)), rng.normal(size=(9, 4))
    wx, wy = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    gx, gy = np.zeros_like(wx), np.zeros_like(wy)

    def backward(inputs, into):
        def add(first, count, g):
            into[:] += inputs[first : first + count].T @ g

        return add

    result = L.grad_cache(
        9, 4, lambda i, n: a[i : i + n] @ wx, lambda i, n: b[i : i + n] @ wy, L.clip_with_gradient, backward(a, gx), backward(b, gy)
    )
    full = L.clip_with_gradient(a @ wx, b @ wy)
    close(result.loss, full.loss, 1e-15)
    close(gx, a.T @ full.x)
    close(gy, b.T @ full.y)
    # one encoder with labels, and frozen rows
    labels = np.arange(9) % 3
    gx[:] = 0
    one = L.grad_cache(9, 4, lambda i, n: a[i : i + n] @ wx, labels, L.sup_con_with_gradient, backward(a, gx))
    full = L.sup_con_with_gradient(a @ wx, labels)
    close(one.loss, full.loss, 1e-15)
    close(gx, a.T @ full.x)
    gx[:] = 0
    y = b @ wy
    L.grad_cache(9, 4, lambda i, n: a[i : i + n] @ wx, lambda x: L.info_nce_with_gradient(x, y), backward(a, gx))
    close(gx, a.T @ L.info_nce_with_gradient(a @ wx, y).x)
    with pytest.raises(ValueError, match="forward gave 3 x 5 for 4 inputs from 0"):
        L.encode_in_chunks(9, 4, lambda i, n: (a @ wx)[:3])


def test_matryoshka():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(N, 6)), rng.normal(size=(N, 6))
    options = dict(widths=[6, 2, 5], weights=[1, 0.25, 2])

    def formula(x, y, t):
        parts = zip(options["widths"], options["weights"])
        return sum(w * f.clip(f.unit(x[:, :k]), f.unit(y[:, :k]), np.exp(t)) for k, w in parts)

    close(L.matryoshka(x, y, lambda a, b: L.clip(a, b, temperature=0.3), **options), formula(x, y, math.log(0.3)), 1e-12)
    g = L.matryoshka_with_gradient(x, y, lambda a, b: L.clip_with_gradient(a, b, temperature=0.3), **options)
    slopes(formula, [x, y, math.log(0.3)], [g.x, g.y, g.log_temperature], on_sphere=False)
    one = L.matryoshka_with_gradient(x, None, lambda a: L.sup_con_with_gradient(a, CLASSES), widths=[4])
    assert one.y is None and not one.x[:, 4:].any() and one.loss == one.losses[0]
    with pytest.raises(ValueError, match="a width is 7, outside"):
        L.matryoshka(x, y, L.clip, widths=[7])
    with pytest.raises(ValueError, match="there twice"):
        L.matryoshka(x, y, L.clip, widths=[2, 3, 2])
    with pytest.raises(ValueError, match="finite and >= 0"):
        L.matryoshka(x, y, L.clip, widths=[2], weights=[math.nan])
