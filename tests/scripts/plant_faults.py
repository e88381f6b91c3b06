#!/usr/bin/env python3
"""Plants the faults of faults.tsv in a copy of the headers, one at a time: the test named with each must fail.

  plant_faults.py [part of a header's path ...] [-j N]     all of them by default; one line a fault, then killed / planted
  plant_faults.py --check                                  only: can every fault still be planted, is every test there?
  plant_faults.py --sites HEADER                           what can be planted by operator: function, fault, what becomes of which text

faults.tsv, separated by tabs: header, @function, a fault by operator (mutations.py), test; or, for what no operator
makes, header, text, what replaces its first occurrence, test. A fault that cannot be planted any more is a failure too;
faults in code that this processor cannot run are left out, and said. Exit status 1 unless every fault is killed. Needs
g++, doctest and Eigen.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mutations
from patience import fails

ROOT = Path(__file__).resolve().parents[2]
EIGEN = os.environ.get("EIGEN_INCLUDE", "/usr/include/eigen3")


def compiler(include):
    return [os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-fopenmp", "-w", f"-I{include}", f"-I{ROOT / 'tests'}",
            "-isystem", EIGEN]


# Headers of code that only some processors run, with the name in /proc/cpuinfo of what it takes.
NEEDS = {"pairwise/bf16_pairs.hpp": "avx512_bf16"}


def has(feature):
    info = Path("/proc/cpuinfo")
    return info.exists() and feature in info.read_text()


class Fault(collections.namedtuple("Fault", "header old new test")):
    """By operator: @function and the fault; else a text and what replaces it."""

    def planted(self, text):
        """The header with the fault, None where it has no place for it."""
        if self.old.startswith("@"):
            return mutations.planted(text, self.old[1:], self.new)
        return text.replace(self.old, self.new, 1) if self.old in text else None

    def __str__(self):
        what = f"{self.old[1:]}: {self.new}" if self.old.startswith("@") else f"{self.old} -> {self.new or '(nothing)'}"
        return f"{self.header}: {what} by {self.test}"


def sources_of(test):
    """The test's file, and those of its folder that define what a header which it includes declares; none without it."""
    source = ROOT / "tests" / f"{test}_test.cpp"
    if not source.exists():
        return []
    beside = [ROOT / "tests" / f"{name}_test.cpp" for name in re.findall(r'#include "(\w+/\w+)\.hpp"', source.read_text())]
    return [str(source), *(str(file) for file in beside if file.exists() and file != source)]


def verdict(fault, runner, folder):
    include = folder / "include"
    shutil.copytree(ROOT / "include", include)
    path = include / "spheremix" / fault.header
    text = fault.planted(path.read_text())
    if text is None:
        return "NOT FOUND"
    path.write_text(text)
    program = folder / "test"
    sources = sources_of(fault.test)
    built = subprocess.run([*compiler(include), *sources, str(runner), "-o", str(program)], capture_output=True, text=True)
    if built.returncode:
        return "DOES NOT BUILD " + built.stderr.strip().splitlines()[0]
    return "killed" if fails(program, [*compiler(ROOT / "include"), *sources, str(runner)]) else "SURVIVED"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wanted", nargs="*")
    parser.add_argument("-j", type=int, default=1, metavar="N")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sites", metavar="HEADER")
    options = parser.parse_args()
    if options.sites:
        text = (ROOT / "include/spheremix" / options.sites).read_text()
        for (function, fault), (a, b, new) in mutations.sites(text).items():
            line = text.count("\n", 0, a) + 1
            print(f"@{function}\t{fault}\tline {line}: {' '.join(text[a:b].split()) or '(nothing)'} -> {' '.join(new.split()) or '(nothing)'}")
        return 0
    lines = (ROOT / "tests/scripts/faults.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    if any(len(row) != 4 for row in rows):
        sys.exit("faults.tsv: four fields a line: " + "\t".join(next(row for row in rows if len(row) != 4)))
    faults = [Fault(*row) for row in rows if not options.wanted or any(w in row[0] for w in options.wanted)]
    if options.check:
        wrong = mutations.self_test()
        for fault in wrong:
            print("failed: " + fault)
        texts = {f.header: (ROOT / "include/spheremix" / f.header).read_text() for f in faults}
        lost = [f for f in faults if f.planted(texts[f.header]) is None or not sources_of(f.test)]
        for fault in lost:
            print(f"failed: a fault that cannot be planted any more: {fault}")
        if not lost:
            made = sum(f.old.startswith("@") for f in faults)
            print(f"passed: all {len(faults)} faults can be planted, {made} by operator")
        return bool(lost or wrong)
    beyond = [f for f in faults if f.header in NEEDS and not has(NEEDS[f.header])]
    if beyond:
        print(f"note: {len(beyond)} faults left out: this processor lacks {', '.join(sorted({NEEDS[f.header] for f in beyond}))}")
    faults = [f for f in faults if f not in beyond]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        runner = root / "main.o"
        subprocess.run([*compiler(ROOT / "include"), f'-DSPHEREMIX_SOURCE_DIR="{ROOT}"', "-c", str(ROOT / "tests/main.cpp"), "-o", str(runner)], check=True)

        def one(item):
            folder = root / str(item[0])
            folder.mkdir()
            result = verdict(item[1], runner, folder)
            shutil.rmtree(folder)
            print(f"{result}: {item[1]}", flush=True)
            return result == "killed"

        with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
            killed = sum(pool.map(one, enumerate(faults)))
    print(f"{killed} killed of {len(faults)} planted")
    return killed != len(faults) or not faults


if __name__ == "__main__":
    sys.exit(main())
