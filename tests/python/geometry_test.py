"""sphere, mixup and metrics against their NumPy formulas."""
import formulas as f
import numpy as np
import pytest
import spheremix as sx
from support import batches, close, slopes

S, M, X = sx.sphere, sx.metrics, sx.mixup


def along(function, arguments, gradients, g, on_sphere=True):
    """A vjp: <g, f> and its gradients."""
    slopes(lambda *a: float((g * function(*a)).sum()), arguments, gradients, on_sphere)


def test_normalize():
    (x,) = batches(1)
    long = 3 * x
    close(S.normalize(long[0]), x[0])
    close(S.normalize_rows(long), x)
    g = np.random.default_rng(1).normal(size=x.shape)
    along(f.unit, [long], [S.normalize_rows_vjp(long, g)], g, on_sphere=False)
    with pytest.raises(ValueError, match="normalize_rows: row 2"):
        S.normalize_rows(np.where(np.arange(7)[:, None] == 2, 0, x))
    assert not S.normalize_rows(np.zeros((2, 3)), zero="zero").any()
    assert not S.normalize(np.zeros(3), zero=S.ZeroPolicy.zero).any()


def test_distance():
    u, v = batches(2)
    close(S.geodesic_distance(u[0], v[0]), f.angle(u[0], v[0]))
    close(S.geodesic_distance_rows(u, v), f.angle(u, v))
    close(S.geodesic_distance_matrix(u, v[:4]), f.angle(u[:, None], v[None, :4]))
    g = np.linspace(-1, 2, 7)
    pulled = S.geodesic_distance_rows_vjp(u, v, g)
    along(f.angle, [u, v], [pulled.u, pulled.v], g)


def test_tangent_space():
    x, y = batches(2)
    g = np.random.default_rng(1).normal(size=5)
    v = g - (g @ x[0]) * x[0]
    close(S.tangent(x[0], g), v)
    size = np.linalg.norm(v)
    close(S.exp_map(x[0], v), np.cos(size) * x[0] + np.sin(size) / size * v)
    close(S.exp_map(x[0], S.log_map(x[0], y[0])), y[0])
    close(np.linalg.norm(S.log_map(x[0], y[0])), f.angle(x[0], y[0]))
    e = f.unit(x[0] + y[0])
    close(S.parallel_transport(x[0], y[0], v), v - 2 * (e @ v) * e)
    assert S.tangent(x[:1].T, g).shape == (5, 1)
    with pytest.raises(ValueError, match="log_map: y is antipodal to x"):
        S.log_map(x[0], -x[0])


def test_slerp():
    u, v = batches(2)
    t = np.linspace(-0.2, 1.3, 7)
    g = np.random.default_rng(1).normal(size=u.shape)
    close(S.slerp(u[0], v[0], 0.3), f.slerp(u[0], v[0], 0.3))
    close(S.slerp_rows(u, v, 0.3), f.slerp(u, v, 0.3))
    close(S.slerp_rows(u, v, t), f.slerp(u, v, t))
    one = S.slerp_rows_vjp(u, v, 0.3, g)
    along(f.slerp, [u, v, np.array(0.3)], one, g)
    along(f.slerp, [u, v, t], S.slerp_rows_vjp(u, v, t, g), g)
    single = S.slerp_vjp(u[0], v[0], 0.3, g[0])
    each = S.slerp_rows_vjp(u, v, np.full(7, 0.3), g)
    close(single.u, each.u[0], 1e-13)
    close(single.t, each.t[0], 1e-12)


def test_frechet_mean():
    (x,) = batches(1, 40, 5)
    x = f.unit(x + 2 * x[0])
    found = S.frechet_mean(x)
    close(found.mean, f.frechet_mean(x), 1e-10)
    assert found.iterations > 0 and found.residual < 1e-12
    w = np.linspace(0, 1, 40)
    close(S.frechet_mean(x, w).mean, f.frechet_mean(x, w), 1e-10)
    assert S.frechet_mean(x, max_iterations=1).iterations <= 1


def test_draws():
    rng = sx.core.Philox(7)
    a = S.sample_uniform(500, 6, rng)
    close(np.linalg.norm(a, axis=1), np.ones(500))
    assert rng.step() == 1 and rng.seed() == 7 and abs(a.mean()) < 0.05
    assert (S.sample_uniform(500, 6, sx.core.Philox(7, 0)) == a).all()
    assert S.sample_uniform(3, 6, rng, dtype="float32").dtype == np.float32
    mean = a[0]
    near = S.sample_von_mises_fisher(mean, 200.0, 400, rng)
    close(near.mean(0) / np.linalg.norm(near.mean(0)), mean, 0.05)
    b = X.beta(2000, 0.5, 0.5, rng)
    assert abs(b.mean() - 0.5) < 0.03 and abs(b.var() - 0.125) < 0.01 and b.min() >= 0 and b.max() <= 1
    d = X.dirichlet(300, 3, 0.5, rng)
    close(d.sum(1), np.ones(300))
    assert (X.flip_partners(5) == [4, 3, 2, 1, 0]).all()
    assert sorted(X.random_partners(50, rng)) == list(range(50))
    free = X.derangement(50, rng)
    assert sorted(free) == list(range(50)) and (free != np.arange(50)).all()
    before = rng.step()
    with pytest.raises(ValueError, match="derangement: n is 1"):
        X.derangement(1, rng)
    assert rng.step() == before


def test_mixing():
    x, y = batches(2)
    g = np.random.default_rng(1).normal(size=x.shape)
    each = np.linspace(0.1, 0.9, 7)
    for lam in (0.3, each):
        close(X.geodesic(x, y, lam), f.mix(x, y, lam))
        l = np.reshape(lam, (-1, 1))
        line = lambda x, y, l: np.reshape(l, (-1, 1)) * x + (1 - np.reshape(l, (-1, 1))) * y  # noqa: E731
        close(X.linear(x, y, lam), l * x + (1 - l) * y)
        start = [x, y, np.asarray(lam)]
        along(f.mix, start, X.geodesic_vjp(x, y, lam, g), g)
        along(line, start, X.linear_vjp(x, y, lam, g), g)
    assert isinstance(X.linear_vjp(x, y, 0.3, g), X.MixGradient)
    assert (X.geodesic(x, y, 1.0) == x).all()
    with pytest.raises(ValueError, match="geodesic: lambda is 1.5"):
        X.geodesic(x, y, 1.5)


def test_barycentre():
    x, y = batches(2, 6, 4)
    x = f.unit(x + 2 * x[0])
    members, weights = np.array([[0, 1, 2], [3, 4, 5]]), np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    mean = lambda x, w: np.stack([f.frechet_mean(x[m], row) for m, row in zip(members, w)])  # noqa: E731
    close(X.barycentre(x, members, weights), mean(x, weights), 1e-9)
    g = y[:2]
    pulled = X.barycentre_vjp(x, members, weights, g)
    along(lambda x: mean(x, weights), [x], [pulled.x], g)
    along(lambda w: mean(x, w), [weights], [pulled.weights], g, on_sphere=False)


def test_alignment_and_uniformity():
    x, y = batches(2)
    close(M.alignment(x, y), f.alignment(x, y))
    g = M.alignment_with_gradient(x, y, alpha=3.0)
    close(g.value, f.alignment(x, y, 3))
    slopes(lambda x, y: f.alignment(x, y, 3), [x, y], [g.x, g.y])
    close(M.uniformity(x, t=1.5), f.uniformity(x, 1.5))
    g = M.uniformity_with_gradient(x)
    close(g.value, f.uniformity(x))
    slopes(f.uniformity, [x], [g.x])
    close(M.cross_uniformity(x, y[:4]), f.cross_uniformity(x, y[:4]))
    close(M.joint_uniformity(x, y), f.uniformity(np.concatenate([x, y])))
    gap = np.exp(f.uniformity(x)) + np.exp(f.uniformity(y)) - 2 * np.exp(f.cross_uniformity(x, y))
    close(M.distribution_gap(x, y), gap)
    close(M.relative_alignment(x, y), f.relative_alignment(x, y))


def test_gap_and_spectrum():
    x, y = batches(2, 9, 4)
    centres = lambda x, y: x.mean(0) - y.mean(0)  # noqa: E731
    close(M.modality_gap_vector(x, y[:6]), centres(x, y[:6]))
    g = M.modality_gap_with_gradient(x, y)
    close([M.modality_gap(x, y), g.value], [np.linalg.norm(centres(x, y))] * 2)
    slopes(lambda x, y: np.linalg.norm(centres(x, y)), [x, y], [g.x, g.y])
    close(M.singular_values(x, centred=True), np.linalg.svd(x - x.mean(0), compute_uv=False), 1e-8)
    close(M.effective_rank(x), f.effective_rank(x))
    close(M.effective_rank(x, epsilon=1e-3, centred=True), f.effective_rank(x, 1e-3, True))
    close(M.isotropy(x), f.isotropy(x), 1e-10)
    close(M.anisotropy(2 * x), f.anisotropy(x))
    close(M.linear_cka(x, y[:, :3].copy()), f.linear_cka(x, y[:, :3]))


def test_retrieval():
    x, y = batches(2, 12, 3)
    y = f.unit(x + 0.8 * y)
    recall, median, mrr = f.retrieval(x, y, [1, 3])
    r = M.retrieval(x, y, k=[1, 3])
    assert r.recall == pytest.approx(recall) and r.median_rank == median and r.mrr == pytest.approx(mrr)
    assert M.retrieval(x, y, k=3).recall == pytest.approx(recall[1:])
    assert M.retrieval(x, y).recall == pytest.approx(f.retrieval(x, y, [1, 5, 10])[0])
    assert (M.retrieval_ranks(x, y) == f.ranks(x, y)).all()
    both = M.retrieval_both(x, y, k=[1, 3])
    assert both.x_to_y == r and both.y_to_x.recall == pytest.approx(f.retrieval(y, x, [1, 3])[0])
    assert M.caption_retrieval(x, y, np.arange(12), k=[1, 3]) == both
    labels = np.arange(12) % 3
    assert M.mean_average_precision(x, labels).value == pytest.approx(f.average_precision(x, x, labels, labels, True))
    two = M.mean_average_precision(x, y, labels, labels)
    assert two.value == pytest.approx(f.average_precision(x, y, labels, labels, False)) and two.skipped == 0
    judged = M.judged_retrieval(x, y, [M.Judgement(i, i) for i in range(12)], k=5)
    ranks = f.ranks(x, y)
    assert judged.map == pytest.approx(mrr) and judged.of_map == pytest.approx(1 / ranks)
    assert judged.ndcg == pytest.approx(np.where(ranks <= 5, 1 / np.log2(1 + ranks), 0).mean())
    assert M.judged_retrieval(x, y, [(i, i, 1.0) for i in range(12)], k=5).ndcg == judged.ndcg
    assert (judged.queries == np.arange(12)).all() and judged.skipped == 0


def test_neighbours_and_classes():
    x, y = batches(2, 20, 4)
    own = M.hubness(x, k=3)
    assert (own.occurrences == f.occurrences(x, x, 3, True)).all() and own.skewness == pytest.approx(f.skewness(own.occurrences))
    across = M.hubness(x, y, k=4)
    assert (across.occurrences == f.occurrences(x, y, 4, False)).all()
    near = M.nearest(x, y, k=3)
    order = np.argsort(-(x @ y.T), axis=1)[:, :3]
    assert (near.ids == order).all()
    close(near.cosines, np.take_along_axis(x @ y.T, order, 1))
    within = M.nearest(x, k=2)
    assert (within.ids == np.argsort(-(x @ x.T - 3 * np.eye(20)), axis=1)[:, :2]).all()
    m = f.mix(x, y, 0.3)
    s, o = x @ m.T, x @ y.T
    off = ~np.eye(20, dtype=bool)
    assert M.hardness(x, y, m) == pytest.approx((s >= o)[off].mean())
    assert M.hardness(x, y, 0.3) == pytest.approx((s >= o)[off].mean())
    classes = np.arange(20) % 5
    prototypes = M.class_prototypes(y, classes, 5)
    close(prototypes, np.stack([f.unit(y[classes == c].mean(0)) for c in range(5)]))
    scores = x @ prototypes.T
    rank = (scores >= scores[np.arange(20), classes][:, None]).sum(1)
    assert M.zero_shot_accuracy(x, prototypes, classes, k=[1, 2]) == pytest.approx([np.mean(rank <= 1), np.mean(rank <= 2)])
    query = np.array([0, 4])
    r = M.embedding_arithmetic(x, classes, query, y[:2], y[2:4], np.array([1, 2]), scale=0.5)
    asked = x[query] + 0.5 * (y[2:4] - y[:2])
    found = asked @ x.T
    found[np.arange(2), query] = -np.inf
    assert (r.nearest == found.argmax(1)).all()
    assert r.accuracy == np.mean(classes[r.nearest] == [1, 2])


def test_calibration():
    rng = np.random.default_rng(3)
    stated, right = rng.uniform(size=200), rng.uniform(size=200) < 0.6
    assert M.expected_calibration_error(stated, right) == pytest.approx(f.ece(stated, right))
    bins = M.calibration_bins(stated, right, bins=5)
    assert sum(b.count for b in bins) == 200 and M.expected_calibration_error(bins) == pytest.approx(f.ece(stated, right, 5))
    x, y = batches(2, 30, 4)
    p = np.exp(f.log_softmax(x @ y.T / 0.5))
    c = M.contrastive_calibration(x, y, temperature=0.5, bins=4)
    assert c.x_to_y == pytest.approx(f.ece(p.max(1), f.ranks(x, y) == 1, 4)) and len(c.y_to_x_bins) == 4


def test_files(tmp_path):
    x, y = batches(2, 8, 3)
    sx.io.save_npy(tmp_path / "x.npy", x)
    assert (np.load(tmp_path / "x.npy") == x).all() and (sx.io.load_npy(tmp_path / "x.npy") == x).all()
    assert sx.io.load_npy(str(tmp_path / "x.npy"), dtype="float32").dtype == np.float32
    sx.io.save_npy(tmp_path / "h.npy", x.astype(np.float32), dtype="f2")
    assert np.load(tmp_path / "h.npy").dtype == np.float16
    half = sx.io.load_npy(tmp_path / "h.npy")
    assert half.dtype == np.float32 and (half == np.load(tmp_path / "h.npy")).all()
    sx.io.save_npy(tmp_path / "v.npy", x[0])
    assert np.load(tmp_path / "v.npy").shape == (3,) and sx.io.load_npy(tmp_path / "v.npy").shape == (3,)
    file = sx.io.NpyFile(tmp_path / "x.npy")
    assert file.shape() == (8, 3) and file.dtype() == sx.io.Dtype.f8 and (file.rows(), file.cols()) == (8, 3)
    assert (file.rows(2, 3) == x[2:5]).all()
    with pytest.raises(ValueError, match="rows 7 \\+ 3 of .*, which has 8"):
        file.rows(7, 3)
    with pytest.raises(sx.io.Error, match="is not an .npy file"):
        (tmp_path / "bad.npy").write_bytes(b"nothing of the kind")
        sx.io.load_npy(tmp_path / "bad.npy")
    assert issubclass(sx.io.Error, OSError)
    small = x.astype("<f4")
    rows = np.zeros((8, 4), "<f4")
    rows[:, 1:] = small
    rows.view("<i4")[:, 0] = 3
    (tmp_path / "x.fvecs").write_bytes(rows.tobytes())
    assert (sx.io.FvecsFile(tmp_path / "x.fvecs").rows(1, 4) == small[1:5]).all()
    (tmp_path / "x.fbin").write_bytes(np.array([8, 3], "<u4").tobytes() + small.tobytes())
    fbin = sx.io.FbinFile(tmp_path / "x.fbin")
    assert (fbin.rows(), fbin.cols()) == (8, 3) and (fbin.rows(0, 8) == small).all()
