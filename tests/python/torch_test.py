"""spheremix.torch: gradcheck in double, any mix of requires_grad, any strides, every loss."""
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import spheremix as sx  # noqa: E402
import spheremix.torch as st  # noqa: E402

N, D = 6, 4
ROUND = [2, 3, 4, 5, 0, 1]
CLASSES = torch.tensor([0, 0, 1, 1, 2, 2])
NUMBERS = torch.tensor([0.0, 0.25, 0.5, 1.0, 1.5, 1.5], dtype=torch.double)


def rows(count=1, n=N, d=D, seed=0, dtype=torch.double):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=generator, dtype=torch.double).to(dtype).requires_grad_() for _ in range(count)]


def scalar(value):
    return torch.tensor(value, dtype=torch.double, requires_grad=True)


def unit(x):
    return torch.nn.functional.normalize(x)


def each():
    return torch.linspace(0.2, 0.8, N, dtype=torch.double).requires_grad_()


PAIRS = ["info_nce", "clip", "nt_xent", "decoupled_contrastive", "hard_negative", "hn_nce", "cyclip"]
CASES = {name: (lambda f: (lambda x, y, t: f(unit(x), unit(y), t)), 2, [scalar(-1.0)]) for name in PAIRS}
CASES["margin_nce"] = (lambda f: lambda x, y, t, m: f(unit(x), unit(y), t, m), 2, [scalar(-1.0), scalar(0.2)])
CASES["siglip"] = (lambda f: lambda x, y, t, b: f(unit(x), unit(y), t, b), 2, [scalar(-1.0), scalar(-2.0)])
for name in ("geometric_consistency", "align_uniform", "vicreg", "barlow_twins"):
    CASES[name] = (lambda f: lambda x, y: f(unit(x), unit(y)), 2, [])
CASES["augmented_geometric_consistency"] = (lambda f: lambda *b: f(*map(unit, b)), 4, [])
CASES["brownian_bridge"] = (lambda f: lambda *b: f(*map(unit, b)), 3, [])
CASES["feature_separation"] = (lambda f: lambda *b: f(*map(unit, b[:6]), b[6]), 6, [scalar(-1.0)])
CASES["m2_mix"] = (lambda f: lambda x, y, l, t: f(unit(x), unit(y), l, t, reduction="mean"), 2, [scalar(0.3), scalar(-1.0)])
CASES["clip_m2_mix"] = (
    lambda f: lambda x, y, l, t, s: f(unit(x), unit(y), l, t, s),
    2,
    [each(), scalar(-1.5), scalar(-1.0)],
)
for name in ("v_mix", "l_mix", "vl_mix"):
    CASES[name] = (lambda f: lambda x, y, l, t: f(unit(x), unit(y), l, t, partners=ROUND), 2, [each(), scalar(-1.0)])
CASES["m3_mix"] = (
    lambda f: lambda x, y, l, m, t, s: f(unit(x), unit(y), (l, m, 0.4, l), t, s, partners=ROUND),
    2,
    [scalar(0.3), each(), scalar(-1.0), scalar(-1.5)],
)
CASES["sup_con"] = (lambda f: lambda x, t: f(unit(x), CLASSES, t), 1, [scalar(-1.0)])
CASES["rank_n_contrast"] = (lambda f: lambda x, t: f(unit(x), NUMBERS, t), 1, [scalar(-1.0)])
CASES["sup_remix"] = (lambda f: lambda x, t: f(unit(x), NUMBERS, 0.3, t, detach=False), 1, [scalar(-1.0)])
CASES["triplet"] = (lambda f: lambda x: f(unit(x), CLASSES, margin=0.4), 1, [])
CASES["triplet_of"] = (lambda f: lambda x: f(unit(x), [0, 1, 2], [1, 2, 5], torch.tensor([3, 4, 0]), form="soft"), 1, [])
A, B = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([1, 2, 3, 0, 0, 2])
CASES["mixup_cross_entropy"] = (lambda f: lambda z, l: f(z, A, B, l), 1, [each()])
CASES["decoupled_mixup"] = (lambda f: lambda z, l: f(z, A, B, l, weighting="lambda"), 1, [scalar(0.3)])
K, W = torch.tensor([[0, 1], [2, 3], [1, 1], [3, 0], [2, 0], [1, 3]]), torch.full((6, 2), 0.4, dtype=torch.double)
CASES["mixup_cross_entropy_k"] = (lambda f: lambda z: f(z, K, W), 1, [])
CASES["decoupled_mixup_k"] = (lambda f: lambda z: f(z, K, W), 1, [])
CASES["matryoshka"] = (
    lambda f: lambda x, y, t: f(x, y, lambda a, b: st.clip(a, b, t), widths=[4, 2], weights=[1, 0.5]),
    2,
    [scalar(-1.0)],
)
CASES["alignment"] = (lambda f: lambda x, y: f(x, y, alpha=3.0), 2, [])
CASES["modality_gap"] = (lambda f: lambda x, y: f(x, y), 2, [])
CASES["uniformity"] = (lambda f: lambda x: f(x, t=1.0), 1, [])
CASES["normalize_rows"] = (lambda f: lambda x: f(x), 1, [])
CASES["slerp_rows"] = (lambda f: lambda x, y, t: f(unit(x), unit(y), t), 2, [each()])
CASES["geodesic"] = (lambda f: lambda x, y, t: f(unit(x), unit(y), t), 2, [scalar(0.3)])
CASES["linear"] = (lambda f: lambda x, y, t: f(x, y, t), 2, [each()])
CASES["geodesic_distance_rows"] = (lambda f: lambda x, y: f(unit(x), unit(y)), 2, [])


@pytest.mark.parametrize("name", CASES)
def test_gradcheck(name):
    """Mixtures are of unit rows, so the rows come out of normalize."""
    wrap, count, more = CASES[name]
    assert torch.autograd.gradcheck(wrap(getattr(st, name)), (*rows(count), *more), eps=1e-6, atol=1e-7, rtol=1e-5)


def test_every_loss_has_a_case():
    bf16 = {"info_nce_bf16", "clip_bf16"}
    assert set(st.__all__) == set(CASES) | bf16
    losses = {n for n in dir(sx.losses) if n + "_with_gradient" in dir(sx.losses)}
    assert losses <= set(st.__all__)


@pytest.mark.parametrize("wants", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 0, 0)])
def test_only_what_is_asked_for(wants):
    x, y = (unit(r).detach() for r in rows(2))
    t = torch.tensor(-1.0, dtype=torch.double)
    full = [a.clone().requires_grad_() for a in (x, y, t)]
    st.clip(*full).backward()
    some = [a.clone().requires_grad_(bool(w)) for a, w in zip((x, y, t), wants)]
    loss = st.clip(*some)
    assert loss.requires_grad == any(wants)
    if any(wants):
        (2 * loss).backward()
    for a, b, w in zip(some, full, wants):
        assert (a.grad is None) == (not w)
        if w:
            assert torch.equal(a.grad, 2 * b.grad)


def test_strides_and_types():
    x, y = (unit(r).detach() for r in rows(2))
    want = st.clip(x, y, -1.0)
    lying = x.t().contiguous().t().requires_grad_()
    assert not lying.is_contiguous()
    loss = st.clip(lying, y[:, :], -1.0)
    loss.backward()
    assert loss.item() == want.item() and loss.dtype == torch.double
    straight = x.clone().requires_grad_()
    st.clip(straight, y, torch.tensor([-1.0], dtype=torch.double)).backward()
    assert torch.equal(lying.grad, straight.grad)
    single = x.float().requires_grad_()
    loss = st.clip(single, y.float(), -1.0)
    loss.backward()
    assert loss.dtype == single.grad.dtype == torch.float32
    for half in (torch.float16, torch.bfloat16):
        small = x.to(half).requires_grad_()
        loss = st.clip(small, y.to(half), -1.0)
        loss.backward()
        assert loss.dtype == small.grad.dtype == half
        wide = x.to(half).float().requires_grad_()
        st.clip(wide, y.to(half).float(), -1.0).backward()
        assert torch.equal(small.grad, wide.grad.to(half))


@pytest.mark.parametrize("name", ["normalize_rows", "geodesic_distance_rows", "slerp_rows", "geodesic", "linear"])
def test_rows_changed_before_the_backward_pass(name):
    """An error, as with torch's own functions: their gradients would be those of other rows."""
    x, y = (unit(r).detach() for r in rows(2))
    leaf = x.clone().requires_grad_()
    mine = leaf * 1.0
    rest = {"normalize_rows": (), "geodesic_distance_rows": (y,)}.get(name, (y, 0.3))
    out = getattr(st, name)(mine, *rest)
    mine.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_arrays_module_takes_tensors():
    x, y = rows(2)
    g = sx.losses.clip_with_gradient(x, y.detach())
    assert isinstance(g.x, torch.Tensor) and g.x.dtype == torch.double
    plain = sx.losses.clip_with_gradient(x.detach().numpy(), y.detach().numpy())
    assert g.loss == plain.loss and np.array_equal(g.x.numpy(), plain.x)
    assert isinstance(sx.metrics.retrieval_ranks(x, y), torch.Tensor)
    assert isinstance(sx.mixup.geodesic(unit(x), unit(y), torch.tensor(0.3)), torch.Tensor)
    assert sx._native._read_at(x.detach()) == x.data_ptr()


def test_errors():
    x, y = (unit(r) for r in rows(2))
    elsewhere = torch.empty(N, D, device="meta")
    with pytest.raises(ValueError, match="clip: y lies on meta: .* computes on the CPU"):
        st.clip(x, elsewhere, -1.0)
    with pytest.raises(TypeError, match="clip: x is a Tensor"):
        sx.losses.clip(elsewhere, y)
    with pytest.raises(ValueError, match="clip_with_gradient: X is 6 x 4 but Y is 3 x 4"):
        st.clip(x, y[:3], -1.0)
    with pytest.raises(TypeError, match="x is float64 but y is float32"):
        st.clip(x, y.float(), -1.0)
    with pytest.raises(TypeError, match="clip: 2 arguments where x, y, log_temperature are needed"):
        st.clip(x, y)
    with pytest.raises(TypeError, match=r"clip: a temperature is given by its logarithm here: log_temperature=math.log\(0.1\)"):
        st.clip(x, y, temperature=0.1)
    with pytest.raises(TypeError, match="no tensor among the arguments"):
        st.clip(np.eye(3), np.eye(3), -1.0)
    assert st.clip(x, y, log_temperature=-1.0).item() == st.clip(x, y, -1.0).item()


def test_training_step_learns():
    """A step down the gradient lowers the loss, by as much as the gradient says."""
    x, y = rows(2)
    t = scalar(-2.0)
    loss = st.clip(unit(x), unit(y), t)
    loss.backward()
    step = 1e-4
    with torch.no_grad():
        slope = sum(float((a.grad**2).sum()) for a in (x, y, t))
        after = st.clip(unit(x - step * x.grad), unit(y - step * y.grad), t - step * t.grad)
    assert (loss - after).item() == pytest.approx(step * slope, rel=1e-2)
