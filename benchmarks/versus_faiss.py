#!/usr/bin/env python3
"""spheremix's nearest and hubness against faiss's IndexFlatIP in one process, on the same rows, with as many threads.

    python3 -m venv build/faiss && build/faiss/bin/pip install faiss-cpu numpy
    build/faiss/bin/python benchmarks/versus_faiss.py                               10,000 rows against 10,000, D = 512
    build/faiss/bin/python benchmarks/versus_faiss.py --rows 100000 --k 10 --turns 3    minutes

Our side is benchmarks/versus/nearest.cpp, built here with g++ -O2 -fopenmp and --flags. First the neighbours are
compared: rows may differ only where their cosines do by less than 1e-5, else nothing is timed. Then the two take
turns. Reported are the best and the median turn, their spread (half the distance between the quartiles), the
least processor time of a turn, and faiss's time over ours: of the best, the medians, the processor times. hubness on faiss's side is its search, then numpy's bincount and
the skewness.
"""
import argparse
import ctypes
import json
import os
import resource
import statistics
import sys
import time

import versus_torch


def address(a):
    return ctypes.c_void_p(a.ctypes.data)


class Ours:
    def __init__(self, lib, x, y, k):
        self.lib, self.x, self.y = lib, x, y
        self.ids = numpy.zeros((len(x), k), numpy.int64)
        self.cosines = numpy.zeros((len(x), k), numpy.float32)
        self.counts = numpy.zeros(len(y), numpy.int64)
        self.skewness = ctypes.c_double()
        self.rows = [ctypes.c_long(v) if isinstance(v, int) else address(v)
                     for v in (x, len(x), y, len(y), x.shape[1], k)]

    def check(self, status):
        if status:
            raise RuntimeError(self.lib.versus_error().decode())

    def nearest(self):
        self.check(self.lib.versus_nearest(*self.rows, address(self.ids), address(self.cosines)))

    def hubness(self):
        self.check(self.lib.versus_hubness(*self.rows, address(self.counts), ctypes.byref(self.skewness)))


class Theirs:
    def __init__(self, x, y, k):
        self.x, self.k, self.m = x, k, len(y)
        self.index = faiss.IndexFlatIP(y.shape[1])
        self.index.add(y)

    def nearest(self):
        self.cosines, self.ids = self.index.search(self.x, self.k)

    def hubness(self):
        self.nearest()
        self.counts = numpy.bincount(self.ids.ravel(), minlength=self.m)
        away = self.counts - self.counts.mean()
        second = (away**2).mean()
        self.skewness = (away**3).mean() / second**1.5 if second > 0 else 0.0


def compare_neighbours(ours, theirs):
    """The share of places with the same row. Elsewhere the cosines must agree: rows that rounding alone tells apart."""
    ours.nearest()
    theirs.nearest()
    worst = float(numpy.abs(ours.cosines - theirs.cosines).max())
    if not worst <= 1e-5:
        sys.exit(f"the k-th cosines differ by {worst:.2e}; nothing is timed")
    ours.hubness()
    theirs.hubness()
    moved = int(numpy.abs(ours.counts - theirs.counts).sum())
    if moved > 1e-3 * ours.ids.size:
        sys.exit(f"{moved} of {ours.ids.size} occurrences differ; nothing is timed")
    return float((ours.ids == theirs.ids).mean())


def turn(call):
    time.sleep(versus_torch.PAUSE)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    call()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(lib, x, y, k, threads, turns):
    ours, theirs = Ours(lib, x, y, k), Theirs(x, y, k)
    same = compare_neighbours(ours, theirs)
    rows = []
    for work in ("nearest", "hubness"):
        calls = {"spheremix": getattr(ours, work), "faiss": getattr(theirs, work)}
        times, peaks = {who: [] for who in calls}, []
        for t in range(turns):
            peaks.append(lib.versus_fma_peak(0, threads, 0.05))
            for who in list(calls) if t % 2 == 0 else list(calls)[::-1]:
                times[who].append(turn(calls[who]))
        walls = {who: [wall for wall, _ in t] for who, t in times.items()}
        best = {who: (min(wall for wall, _ in t), min(cpu for _, cpu in t)) for who, t in times.items()}
        median = {who: statistics.median(w) for who, w in walls.items()}
        spread = {who: versus_torch.spread(w) if turns > 1 else 0 for who, w in walls.items()}
        rate = 2 * len(x) * len(y) * x.shape[1] / best["spheremix"][0] / 1e9
        row = {"workload": work, "n": len(x), "m": len(y), "d": x.shape[1], "k": k, "threads": threads,
               "best": {who: wall for who, (wall, _) in best.items()},
               "processor": {who: cpu for who, (_, cpu) in best.items()}, "median": median, "spread": spread,
               "times": walls, "ratio": median["faiss"] / median["spheremix"],
               "best_ratio": best["faiss"][0] / best["spheremix"][0],
               "processor_ratio": best["faiss"][1] / best["spheremix"][1], "of_peak": rate / max(peaks),
               "same_rows": same}
        rows.append(row)
        print(f"{work:<8} {k:>4} {threads:>3}  {best['spheremix'][0]:>8.3f} {median['spheremix']:>8.3f} "
              f"{100 * spread['spheremix']:>3.0f} {best['spheremix'][1]:>8.3f}  {best['faiss'][0]:>8.3f} "
              f"{median['faiss']:>8.3f} {100 * spread['faiss']:>3.0f} {best['faiss'][1]:>8.3f}  "
              f"{row['best_ratio']:>5.2f} {row['ratio']:>5.2f} {row['processor_ratio']:>5.2f} {100 * row['of_peak']:>4.0f} {100 * same:>8.3f}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000", help="N = M, comma separated (default 10000)")
    parser.add_argument("--k", default="1,10,100", help="comma separated (default 1,10,100)")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", default="1,2", help="comma separated (default 1,2)")
    parser.add_argument("--turns", type=int, default=7, help="interleaved turns (default 7)")
    parser.add_argument("--flags", default="", help="more compiler flags for our side")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    args = parser.parse_args()
    threads = [int(t) for t in args.threads.split(",")]
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(max(threads))  # read when the libraries load; narrowed below

    global faiss, numpy
    import numpy
    versus_torch.numpy = numpy
    import faiss

    lib = versus_torch.build(args.flags, args.compiler, "nearest.cpp")
    about = versus_torch.machine() | {"faiss": faiss.__version__, "faiss_compiled": faiss.get_compile_options(),
                                      "python": sys.version.split()[0], "flags": ("-O2 " + args.flags).strip(),
                                      "turns": args.turns, "command": " ".join(sys.argv)}
    print(f"{about['cpu']}, {about['cpus']} CPUs; faiss {about['faiss']} ({about['faiss_compiled'].strip()}); our flags "
          f"{about['flags']}; D = {args.dim}")
    print("seconds: best, median, +-% (half the quartile range), processor time; faiss / ours: best, median, processor time;"
          "\n%peak: 2 N M D against the FMA rate probed in the same turns; same %: places with the same row")
    print(f"{'work':<8} {'k':>4} {'thr':>3}  {'ours':>8} {'median':>8} {'+-%':>3} {'cpu':>8}  {'faiss':>8} {'median':>8} "
          f"{'+-%':>3} {'cpu':>8}  {'best':>5} {'med.':>5} {'cpu':>5} {'peak':>4} {'same %':>8}")
    rows = []
    for n in (int(v) for v in args.rows.split(",")):
        rng = numpy.random.default_rng(1)
        x = rng.standard_normal((n, args.dim), dtype=numpy.float32)
        y = 0.5 * x + rng.standard_normal((n, args.dim), dtype=numpy.float32)
        x, y = (numpy.ascontiguousarray(a / numpy.linalg.norm(a, axis=1, keepdims=True)) for a in (x, y))
        print(f"N = M = {n}")
        for count in threads:
            lib.versus_threads(count)
            faiss.omp_set_num_threads(count)
            versus_torch.set_blas_threads(count)
            for k in (int(v) for v in args.k.split(",")):
                rows += measure(lib, x, y, k, count, args.turns)
                if args.json:
                    os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
                    with open(args.json, "w") as f:
                        json.dump({"about": about, "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
