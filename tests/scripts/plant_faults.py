#!/usr/bin/env python3
"""Plants the faults of faults.tsv in a copy of the headers, one at a time: the test named with each must fail.

  plant_faults.py [part of a header's path ...] [-j N]     all of them by default; one line a fault, then killed / planted
  plant_faults.py --check                                  only: is every text still in its header, every test there?

faults.tsv: header, text, what replaces its first occurrence, test; separated by tabs. A text that is no longer in
its header is a failure too; faults in code that this processor cannot run are left out, and said. Exit status 1
unless every fault is killed. Needs g++, doctest and Eigen.
"""
import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from patience import fails

ROOT = Path(__file__).resolve().parents[2]
EIGEN = os.environ.get("EIGEN_INCLUDE", "/usr/include/eigen3")


def compiler(include):
    return [os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-fopenmp", "-w", f"-I{include}", f"-I{ROOT / 'tests'}",
            "-isystem", EIGEN, f'-DSPHEREMIX_SOURCE_DIR="{ROOT}"']


# Headers of code that only some processors run, with the name in /proc/cpuinfo of what it takes.
NEEDS = {"pairwise/bf16_pairs.hpp": "avx512_bf16"}


def has(feature):
    info = Path("/proc/cpuinfo")
    return info.exists() and feature in info.read_text()


def verdict(fault, runner, folder):
    header, old, new, test = fault
    include = folder / "include"
    shutil.copytree(ROOT / "include", include)
    path = include / "spheremix" / header
    text = path.read_text()
    if old not in text:
        return "NOT FOUND"
    path.write_text(text.replace(old, new, 1))
    program = folder / "test"
    source = ROOT / "tests" / f"{test}_test.cpp"
    built = subprocess.run([*compiler(include), str(source), str(runner), "-o", str(program)], capture_output=True, text=True)
    if built.returncode:
        return "DOES NOT BUILD " + built.stderr.strip().splitlines()[0]
    return "killed" if fails(program, [*compiler(ROOT / "include"), str(source), str(runner)]) else "SURVIVED"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wanted", nargs="*")
    parser.add_argument("-j", type=int, default=1, metavar="N")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    lines = (ROOT / "tests/scripts/faults.tsv").read_text().splitlines()
    faults = [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]
    if any(len(fault) != 4 for fault in faults):
        sys.exit("faults.tsv: four fields a line: " + "\t".join(next(f for f in faults if len(f) != 4)))
    faults = [f for f in faults if not options.wanted or any(w in f[0] for w in options.wanted)]
    if options.check:
        lost = [f"{header}: {old} by {test}" for header, old, _, test in faults
                if old not in (ROOT / "include/spheremix" / header).read_text()
                or not (ROOT / "tests" / f"{test}_test.cpp").exists()]
        for fault in lost:
            print("failed: a fault that cannot be planted any more: " + fault)
        if not lost:
            print(f"passed: all {len(faults)} faults can be planted")
        return bool(lost)
    beyond = [f for f in faults if f[0] in NEEDS and not has(NEEDS[f[0]])]
    if beyond:
        print(f"note: {len(beyond)} faults left out: this processor lacks {', '.join(sorted({NEEDS[f[0]] for f in beyond}))}")
    faults = [f for f in faults if f not in beyond]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        runner = root / "main.o"
        subprocess.run([*compiler(ROOT / "include"), "-c", str(ROOT / "tests/main.cpp"), "-o", str(runner)], check=True)

        def one(item):
            folder = root / str(item[0])
            folder.mkdir()
            result = verdict(item[1], runner, folder)
            shutil.rmtree(folder)
            header, old, new, test = item[1]
            print(f"{result}: {header}: {old} -> {new or '(nothing)'} by {test}", flush=True)
            return result == "killed"

        with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
            killed = sum(pool.map(one, enumerate(faults)))
    print(f"{killed} killed of {len(faults)} planted")
    return killed != len(faults) or not faults


if __name__ == "__main__":
    sys.exit(main())
