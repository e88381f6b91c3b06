#!/usr/bin/env python3
"""spheremix against PyTorch in one process, on the same arrays, with the same number of threads.

    python3 benchmarks/versus_torch.py                          the default workloads, one thread and two
    python3 benchmarks/versus_torch.py --list
    python3 benchmarks/versus_torch.py clip-4096 m2-4096 --threads 2 --repeats 15 --json out.json

Runs under any Python that has torch and numpy (Debian: python3-torch with libopenblas0-pthread; with the reference BLAS
it is refused). Our side is benchmarks/versus/versus.cpp, built here with g++ -O2 -fopenmp and --flags. Each workload is
value and gradients unless its name says forward; PyTorch runs it eagerly the way trainers write it (and compiled, with --compile). First both results are compared:
without agreement nothing is timed. Then the two take turns, and medians of the turns are reported with the quartile
spread and their ratio, beside the rate of fused multiply-adds probed in the same turns. Peak memory is the growth of
the resident set in one extra call of each.
"""
import argparse
import ctypes
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PAUSE = 0.02  # seconds between turns: lets the other library's threads stop spinning

# ---- Workloads: name -> (work on our side, options, minimal flops / (n^2 d) or None) ----

WORKLOADS = {}
for n in (64, 256, 1024, 4096, 8192):
    WORKLOADS[f"clip-{n}"] = ("clip", {"n": n}, 6)
WORKLOADS["clip-8192-24MiB"] = ("clip", {"n": 8192, "budget": 24 << 20}, 6)
WORKLOADS["clip-4096-f64"] = ("clip", {"n": 4096, "f64": True}, 6)
WORKLOADS["clip-pairs"] = ("clip", {"n": 1870, "d": 256, "pairs": True}, 6)  # the embeddings of examples/data
WORKLOADS["info_nce-4096"] = ("info_nce", {"n": 4096}, 6)
WORKLOADS["m2-4096"] = ("m2_mix", {"n": 4096}, 12)
WORKLOADS["clip_m2-4096"] = ("clip_m2_mix", {"n": 4096}, 12)
WORKLOADS["clip_m2-4096-35MiB"] = ("clip_m2_mix", {"n": 4096, "budget": 35 << 20}, 12)  # one strip in memory
WORKLOADS["sup_remix-256"] = ("sup_remix", {"n": 256, "d": 128}, None)
for n in (4096, 8192):
    WORKLOADS[f"uniformity-{n}"] = ("uniformity", {"n": n, "rival": "matmul"}, 3)
    WORKLOADS[f"uniformity-{n}-pdist"] = ("uniformity", {"n": n, "rival": "pdist"}, 3)
WORKLOADS["uniformity-4096-f64"] = ("uniformity", {"n": 4096, "rival": "matmul", "f64": True}, 3)
WORKLOADS["uniformity-pairs"] = ("uniformity", {"n": 1870, "d": 256, "rival": "matmul", "pairs": True}, 3)
WORKLOADS["angles-4096"] = ("angles", {"n": 4096}, 2)
WORKLOADS["retrieval-8192"] = ("retrieval", {"n": 8192}, 2)
ROWS = ("slerp", "linear", "normalize", "distance", "alignment")  # a row of each matrix at a time
for rows in ROWS:
    WORKLOADS[f"{rows}-65536-forward"] = (rows, {"n": 65536}, None)
    WORKLOADS[f"{rows}-65536"] = (f"{rows}_vjp", {"n": 65536}, None)
DEFAULT = [name for name in WORKLOADS if name not in ("clip-64", "clip-256", "uniformity-8192-pdist")]
FORWARD = (*ROWS, "angles", "retrieval")  # no gradients


class Call(ctypes.Structure):
    """VersusCall of versus.cpp."""

    _fields_ = ([("work", ctypes.c_char_p), ("n", ctypes.c_long), ("d", ctypes.c_long)] +
                [(name, ctypes.c_void_p) for name in ("x", "y", "g", "dx", "dy", "z")] +
                [(name, ctypes.c_double)
                 for name in ("temperature", "mix_temperature", "lam", "weight", "budget", "loss", "log_temperature",
                              "log_mix_temperature", "d_lambda")])


def build(flags, compiler, source="versus.cpp"):
    """The shared library of a source in versus/, rebuilt when a source or the flags changed."""
    folder = os.path.join(ROOT, "build-versus")
    os.makedirs(folder, exist_ok=True)
    name = source.removesuffix(".cpp")
    library, stamp = os.path.join(folder, f"lib{name}.so"), os.path.join(folder, f"{name}-flags")
    eigen = "/usr/include/eigen3"
    try:
        found = subprocess.run(["pkg-config", "--cflags-only-I", "eigen3"], capture_output=True, text=True, check=True)
        eigen = found.stdout.strip().removeprefix("-I") or eigen
    except (OSError, subprocess.CalledProcessError):
        pass
    command = [compiler, "-std=c++20", "-O2", "-fopenmp", "-shared", "-fPIC", "-I", os.path.join(ROOT, "include"), "-I",
               HERE, "-isystem", eigen, *flags.split(), os.path.join(HERE, "versus", source), "-o", library]
    sources = [os.path.join(folder_, f) for top in (os.path.join(ROOT, "include"), os.path.join(HERE, "versus"))
               for folder_, _, files in os.walk(top) for f in files]
    built = os.path.getmtime(library) if os.path.exists(library) else 0
    same = os.path.exists(stamp) and open(stamp).read() == " ".join(command)
    if not same or any(os.path.getmtime(f) > built for f in sources):
        print("building", os.path.relpath(library), "with", compiler, "-O2", flags, file=sys.stderr)
        subprocess.check_call(command)
        with open(stamp, "w") as f:
            f.write(" ".join(command))
    lib = ctypes.CDLL(library)
    lib.versus_error.restype = ctypes.c_char_p
    lib.versus_fma_peak.restype = ctypes.c_double
    lib.versus_fma_peak.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_double]
    return lib


class Ours:
    def __init__(self, lib, work, f64, x, y, g, p):
        self.lib, self.f64 = lib, f64
        self.dx, self.dy = numpy.ones_like(x), numpy.ones_like(x)
        shape = (len(x), len(x)) if work == "angles" else len(x) if work.startswith("distance") else x.shape
        self.z = numpy.ones(shape, dtype=x.dtype)
        self.keep = (x, y, g)
        address = [a.ctypes.data for a in (x, y, g, self.dx, self.dy, self.z)]
        self.call = Call(work.encode(), *x.shape, *address, p["tau"], p["mix_tau"], p["lam"], p["weight"], p["budget"])
        self.run = lib.versus_run_f64 if f64 else lib.versus_run_f32

    def __call__(self):
        if self.run(ctypes.byref(self.call)):
            raise RuntimeError(self.lib.versus_error().decode())

    def results(self):
        c = self.call
        return {"loss": c.loss, "x": self.dx, "y": self.dy, "z": self.z, "lambda": c.d_lambda,
                "log_temperature": c.log_temperature, "log_mix_temperature": c.log_mix_temperature}


# ---- PyTorch's side, as eager training code has it ----


def torch_losses(torch):
    F = torch.nn.functional

    def slerp(a, b, lam):  # weight lam on a
        theta = torch.acos((a * b).sum(dim=1, keepdim=True))
        s = torch.sin(theta)
        return torch.sin(lam * theta) / s * a + torch.sin((1 - lam) * theta) / s * b

    def info_nce(x, y, log_tau):
        logits = torch.exp(-log_tau) * (x @ y.T)
        return F.cross_entropy(logits, torch.arange(len(x)))

    def clip(x, y, log_tau):
        logits = torch.exp(-log_tau) * (x @ y.T)
        labels = torch.arange(len(x))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2

    def m2_mix(x, y, lam, log_tau):
        m, labels = slerp(x, y, lam), torch.arange(len(x))
        positive = (x * y).sum(dim=1)
        scale, total = torch.exp(-log_tau), 0
        for anchor in (x, y):
            logits = scale * torch.diagonal_scatter(anchor @ m.T, positive)
            total = total + F.cross_entropy(logits, labels)
        return total

    def sup_remix(x, labels, lam, log_tau, window):  # dense, anchor by anchor: n^3 d numbers at once are 8.6 GB
        scale, keys, others = torch.exp(-log_tau), x.detach(), ~torch.eye(len(x), dtype=torch.bool)
        apart = (labels[:, None] - labels[None]).abs()
        real = scale * (x @ x.T) + torch.log(1 + apart)
        negative = lam * keys[:, None] + (1 - lam) * keys[None]
        mixed = scale * (x[:, None] * negative).sum(-1) + torch.log(1 + (1 - lam) * apart)
        total, anchors = 0, 0
        for i, y in enumerate(labels):
            parents = ((labels < y) & (labels > y - window))[:, None] & ((labels > y) & (labels < y + window))[None]
            if not parents.any():
                continue
            weight = torch.where(parents, (labels[None] - y) / (labels[None] - labels[:, None]), torch.zeros_like(apart))
            positive = weight[:, :, None] * keys[:, None] + (1 - weight)[:, :, None] * keys[None]
            z = (scale * (positive @ x[i]))[parents]
            total = total + torch.logsumexp(torch.cat([real[i][others[i]], mixed[i][others[i]], z]), 0) - z.mean()
            anchors += 1
        return total / anchors

    def uniformity(x):
        kernel = torch.exp(-2 * (2 - 2 * (x @ x.T)))
        n = len(x)
        return torch.log((kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1)))

    def uniformity_pdist(x):
        return torch.pdist(x).pow(2).mul(-2).exp().mean().log()

    def angles(x, y):
        return torch.acos((x @ y.T).clamp(-1, 1))

    def retrieval(x, y):  # ranks by counting: no sort
        cosines = x @ y.T
        own = cosines.diagonal()
        ranks = torch.cat([(cosines > own[:, None]).sum(1), (cosines > own[None]).sum(0)])
        return (ranks < 1).double().mean(), (ranks < 10).double().mean()

    def linear(a, b, lam):
        return lam * a + (1 - lam) * b

    def normalize(x):
        return F.normalize(x, dim=1)

    def distance(x, y):
        return torch.acos((x * y).sum(dim=1))

    def alignment(x, y):
        return (x - y).norm(p=2, dim=1).pow(2).mean()

    return (slerp, info_nce, clip, m2_mix, sup_remix, uniformity, uniformity_pdist, angles, retrieval, linear, normalize,
            distance, alignment)


class Theirs:
    def __init__(self, torch, work, x, y, g, p, rival, compiled):
        self.torch, self.work = torch, work
        gradients = work not in FORWARD
        self.x, self.y = (torch.from_numpy(a).requires_grad_(gradients) for a in (x, y))
        self.g = torch.from_numpy(g)
        self.scalars = {name: torch.tensor(value, dtype=self.x.dtype, requires_grad=gradients)
                        for name, value in (("log_temperature", math.log(p["tau"])),
                                            ("log_mix_temperature", math.log(p["mix_tau"])), ("lambda", p["lam"]))}
        (slerp, info_nce, clip, m2_mix, sup_remix, uniformity, uniformity_pdist, angles, retrieval, linear, normalize,
         distance, alignment) = torch_losses(torch)
        x, y, (lt, lm, lam) = self.x, self.y, self.scalars.values()
        self.forward = {
            "clip": lambda: clip(x, y, lt),
            "info_nce": lambda: info_nce(x, y, lt),
            "m2_mix": lambda: m2_mix(x, y, lam, lm),
            "clip_m2_mix": lambda: clip(x, y, lt) + p["weight"] * m2_mix(x, y, lam, lm),
            "sup_remix": lambda: sup_remix(x, y[:, 0].detach(), p["lam"], lt, p["weight"]),
            "uniformity": (lambda: uniformity_pdist(x)) if rival == "pdist" else (lambda: uniformity(x)),
            "angles": lambda: angles(x, y),
            "retrieval": lambda: retrieval(x, y),
            "slerp": lambda: slerp(x, y, 1 - lam),
            "linear": lambda: linear(x, y, lam),
            "normalize": lambda: normalize(x),
            "distance": lambda: distance(x, y),
            "alignment": lambda: alignment(x, y),
        }[work.removesuffix("_vjp")]
        if compiled:
            self.forward = torch.compile(self.forward)

    def __call__(self):
        for v in (self.x, self.y, *self.scalars.values()):
            v.grad = None
        self.out = self.forward()
        if self.work.endswith("_vjp") and self.out.dim() > 0:
            self.out.backward(self.g if self.out.dim() == 2 else self.g[:, 0])
        elif self.work not in FORWARD:
            self.out.backward()

    def results(self):
        out = {"x": self.x.grad, "y": self.y.grad} | {k: v.grad for k, v in self.scalars.items()}
        out = {k: v.detach().numpy() for k, v in out.items() if v is not None}
        if self.work == "retrieval":
            return {"loss": self.out[0].item(), "lambda": self.out[1].item()}
        if self.out.dim() > 0:
            return out | {"z": self.out.detach().numpy()}
        return out | {"loss": self.out.item()}


def project(g, x):
    """The tangent part of the rows of g."""
    return g - (g * x).sum(axis=1, keepdims=True) * x


def disagreement(work, ours, theirs, x, y):
    """The largest relative difference over all that PyTorch returns. Gradients through the mixing are tangent on our
    side and ambient in the eager formula, and 2 - 2 x.y differs from |x - y|^2 off the sphere: there gradients are
    compared after projection."""
    worst = 0.0
    a, b = ours.results(), theirs.results()
    for name, want in b.items():
        got = numpy.asarray(a[name], dtype=numpy.float64)
        want = numpy.asarray(want, dtype=numpy.float64)
        if name in ("x", "y") and work not in ("clip", "info_nce", "linear_vjp", "alignment_vjp"):
            got, want = project(got, x if name == "x" else y), project(want, x if name == "x" else y)
        worst = max(worst, float(numpy.abs(got - want).max() / max(numpy.abs(want).max(), 1e-30)))
    return worst


# ---- Measuring ----


def status(name):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(name))


def peak_growth(call):
    """Bytes by which the peak resident set grows during the call, or None where the system does not tell."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # free memory that is still resident would hide the growth
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        before = status("VmRSS")
        call()
        return max(0, status("VmHWM") - before)
    except OSError:
        return None


def seconds(call, inner):
    time.sleep(PAUSE)
    start = time.perf_counter()
    for _ in range(inner):
        call()
    return (time.perf_counter() - start) / inner


def spread(times):
    """Half the distance between the quartiles, relative to the median."""
    q = statistics.quantiles(times, n=4)
    return (q[2] - q[0]) / 2 / statistics.median(times)


def compare(torch, lib, name, threads, args):
    work, options, flops = WORKLOADS[name]
    n, f64 = options["n"], options.get("f64", False)
    d, dtype = options.get("d", args.dim), numpy.float64 if f64 else numpy.float32
    rng = numpy.random.default_rng(1)
    x = rng.standard_normal((n, d))
    y = 0.5 * x + rng.standard_normal((n, d))  # pairs that belong together, cosine near .45
    if options.get("pairs"):
        data = os.path.join(ROOT, "examples", "data")
        x, y = (numpy.load(os.path.join(data, f"{side}_feat_256_f16.npy")).astype(float) for side in ("image", "text"))
    x, y = (numpy.ascontiguousarray(a / numpy.linalg.norm(a, axis=1, keepdims=True), dtype=dtype) for a in (x, y))
    g = rng.standard_normal((n, d)).astype(dtype)
    p = {"tau": args.tau, "mix_tau": args.mix_tau, "lam": 0.3, "weight": 0.5, "budget": options.get("budget", 1 << 30)}

    lib.versus_threads(threads)
    torch.set_num_threads(threads)
    ours = Ours(lib, work, f64, x, y, g, p)
    rivals = {"torch": Theirs(torch, work, x, y, g, p, options.get("rival"), False)}
    if args.compile:
        rivals["compiled"] = Theirs(torch, work, x, y, g, p, options.get("rival"), True)
    lib.versus_release()
    memory = {"spheremix": peak_growth(ours)}  # both from cold: nothing of an earlier workload is reused
    memory["torch"] = peak_growth(rivals["torch"])
    for rival, theirs in rivals.items():
        theirs()
        error = disagreement(work, ours, theirs, x, y)
        if not error <= (1e-9 if f64 else 2e-3):
            sys.exit(f"{name}: spheremix and {rival} disagree by {error:.2e} relative; nothing is timed")

    if args.check:
        print(f"{name:<22} {threads:>3} threads: largest relative difference {error:.1e}", flush=True)
        return {"workload": name, "threads": threads, "largest_difference": error}
    calls = {"spheremix": ours} | rivals
    inner = {}
    for who, call in calls.items():
        one = seconds(call, 1)
        inner[who] = max(1, min(1000, math.ceil(args.least / one)))
    times, peaks = {who: [] for who in calls}, []
    for repeat in range(args.repeats):
        peaks.append(lib.versus_fma_peak(int(f64), threads, 0.05))
        for who in list(calls) if repeat % 2 == 0 else list(calls)[::-1]:
            times[who].append(seconds(calls[who], inner[who]))
    median = {who: statistics.median(t) for who, t in times.items()}
    peak = statistics.median(peaks)
    rate = flops * n * n * d / median["spheremix"] / 1e9 if flops else None
    row = {"workload": name, "n": n, "d": d, "dtype": "f64" if f64 else "f32", "threads": threads,
           "seconds": median, "spread": {who: spread(t) for who, t in times.items()}, "times": times,
           "ratio": {who: median[who] / median["spheremix"] for who in rivals},
           "fma_peak_gflops": peak, "gflops": rate, "of_peak": rate / peak if rate and peak else None,
           "peak_bytes": memory, "largest_difference": error}
    show(row)
    return row


def show(row):
    ms = {who: f"{1e3 * t:.1f}" for who, t in row["seconds"].items()}
    mb = [f"{b / 1e6:.0f}" if b is not None else "?" for b in row["peak_bytes"].values()]
    of_peak = f"{100 * row['of_peak']:.0f}" if row["of_peak"] else "-"
    compiled = f" {ms['compiled']:>9} {row['ratio']['compiled']:>6.2f}" if "compiled" in ms else ""
    print(f"{row['workload']:<22} {row['threads']:>3} {ms['spheremix']:>10} {100 * row['spread']['spheremix']:>4.0f} "
          f"{ms['torch']:>10} {100 * row['spread']['torch']:>4.0f} {row['ratio']['torch']:>6.2f} {of_peak:>5} "
          f"{row['fma_peak_gflops']:>7.0f} {mb[0]:>7} {mb[1]:>7} {row['largest_difference']:>8.0e}{compiled}",
          flush=True)


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    git = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": cpu, "cpus": os.cpu_count(), "commit": git.stdout.strip(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def reference_blas(torch):
    """The file of the reference BLAS where torch multiplies by that (Debian's without OpenBLAS), else None."""
    if torch.backends.mkl.is_available():
        return None
    torch.ones(2, 2) @ torch.ones(2, 2)
    try:
        with open("/proc/self/maps") as f:
            files = {os.path.realpath(line.split()[-1]) for line in f if "/libblas.so" in line}
    except OSError:
        return None
    return next((path for path in sorted(files)
                 if not any(fast in path.lower() for fast in ("openblas", "blis", "atlas", "mkl"))), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="names or their beginnings (default: nearly all)")
    parser.add_argument("--list", action="store_true", help="print the workloads and stop")
    parser.add_argument("--check", action="store_true", help="compare the results only, time nothing")
    parser.add_argument("--threads", default="1,2", help="comma separated (default 1,2)")
    parser.add_argument("--repeats", type=int, default=9, help="interleaved turns (default 9, at least 7)")
    parser.add_argument("--least", type=float, default=0.02, help="seconds a turn lasts at least, by repeating")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--tau", type=float, default=0.07)
    parser.add_argument("--mix-tau", type=float, default=0.07)
    parser.add_argument("--flags", default="", help="more compiler flags for our side, e.g. -march=native")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--compile", action="store_true", help="torch.compile as a third, in PyTorch 2")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    args = parser.parse_args()
    if args.list:
        print("\n".join(WORKLOADS))
        return
    if args.repeats < 7:
        parser.error("fewer than 7 turns say little")
    chosen = DEFAULT if not args.workloads else [
        name for name in WORKLOADS
        if name in args.workloads or any(name.startswith(w) and w not in WORKLOADS for w in args.workloads)]
    if not chosen:
        parser.error("no such workload; --list shows them")
    threads = [int(t) for t in args.threads.split(",")]
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(max(threads))  # read when the libraries load; set_num_threads narrows it below

    global numpy
    import numpy
    import torch

    slow = reference_blas(torch)
    if slow:
        sys.exit(f"this torch multiplies by the reference BLAS ({slow}), some 20 times slower than it need be: nothing is "
                 "compared. Debian: apt-get install libopenblas0-pthread")

    lib = build(args.flags, args.compiler)
    about = machine() | {"torch": torch.__version__, "python": sys.version.split()[0],
                         "flags": ("-O2 " + args.flags).strip(), "repeats": args.repeats, "tau": args.tau,
                         "command": " ".join(sys.argv)}
    print(f"{about['cpu']}, {about['cpus']} CPUs; torch {about['torch']}; our flags {about['flags']}; D = {args.dim}")
    print("ms: medians of", args.repeats, "turns; +-%: half the quartile range; %peak: minimal flops against the peak,"
          "\nthe FMA rate in GFLOP/s probed in the same turns; MB: growth of the peak resident set")
    print(f"{'workload':<22} {'thr':>3} {'ours ms':>10} {'+-%':>4} {'torch ms':>10} {'+-%':>4} {'ratio':>6} {'%peak':>5} "
          f"{'peak':>7} {'ours MB':>7} {'torchMB':>7} {'differ':>8}",
          f"{'compiled':>9} {'ratio':>6}" if args.compile else "")
    rows = []
    for count in threads:
        set_blas_threads(count)
        for name in chosen:
            rows.append(compare(torch, lib, name, count, args))
            if args.json:  # after every row: a run that is cut short keeps what it has
                os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
                with open(args.json, "w") as f:
                    json.dump({"about": about, "rows": rows}, f, indent=1)


def set_blas_threads(count):
    """OpenBLAS, where torch uses it, keeps its own number of threads."""
    try:
        with open("/proc/self/maps") as f:
            libraries = {line.split()[-1] for line in f if "openblas" in line and ".so" in line}
        for path in libraries:
            ctypes.CDLL(path).openblas_set_num_threads(count)
    except (OSError, AttributeError):
        pass


if __name__ == "__main__":
    main()
