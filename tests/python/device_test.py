"""spheremix.torch on the device library: the same losses and gradients as on the CPU, through a library that was built for the
emulator or a GPU and is named in SPHEREMIX_CUDA_LIBRARY:

    for k in 3 4; do g++ -std=c++20 -O1 -shared -fPIC -fopenmp -x c++ -Iinclude -Itests -DSPHEREMIX_TORCH_ONLY=$k \\
        -DSPHEREMIX_EMULATOR='"support/emulator/emulator.hpp"' examples/torch_cuda.cu -o libpart$k.so; done
    SPHEREMIX_CUDA_LIBRARY=$PWD/libpart3.so:$PWD/libpart4.so pytest tests/python/device_test.py
"""
import contextlib
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import spheremix.torch as st  # noqa: E402
from spheremix import _device  # noqa: E402

library = pytest.mark.skipif("SPHEREMIX_CUDA_LIBRARY" not in os.environ, reason="no device library named in SPHEREMIX_CUDA_LIBRARY")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
N, D = 48, 24


def unit(count, n=N, d=D, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    one = torch.nn.functional.normalize
    x = [one(torch.randn(n, d, generator=generator))]
    x += [one(0.6 * x[0] + 0.8 / d**0.5 * torch.randn(n, d, generator=generator)) for _ in range(count - 1)]
    return [t.to(device=DEVICE, dtype=dtype).requires_grad_() for t in x]


def scalar(value):
    return torch.tensor(value, requires_grad=True)


LABELS = torch.arange(N) % 7
EACH = torch.linspace(0.1, 0.9, N)
CLASSES = [torch.arange(N) % D, (3 * torch.arange(N) + 1) % D]
LISTS = [torch.arange(20), torch.arange(20) + 7, torch.arange(20) + 11]
# For each loss: batches, what follows them, options.
CASES = [(name, 2, [scalar(-2.0)], {}) for name in ("clip", "info_nce", "nt_xent", "decoupled_contrastive")] + [
    ("margin_nce", 2, [scalar(-2.0), scalar(0.2)], {}),
    ("siglip", 2, [scalar(-2.0), scalar(-3.0)], {}),
    ("hard_negative", 2, [scalar(-0.7)], {}),
    ("hn_nce", 2, [scalar(-0.7)], {}),
    ("hn_nce", 2, [scalar(-0.7)], {"beta": 1.0, "tau_plus": 0.1}),
    ("cyclip", 2, [scalar(-2.0)], {}),
    ("cyclip", 2, [scalar(-2.0)], {"cross_weight": 0.5}),
    ("geometric_consistency", 2, [], {"in_modal_weight": 0.5}),
    ("augmented_geometric_consistency", 4, [], {}),
    ("brownian_bridge", 3, [], {}),
    ("feature_separation", 6, [scalar(-1.0)], {}),
    ("m2_mix", 2, [scalar(0.3), scalar(-2.0)], {}),
    ("m2_mix", 2, [EACH.clone().requires_grad_(), scalar(-2.0)], {}),
    ("clip_m2_mix", 2, [scalar(0.3), scalar(-2.0), scalar(-1.5)], {}),
    ("v_mix", 2, [scalar(0.3), scalar(-2.0)], {}),
    ("l_mix", 2, [EACH, scalar(-2.0)], {}),
    ("vl_mix", 2, [scalar(0.3), scalar(-2.0)], {}),
    ("vicreg", 2, [], {}),
    ("barlow_twins", 2, [], {}),
    ("align_uniform", 2, [], {"alpha": 3.0}),
    ("sup_con", 1, [LABELS, scalar(-2.0)], {}),
    ("rank_n_contrast", 1, [LABELS, scalar(0.7)], {}),
    ("rank_n_contrast", 1, [LABELS, scalar(0.7)], {"similarity": "cosine"}),
    ("triplet", 1, [LABELS], {"margin": 0.3}),
    ("triplet_of", 1, LISTS, {}),
    ("sup_remix", 1, [LABELS, 0.3, scalar(-2.0)], {"window": 2.0}),
    ("mixup_cross_entropy", 1, [*CLASSES, scalar(0.3)], {}),
    ("decoupled_mixup", 1, [*CLASSES, scalar(0.3)], {}),
]


def grads(value, leaves):
    value.backward()
    found = [t.grad.clone() for t in leaves]
    for t in leaves:
        t.grad = None
    return found


def near(a, b, floor=1e-3):
    scale = max(float(b.double().norm()), floor)
    return float((a.double().cpu() - b.double().cpu()).norm()) <= 3e-3 * scale


@library
@pytest.mark.parametrize("name,count,more,options", CASES, ids=[f"{c[0]}-{k}" for k, c in enumerate(CASES)])
def test_as_on_the_cpu(name, count, more, options):
    if _device.libraries(name).function(name) is None:
        pytest.skip(f"the library has no {name}")
    rows = unit(count)
    arguments = re.match(r"\w+\((.*?), \*\*", getattr(st, name).__doc__).group(1).split(", ")
    wide = [r.detach().cpu().double().requires_grad_() for r in rows]
    leaves = [t for t in more if isinstance(t, torch.Tensor) and t.requires_grad]
    want = getattr(st, name)(*wide, *more, **options)
    wanted = grads(want, wide + leaves)
    got = _device.loss(name, arguments, (*rows, *more), options)
    assert got.dtype == torch.float32 and abs(got.item() - want.item()) <= 2e-3 * (abs(want.item()) + 1e-2)
    mixed = "mix" in name and name not in ("mixup_cross_entropy", "decoupled_mixup", "sup_remix")
    for k, (a, b) in enumerate(zip(grads(got, rows + leaves), wanted)):
        if mixed and k < count:  # through slerp gradients are tangent on one side, ambient on the other
            x = wide[k].detach()
            a, b = (g.double().cpu() - (g.double().cpu() * x).sum(1, keepdim=True) * x for g in (a, b))
        assert near(a, b), (name, k, a, b)
    # The value alone, and rows whose numbers are not next to each other.
    with torch.no_grad():
        apart = [r.t().contiguous().t() for r in rows]
        assert abs(_device.loss(name, arguments, (*apart, *more), options).item() - got.item()) <= 1e-5 * (abs(got.item()) + 1e-2)


@library
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits(dtype):
    x, y = unit(2, dtype=dtype)
    names = ["x", "y", "log_temperature"]
    loss = _device.loss("clip", names, (x, y, -2.0), {})
    got = grads(loss, [x, y])
    assert loss.dtype == dtype and got[0].dtype == dtype
    wide = [t.detach().float().requires_grad_() for t in (x, y)]
    want = st.clip(*(w.cpu() for w in wide), -2.0)
    assert abs(loss.item() - want.item()) <= 2e-2 * want.item()


PAIR, LABELLED = ["x", "y", "log_temperature"], ["x", "labels", "log_temperature"]


@library
def test_refused():
    x, y = unit(2)
    more = torch.cat([y, y[:3]])
    mixed = ["logits", "a", "b", "lambda_"]
    lists = ["x", "anchors", "positives", "negatives"]
    none = "no matrix of PyTorch"
    for name, arguments, values, options, said in [
        ("sup_con", LABELLED, (x, LABELS.float(), -2.0), {}, "labels are torch.float32; the device library takes integers"),
        ("sup_con", LABELLED, (x, LABELS + 0j, -2.0), {}, "labels are torch.complex64; the device library takes integers"),
        ("sup_con", LABELLED, (x, LABELS[:3], -2.0), {}, "labels are (3,) where (48,) is needed"),
        ("sup_con", LABELLED, (x, LABELS[:, None], -2.0), {}, "labels are (48, 1) where (48,) is needed"),
        ("mixup_cross_entropy", mixed, (x, CLASSES[0], CLASSES[1][:5], 0.3), {}, "b are (5,) where (48,) is needed"),
        ("triplet_of", lists, (x, LISTS[0], LISTS[1], LISTS[2][:4]), {}, "negatives are (4,) where (20,) is needed"),
        ("sup_con", LABELLED, (x, LABELS, -2.0), {"exclude": 1}, "exclude is not an option"),
        ("rank_n_contrast", LABELLED, (x, LABELS, -2.0), {"similarity": "cosinus"}, 'similarity is "cosinus", not one of negative_distance, cosine'),
        ("clip", PAIR, (x, y[:3], -2.0), {}, "y is (3, 24) where the other rows are (48, 24)"),
        ("info_nce", PAIR, (x, more, -2.0), {}, "y is (51, 24) where the other rows are (48, 24)"),
        ("clip", PAIR, (x.double(), y.double(), -2.0), {}, "x is torch.float64; the device library takes"),
        ("clip", PAIR, (x, (9 * y).int(), -2.0), {}, "y is torch.int32; the device library takes"),
        ("clip", PAIR, (x + 0j, y, -2.0), {}, "x is torch.complex64; the device library takes"),
        ("clip", PAIR, (x.view(2, 24, 24), y.view(2, 24, 24), -2.0), {}, none),
        ("clip", PAIR, (x, y.detach().cpu().numpy(), -2.0), {}, none),
        ("v_mix", ["x", "y", "lambda_", "log_temperature"], (x, y, EACH[:3], -2.0), {}, "lambda has 3 elements where 48 are needed"),
    ]:
        with pytest.raises(ValueError, match=re.escape(said)) as refused:
            _device.loss(name, arguments, values, options)
        assert str(refused.value).startswith(name + ": ")
    with pytest.raises(RuntimeError, match="clip: X and Y are empty"):
        _device.loss("clip", PAIR, (x[:0], y[:0], -2.0), {})


@library
def test_strides():
    """Rows that overlap, and dimensions of size 1, which PyTorch gives any stride."""
    x, y = unit(2)
    wide = x[:1].expand(N, D)
    assert not _device.in_rows(wide)
    assert _device.loss("clip", PAIR, (wide, y, -2.0), {}).item() == _device.loss("clip", PAIR, (wide.contiguous(), y, -2.0), {}).item()
    one = y[:1].detach().reshape(D, 1).t()  # strides (1, 1)
    values = ([3], [5], 0.3)
    arguments = ["logits", "a", "b", "lambda_"]
    assert one.stride() == (1, 1)
    assert _device.loss("mixup_cross_entropy", arguments, (one, *values), {}).item() == \
        _device.loss("mixup_cross_entropy", arguments, (y[:1].detach().clone(), *values), {}).item()
    column = torch.ones(1, N, device=DEVICE).t()  # strides (1, N)
    assert _device.loss("brownian_bridge", ["augmented", "x", "y"], (column, column, column), {}).item() == 0


@library
def test_functions_of_f32_rows_alone():
    x, y = (t.detach().half() for t in unit(2))
    tried = 0
    for name in ("info_nce", "m2_mix", "uniformity", "normalize_rows", "slerp_rows"):
        if function := _device.libraries(name).function(name):
            tried += 1
            with pytest.raises(RuntimeError, match=f"{name}: rows of this function are f32"):
                _device.Prepared(function, [x, y], [x.float(), y.float()], [0.5])
    assert tried


def test_what_a_call_is_given():
    x, labels = torch.ones(4, 8), torch.zeros(4, dtype=torch.int64)
    for ins, more, said in [([x.double()], {}, "a tensor of torch.float64"), ([x, x.half()], {}, "rows of torch.float16 beside"),
                            ([x], {"index": [labels.int()]}, "a tensor of torch.int32"), ([x.t()], {}, "not next to each other"),
                            ([x], {"real": [x[:, 0]]}, "not next to each other"), ([x], {"index": [labels.to("meta")]}, "on meta where")]:
        with pytest.raises(ValueError, match=said):
            _device.Prepared(lambda call: 0, ins, **more)


def test_rows_on_another_gpu_than_the_current_one():
    """The call is made with the rows' GPU as the current one, on that one's stream."""
    now, seen = ["cuda:0"], []

    @contextlib.contextmanager
    def device(name):
        before, now[0] = now[0], name
        yield
        now[0] = before

    streams = {"cuda:0": SimpleNamespace(cuda_stream=7), "cuda:1": SimpleNamespace(cuda_stream=8)}
    call = object.__new__(_device.Prepared)
    call.call, call.number = _device.Call(), SimpleNamespace(is_cuda=True, device="cuda:1")
    call.torch = SimpleNamespace(cuda=SimpleNamespace(device=device, current_stream=lambda name=None: streams[name or now[0]]))
    call.function = lambda c: seen.append((now[0], c._obj.stream)) or 0
    call()
    assert seen == [("cuda:1", 8)] and now == ["cuda:0"]


def test_rows_decide_the_device():
    for name, arguments, rows in [("clip", PAIR, ["x", "y"]), ("sup_con", LABELLED, ["x"]), ("uniformity", ["x"], ["x"]),
                                  ("margin_nce", [*PAIR, "margin"], ["x", "y"]), ("l_mix", ["x", "y", "lambda_"], ["x", "y"]),
                                  ("decoupled_mixup", ["logits", "a", "b", "lambda_"], ["logits"]), ("modality_gap", ["x", "y"], ["x", "y"])]:
        assert [a for a in arguments if _device.is_rows(name, a)] == rows


def test_without_a_library(monkeypatch):
    monkeypatch.setattr(_device, "_libraries", None)
    monkeypatch.delenv("SPHEREMIX_CUDA_LIBRARY", raising=False)
    monkeypatch.setattr(_device, "__file__", "/nonexistent/_device.py")
    with pytest.raises(ValueError, match="clip: its rows lie on a GPU and this package was built without the device library: build it"):
        _device.libraries("clip")
    with pytest.raises(ValueError, match="m3_mix: the device library has no such function"):
        _device.loss("m3_mix", [], (), {})


def test_order_of_options():
    """Every loss here is a function of examples/torch_cuda.cu, and reads as many options there as it is given."""
    source = (Path(__file__).parents[2] / "examples/torch_cuda.cu").read_text()
    for name, (order, _) in _device.LOSSES.items():
        body = re.search(r"SPHEREMIX_(?:LOSS|LOSS_OF_ANY|GRADIENT|FUNCTION)\(\s*" + name + r"\b(.*?)(?=\n(?:///|SPHEREMIX_|#))", source, re.S)
        assert body, name
        read = {int(k) for k in re.findall(r"(?:option|lambda)\((\d)\)", body.group(1))}
        assert read == set(range(len(order))), (name, read, order)
