#!/usr/bin/env python3
"""Deletes every barrier of the device kernels, one at a time, and runs the emulator tests that reach it: each deletion must make one fail.

  plant_faults.py [part of a header's path ...]     all of include/spheremix/gpu by default; one line a fault, then killed / planted

Faults: block_barrier(), warp_barrier(), copies_wait<n>(), async_proxy_fence(), wgmma_fence(), wgmma_wait<n>() and
__syncthreads_or(...) calls outside intrinsics.cuh and wgmma.cuh. A fault that survives is printed with its line and makes the exit status 1. Needs g++ and doctest, no GPU and no CUDA toolkit.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/scripts"))
from patience import fails  # noqa: E402
FAULT = re.compile(r"^\s*(?:gpu::)?(block_barrier\(\)|warp_barrier\(\)|copies_wait<[^>]*>\(\)|async_proxy_fence\(\)|wgmma_fence\(\)|wgmma_wait<[^>]*>\(\));|(__syncthreads_or)\(")
EIGEN = ["-isystem", os.environ.get("EIGEN_INCLUDE", "/usr/include/eigen3")]


def compiler(include):
    return [os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-w", f"-I{include}", f"-I{ROOT / 'tests'}", *EIGEN]


def reached(test):
    """The headers of the library that a test includes."""
    text = subprocess.run([*compiler(ROOT / "include"), "-MM", str(test)], capture_output=True, text=True, check=True).stdout
    return {Path(word).resolve() for word in text.split() if "include/spheremix" in word}


def kills(test, include, main, folder):
    program = folder / "test"
    built = subprocess.run([*compiler(include), str(main), str(test), "-o", str(program)], capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"{test} does not build with the fault:\n{built.stderr[:2000]}")
    return fails(program, [*compiler(ROOT / "include"), str(main), str(test)])


def main():
    wanted = sys.argv[1:]
    tests = sorted((ROOT / "tests/gpu").rglob("*_test.cpp"), key=lambda t: t.stat().st_size)
    reach = {test: reached(test) for test in tests}
    planted = killed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "include", folder / "include")
        runner = folder / "main.o"
        subprocess.run([*compiler(ROOT / "include"), "-c", str(ROOT / "tests/main.cpp"), "-o", str(runner)], check=True)
        for header in sorted((ROOT / "include/spheremix/gpu").rglob("*.cuh")):
            path = header.relative_to(ROOT / "include")
            if header.name in ("intrinsics.cuh", "wgmma.cuh") or (wanted and not any(w in str(path) for w in wanted)):
                continue
            lines = header.read_text().splitlines(keepends=True)
            order = [t for t in tests if header in reach[t]]  # what killed a neighbour goes first
            for number, line in enumerate(lines):
                found = FAULT.search(line)
                if not found:
                    continue
                planted += 1
                what = found.group(1) or found.group(2)
                changed = line.replace(what, "(void)0" if found.group(1) else "bool", 1)
                (folder / "include" / path).write_text("".join([*lines[:number], changed, *lines[number + 1 :]]))
                by = next((t for t in order if kills(t, folder / "include", runner, folder)), None)
                if by:
                    order.insert(0, order.pop(order.index(by)))
                killed += by is not None
                print(f"{'killed' if by else 'SURVIVED'}: {path}:{number + 1} {what}" + (f" by {by.name}" if by else ""), flush=True)
            (folder / "include" / path).write_text("".join(lines))
    print(f"{killed} killed of {planted} planted")
    return killed != planted


if __name__ == "__main__":
    sys.exit(main())
