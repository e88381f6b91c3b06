"""What a call from Python costs beyond the C++ call.

    python benchmarks/python/overhead.py [--json out.json]

For 64 x 64 batches the same loss is timed as Python calls it, and in C++ alone: a program of the repository's headers that this
script compiles (g++ -O2, one thread). The least of many turns each, taken in alternation; microseconds. Then, in one process
with PyTorch where it is installed, clip with gradients for larger batches.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import spheremix as sx

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROGRAM = r"""
#include <chrono>
#include <cstdio>
#include <spheremix/losses/clip.hpp>
#include <spheremix/sphere/sampling.hpp>
using namespace spheremix;
int main() {
  core::Philox rng(1);
  const RowMatrix<float> x = sphere::sample_uniform<float>(64, 64, rng), y = sphere::sample_uniform<float>(64, 64, rng);
  double sum = 0, value = 1e9, gradient = 1e9;
  const auto now = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  for (int turn = 0; turn < 200; ++turn) {
    double t = now();
    for (int i = 0; i < 50; ++i) sum += losses::clip(x, y);
    value = std::min(value, (now() - t) / 50);
    t = now();
    for (int i = 0; i < 50; ++i) sum += losses::clip_with_gradient(x, y).x(0, 0);
    gradient = std::min(gradient, (now() - t) / 50);
  }
  std::printf("%.9g %.9g %.3g\n", value * 1e6, gradient * 1e6, sum);
}
"""


def least(call, turns=200, each=50):
    best = float("inf")
    for _ in range(turns):
        start = time.perf_counter()
        for _ in range(each):
            call()
        best = min(best, (time.perf_counter() - start) / each)
    return best * 1e6


def rows(n, d, seed):
    return sx.sphere.sample_uniform(n, d, sx.core.Philox(seed), dtype="float32")


def against_cpp():
    x, y = rows(64, 64, 1), rows(64, 64, 2)
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / "a.cpp", pathlib.Path(folder) / "a.out"
        source.write_text(PROGRAM)
        command = ["g++", "-std=c++20", "-O2", "-I", ROOT / "include", "-I", "/usr/include/eigen3", source, "-o", program]
        subprocess.run([str(c) for c in command], check=True)
        alone, here = [], []
        for _ in range(5):
            alone.append([float(v) for v in subprocess.run([program], capture_output=True, check=True).stdout.split()[:2]])
            here.append([least(lambda: sx.losses.clip(x, y)), least(lambda: sx.losses.clip_with_gradient(x, y))])
    alone, here = np.min(alone, 0), np.min(here, 0)
    return {
        kind: {"cpp_us": a, "python_us": h, "beyond_us": h - a} for kind, a, h in zip(("value", "with_gradient"), alone, here)
    }


def least_of_all():
    """Rows of one number: nearly nothing but the call."""
    x = rows(1, 1, 1)
    return {
        "value_us": least(lambda: sx.losses.clip(x, x)),
        "with_gradient_us": least(lambda: sx.losses.clip_with_gradient(x, x)),
        "distance_us": least(lambda: sx.sphere.geodesic_distance(x[0], x[0])),
    }


def against_torch(threads):
    import torch

    import spheremix.torch as st

    torch.set_num_threads(threads)
    sx.set_threads(threads)
    out = {}
    for n in (64, 256, 1024, 4096):
        x, y = (torch.from_numpy(rows(n, 512, s)).requires_grad_() for s in (1, 2))
        own = torch.arange(n)

        def theirs():
            s = x @ y.t() / 0.07
            ((torch.nn.functional.cross_entropy(s, own) + torch.nn.functional.cross_entropy(s.t(), own)) / 2).backward()

        turns, each = (3, 1) if n > 1000 else (15, 5)
        ours = lambda: st.clip(x, y, np.log(0.07)).backward()  # noqa: E731
        t, o = float("inf"), float("inf")
        for _ in range(3):
            t, o = min(t, least(theirs, turns, each)), min(o, least(ours, turns, each))
        out[str(n)] = {"torch_us": t, "spheremix_us": o, "ratio": t / o}
    return {"version": torch.__version__, "threads": threads, "clip": out}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2, help="of the comparison with PyTorch")
    arguments = parser.parse_args()
    sx.set_threads(1)
    figures = {"n": 64, "d": 64, "dtype": "float32", **against_cpp(), "one_number": least_of_all()}
    for kind in ("value", "with_gradient"):
        print("clip {0:14s} C++ {cpp_us:7.2f} us, Python {python_us:7.2f} us: {beyond_us:.2f} us beyond".format(kind, **figures[kind]))
    print("a row of one number: value {value_us:.2f} us, with gradients {with_gradient_us:.2f} us, distance {distance_us:.2f} us".format(**figures["one_number"]))
    try:
        figures["torch"] = against_torch(arguments.threads)
        for n, row in figures["torch"]["clip"].items():
            print("clip and backward, {0:>4s} x 512: torch {torch_us:9.0f} us, spheremix.torch {spheremix_us:9.0f} us, {ratio:.2f} times".format(n, **row))
    except ImportError:
        print("PyTorch is not installed: not compared")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
