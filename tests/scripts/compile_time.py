#!/usr/bin/env python3
"""Compile time, as a share of a reference compile in the same run: no machine is too slow for it.

Reference: a program that includes Eigen/Dense, multiplies two float matrices and runs SelfAdjointEigenSolver.
Budget:    a program that includes spheremix.hpp and calls losses::clip_with_gradient takes at most 0.7 of that.

Both at -O2, processor time of compiler and linker (user + system), in turns; the least of each counts, of at
most five turns, since what else the machine does only ever adds."""
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

BUDGET = 0.7
TURNS = 5
ROOT = Path(__file__).resolve().parents[2]
REFERENCE = """
#include <Eigen/Dense>
#include <cstdio>
int main() {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Identity(8, 8), y = x * x;
  std::printf("%g\\n", double(Eigen::SelfAdjointEigenSolver<Eigen::MatrixXf>(y).eigenvalues()[0]));
}
"""
PROGRAM = """
#include <spheremix/spheremix.hpp>
#include <cstdio>
int main() {
  const spheremix::RowMatrix<float> x = spheremix::RowMatrix<float>::Identity(8, 8);
  std::printf("%g\\n", spheremix::losses::clip_with_gradient(x, x, {.temperature = 0.07}).loss);
}
"""


def processor_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build(compiler, source):
    eigen = next((p for p in ("/usr/include/eigen3", "/usr/local/include/eigen3") if os.path.isdir(p)), ".")
    before = processor_time()
    subprocess.run([compiler, "-std=c++20", "-O2", "-fopenmp", f"-I{ROOT / 'include'}", "-isystem", eigen, source,
                    "-o", source + ".out"], check=True)
    return processor_time() - before


def ratio(compiler, program, reference, budget):
    """The least time of the program over the least of the reference, in as few turns as show it within budget."""
    times = [], []
    while len(times[0]) < TURNS:
        times[0].append(build(compiler, reference))
        times[1].append(build(compiler, program))
        if len(times[0]) > 1 and min(times[1]) <= budget * min(times[0]):
            break
    return min(times[1]) / min(times[0]), min(times[1])


status = 0
with tempfile.TemporaryDirectory() as folder:
    program, reference = os.path.join(folder, "program.cpp"), os.path.join(folder, "reference.cpp")
    Path(program).write_text(PROGRAM)
    Path(reference).write_text(REFERENCE)
    for compiler in ("g++", "clang++"):
        try:
            share, seconds = ratio(compiler, program, reference, BUDGET)
            verdict = "passed" if share <= BUDGET else "failed"
            print(f"{verdict}: spheremix.hpp and clip_with_gradient build in {share:.2f} of the reference's time (at most "
                  f"{BUDGET:g}), {compiler} -O2; {seconds:.1f} s here")
        except subprocess.CalledProcessError:
            verdict = "failed"
            print(f"failed: the program of the compile-time budget does not build, {compiler}")
        status |= verdict == "failed"
sys.exit(status)
