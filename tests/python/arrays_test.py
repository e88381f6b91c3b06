"""What goes in and comes out: where rows are read, what is copied, what is refused, threads, memory."""
import array
import gc
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
import types

import numpy as np
import pytest
import spheremix as sx
from support import batches, close

L, M = sx.losses, sx.metrics


class Counted:
    """An array by DLPack alone."""

    def __init__(self, rows):
        self.rows = rows

    def __dlpack__(self, **options):
        return self.rows.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.rows.__dlpack_device__()


def strided(x):
    """The rows of x inside a wider matrix."""
    wide = np.full((len(x), x.shape[1] + 3), np.nan, x.dtype)
    wide[:, 2:-1] = x
    return wide[:, 2:-1]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_layouts_agree(dtype):
    x, y = (b.astype(dtype) for b in batches(2))
    want = L.clip(x, y)
    everyother = np.repeat(x, 2, axis=0)[::2]
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:]  # not aligned
    unaligned = np.ndarray(x.shape, x.dtype, buffer=odd)
    assert not unaligned.flags.aligned
    frozen = x.copy()
    frozen.flags.writeable = False
    flipped = x[::-1].copy()[::-1]
    for same in (np.asfortranarray(x), strided(x), everyother, frozen, flipped, memoryview(x), Counted(x), unaligned):
        assert L.clip(same, y) == want
    assert L.clip(x.tolist(), y.tolist()) == pytest.approx(want, rel=1e-6)
    one = np.broadcast_to(x[:1], x.shape)  # all rows are one
    assert M.alignment(one, y) == M.alignment(np.ascontiguousarray(one), y)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rows_are_read_in_place(dtype):
    """By address: contiguous rows, whatever the distance between them, are read where they lie; others are not."""
    x = batches(1)[0].astype(dtype)
    wide = np.zeros((7, 9), dtype)
    for rows in (x, x[2:], x[::2], wide[:, 3:8], x[:1], memoryview(x), Counted(x)):
        under = getattr(rows, "rows", np.asarray(rows) if isinstance(rows, memoryview) else rows)
        assert sx._native._read_at(rows) == under.ctypes.data
    for rows in (np.asfortranarray(x), x[:, ::2], x[::-1], x.astype("f2"), np.broadcast_to(x[:1], x.shape)):
        place = sx._native._read_at(rows)
        assert not rows.ctypes.data - rows.nbytes <= place < rows.ctypes.data + rows.nbytes


def test_results_are_new_and_of_the_callers_kind():
    x, y = batches(2)
    g = L.clip_with_gradient(x, y)
    assert type(g.x) is np.ndarray and g.x.flags.owndata and g.x.flags.c_contiguous and g.x.flags.writeable
    assert not np.shares_memory(g.x, g.y) and not np.shares_memory(g.x, x)
    assert L.clip_with_gradient(x.astype("f4"), y.astype("f4")).x.dtype == np.float32
    assert M.retrieval_ranks(x, y).dtype == np.int64
    assert type(L.clip_with_gradient(memoryview(x), y).x) is np.ndarray
    keep = g.x
    del g
    gc.collect()
    assert np.isfinite(keep).all()


def test_results_of_another_library(monkeypatch):
    """What has __dlpack__ is of the library that its class comes from: results go through its from_dlpack, where it has one."""
    (x,) = batches(1)
    want = sx.sphere.normalize_rows(x)
    library = types.ModuleType("some_library")
    library.from_dlpack = Counted
    monkeypatch.setitem(sys.modules, "some_library", library)
    for module in ("some_library", "some_library.parts"):
        found = sx.sphere.normalize_rows(type("Rows", (Counted,), {"__module__": module})(x))
        assert type(found) is Counted and np.array_equal(found.rows, want)
    monkeypatch.setitem(sys.modules, "bare_library", types.ModuleType("bare_library"))
    for module in ("bare_library", "library_that_is_not_there"):
        found = sx.sphere.normalize_rows(type("Rows", (Counted,), {"__module__": module})(x))
        assert type(found) is np.ndarray and np.array_equal(found, want)


def test_half_is_converted():
    x, y = (b.astype("f2") for b in batches(2))
    wide = L.clip_with_gradient(x.astype("f4"), y.astype("f4"))
    half = L.clip_with_gradient(x, y)
    assert half.loss == wide.loss and half.x.dtype == np.float32 and (half.x == wide.x).all()
    assert L.clip(x, y.astype("f4")) == half.loss


def test_weights_take_any_type():
    x, y = (b.astype("f4") for b in batches(2))
    each = np.linspace(0, 1, 7)
    want = L.m2_mix_with_gradient(x, y, each.astype("f4"))
    for given in (each, list(each), each[:, None], each[None], memoryview(each), array.array("d", each)):
        same = L.m2_mix_with_gradient(x, y, given)
        assert same.loss == want.loss and (same.lambda_ == want.lambda_).all()
    assert L.m2_mix(x, y, np.float32(0.25)) == L.m2_mix(x, y, 0.25) == L.m2_mix(x, y, np.array(0.25))


ERRORS = [
    (lambda x, y: L.clip(x, y[:3]), ValueError, r"^clip: X is 7 x 5 but Y is 3 x 5$"),
    (lambda x, y: L.clip_with_gradient(x, y, temperature=0), ValueError, r"^clip_with_gradient: temperature is 0"),
    (lambda x, y: L.clip(x[:0], y[:0]), ValueError, r"^clip: X has no rows$"),
    (lambda x, y: L.m2_mix(x, y, 1.5), ValueError, r"^m2_mix: lambda is 1.5, outside \[0, 1\]$"),
    (lambda x, y: L.sup_con(x, [0, 1]), ValueError, r"^sup_con: labels has 2 elements where 7 are needed$"),
    (lambda x, y: M.retrieval(x * np.nan, y), ValueError, r"^retrieval: "),
    (lambda x, y: L.m2_mix(x, y, 0.5, reduction="avg"), ValueError, r'^m2_mix: reduction is "avg", not one of sum, mean$'),
    (lambda x, y: L.clip(x[0], y), ValueError, r"^clip: x has 1 dimension where 2 are needed"),
    (lambda x, y: sx.sphere.tangent(x, y), ValueError, r"^tangent: x has 2 dimensions where 1 is needed"),
    (lambda x, y: L.clip(x, y.astype("f4")), TypeError, r"^clip: x is float64 but y is float32: arguments need one type$"),
    (lambda x, y: L.clip(x.astype(int), y), TypeError, r"^clip: x is int64, where float32, float64 or float16 is needed$"),
    (lambda x, y: L.clip(x * 1j, y), TypeError, r"^clip: x is complex128"),
    (lambda x, y: L.clip(x.astype(">f8"), y), TypeError, r"^clip: x is an array of >f8"),
    (lambda x, y: L.clip("rows", y), TypeError, r"^clip: x is a str"),
    (lambda x, y: L.clip(x, {}), TypeError, r"^clip: y is a dict"),
    (lambda x, y: L.sup_con(x, 3), TypeError, r"^sup_con: labels is one number"),
    (lambda x, y: L.v_mix(x, y, 0.5, partners=[0.5] * 7), TypeError, r"^v_mix: partners is float64, not whole numbers$"),
    (lambda x, y: L.clip(x, y, tau=1.0), TypeError, r"clip\("),
    (lambda x, y: sx.set_threads(-1), ValueError, r"^set_threads: n is -1"),
    (lambda x, y: sx.sphere.sample_uniform(3, 3, sx.core.Philox(1), dtype="int8"), TypeError, "dtype is int8"),
    (lambda x, y: sx.analyze(), ValueError, "no modality"),
]


@pytest.mark.parametrize("call, kind, sentence", ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_errors_have_a_sentence(call, kind, sentence):
    x, y = batches(2)
    with pytest.raises(kind, match=sentence):
        call(x, y)


def test_threads_change_no_bit():
    x, y = batches(2, 300, 64)
    results = []
    before = sx.threads()
    try:
        for n in (1, 2, 5):
            sx.set_threads(n)
            assert sx.threads() == n
            results.append(L.clip_with_gradient(x, y))
    finally:
        sx.set_threads(0)
    assert sx.threads() == before
    for other in results[1:]:
        assert other.loss == results[0].loss and (other.x == results[0].x).all()


def test_two_threads_at_once():
    """Python's lock is let go: another thread counts while a call runs; and both get the numbers that one gets."""
    x, y = batches(2, 1200, 256)
    want = L.clip_with_gradient(x, y)
    found, counted, running = [], [0], threading.Event()

    def work():
        running.set()
        for _ in range(3):
            found.append(L.clip_with_gradient(x, y))
        running.clear()

    def count():
        running.wait()
        while running.is_set():
            counted[0] += 1
            time.sleep(0)  # gives the lock up

    switch = sys.getswitchinterval()
    sys.setswitchinterval(100)  # the lock goes to another thread only where it is let go
    try:
        workers = [threading.Thread(target=work), threading.Thread(target=count)]
        for w in workers:
            w.start()
        workers[0].join()
    finally:
        sys.setswitchinterval(switch)
    running.clear()
    workers[1].join()
    assert counted[0] > 0
    for g in found:
        assert g.loss == want.loss and (g.x == want.x).all()
    several = [threading.Thread(target=lambda: found.append(L.clip_with_gradient(x, y))) for _ in range(4)]
    for t in several:
        t.start()
    for t in several:
        t.join()
    assert all(g.loss == want.loss and (g.y == want.y).all() for g in found)


def test_many_calls_do_not_grow():
    """10,000 calls, with errors among them; what is alive afterwards is what was alive before."""
    x, y = (b.astype("f4") for b in batches(2, 32, 16))

    def calls(n):
        for i in range(n):
            L.clip_with_gradient(x, y)
            L.m2_mix_with_gradient(x, Counted(y), np.full(32, 0.3))
            M.retrieval(x, y, k=[1, 5])
            if i % 10 == 0:
                with pytest.raises(ValueError):
                    L.clip(x, y[:3])

    calls(300)
    gc.collect()
    references = sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0]
    calls(3400)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - held
    tracemalloc.stop()
    assert sys.getrefcount(x) == references[0] and sys.getrefcount(y) == references[1]
    assert abs(sys.getrefcount(None) - references[2]) < 1000
    assert grown < 1 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1.2 * peak


RNG_CALLS = {
    "sup_remix": lambda x, rng: L.sup_remix(x, np.arange(256) % 9.0, rng, temperature=0.2),
    "sup_remix_with_gradient": lambda x, rng: L.sup_remix_with_gradient(x, np.arange(256) % 9.0, rng, temperature=0.2).loss,
    "sample_uniform": lambda x, rng: sx.sphere.sample_uniform(256, 64, rng)[0, 0],
    "beta": lambda x, rng: sx.mixup.beta(4096, 0.5, 0.5, rng)[0],
}


@pytest.mark.parametrize("name", RNG_CALLS)
def test_threads_on_one_generator(name):
    """Every call takes a step of its own: as many steps as calls, and the draws of one thread's calls in some order."""
    (x,) = batches(1, 256, 64)
    call = RNG_CALLS[name]
    alone, shared = sx.core.Philox(5), sx.core.Philox(5)
    want = [call(x, alone) for _ in range(32)]
    assert len(set(want)) == 32
    found, start = [], threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(8):
            found.append(call(x, shared))

    several = [threading.Thread(target=work) for _ in range(4)]
    for worker in several:
        worker.start()
    for worker in several:
        worker.join()
    assert shared.step() == 32
    assert sorted(found) == sorted(want)


FIRST_CALLS = """
import sys, threading
import spheremix as sx
assert "numpy" not in sys.modules
sys.setswitchinterval(1e-6)
rows = memoryview(bytes(range(64))).cast("d", [2, 4])
start = threading.Barrier(4)
def work():
    start.wait()
    sx.losses.align_uniform_with_gradient(rows, rows)
several = [threading.Thread(target=work, daemon=True) for _ in range(4)]
for worker in several: worker.start()
for worker in several: worker.join()
"""


def test_first_calls_at_once():
    """They import NumPy, during which Python's lock changes hands: none waits for another that waits for it (the limit ends a hang)."""
    subprocess.run([sys.executable, "-c", FIRST_CALLS], check=True, timeout=600)


def test_an_error_takes_no_step():
    (x,) = batches(1)
    rng = sx.core.Philox(5)
    for refused in (
        lambda: L.sup_remix(x, np.arange(3.0), rng),
        lambda: L.sup_remix(x, np.arange(7.0), rng, temperature=-1.0),
        lambda: L.sup_remix_with_gradient(x, np.arange(7.0), rng, beta_a=0.0),
        lambda: sx.mixup.beta(3, -1.0, 1.0, rng),
    ):
        with pytest.raises(ValueError):
            refused()
        assert rng.step() == 0


def test_analyze():
    """Runs a stand-in for spheremix-analyze: which arguments it gets, and that its JSON comes back."""
    import json
    import pathlib
    import tempfile

    x, y = batches(2)
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "stand-in"
        program.write_text(
            f"#!{sys.executable}\nimport json, sys\na = sys.argv\n"
            "if '--refuse' in a: sys.exit('stand-in: rows are refused')\n"
            "import numpy\n"
            "rows = {v.split('=')[0]: numpy.load(v.split('=')[1]).tolist() for v in a if '=' in v}\n"
            "json.dump({'rows': rows, 'options': a[-4:-2]}, open(a[-1], 'w'))\n"
        )
        program.chmod(0o755)
        figures = sx.analyze(image=x, text=y, program=program, options=["--seed", "3"])
        assert figures == {"rows": {"image": x.tolist(), "text": y.tolist()}, "options": ["--seed", "3"]}
        assert json.dumps(figures)
        with pytest.raises(ValueError, match="analyze: stand-in: rows are refused"):
            sx.analyze(image=x, program=program, options=["--refuse"])
        with pytest.raises(FileNotFoundError, match="not a program that can be run"):
            sx.analyze(image=x, program=pathlib.Path(folder) / "nothing")
