#!/usr/bin/env python3
"""Deletes every barrier of the device kernels, one at a time, and runs the emulator tests that reach it: each deletion must make one fail.

  plant_faults.py [part of a header's path ... | NAME_test ...]     all of include/spheremix/gpu by default; tests named are tried first;
                                                                    one line a fault, then killed / planted

Faults: block_barrier(), warp_barrier(), copies_wait<n>(), async_proxy_fence(), wgmma_fence(), wgmma_wait<n>() and
__syncthreads_or(...) calls outside intrinsics.cuh and wgmma.cuh. All are planted in one copy of the headers and an environment variable chooses, so
that a test is compiled once. A fault that survives is printed with its line and makes the exit status 1. Needs g++ and doctest, no GPU and no CUDA toolkit.
"""
import functools
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
CHOICE = "SPHEREMIX_PLANTED"
CHOSEN = f"""#include <cstdlib>
inline const int spheremix_planted = std::getenv("{CHOICE}") ? std::atoi(std::getenv("{CHOICE}")) : 0;
"""


def compiler(include):
    return [os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-w", f"-I{include}", f"-I{ROOT / 'tests'}", *EIGEN]


@functools.cache
def reached(test):
    """The headers of the library that a test includes."""
    text = subprocess.run([*compiler(ROOT / "include"), "-MM", str(test)], capture_output=True, text=True, check=True).stdout
    return {Path(word).resolve() for word in text.split() if "include/spheremix" in word}


def plant(include, wanted):
    """[(header, line, what)] of the faults, planted in `include`: number k is the k + 1-th."""
    faults = []
    for header in sorted((ROOT / "include/spheremix/gpu").rglob("*.cuh")):
        path = header.relative_to(ROOT / "include")
        if header.name in ("intrinsics.cuh", "wgmma.cuh") or (wanted and not any(w in str(path) for w in wanted)):
            continue
        lines = header.read_text().splitlines(keepends=True)
        for number, line in enumerate(lines):
            found = FAULT.search(line)
            if not found:
                continue
            what = found.group(1) or found.group(2)
            faults.append((header, number + 1, what))
            sound = f"spheremix_planted != {len(faults)}"
            # __syncthreads_or(x) without its barrier is what the thread says of itself.
            changed = f"if ({sound}) {what}" if found.group(1) else f"spheremix_syncthreads_or<{len(faults)}>"
            lines[number] = line.replace(what, changed, 1)
        (include / path).write_text("".join(lines))
    return faults


def main():
    first = [a for a in sys.argv[1:] if a.endswith("_test")]
    wanted = [a for a in sys.argv[1:] if a not in first]
    tests = sorted((ROOT / "tests/gpu").rglob("*_test.cpp"), key=lambda t: (t.stem not in first, t.stat().st_size))
    killed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "include", folder / "include")
        faults = plant(folder / "include", wanted)
        (folder / "chosen.hpp").write_text(CHOSEN)
        intrinsics = folder / "include/spheremix/gpu/core/intrinsics.cuh"
        intrinsics.write_text(intrinsics.read_text() + """
template <int Fault>
__device__ inline int spheremix_syncthreads_or(int own) { return spheremix_planted != Fault ? __syncthreads_or(own) : own != 0; }
""")
        runner = folder / "main.o"
        subprocess.run([*compiler(ROOT / "include"), "-c", str(ROOT / "tests/main.cpp"), "-o", str(runner)], check=True)

        @functools.cache
        def program(test):
            path = folder / f"{test.parent.name}_{test.stem}"
            command = [*compiler(folder / "include"), "-include", str(folder / "chosen.hpp"), str(runner), str(test), "-o", str(path)]
            built = subprocess.run(command, capture_output=True, text=True)
            if built.returncode:
                sys.exit(f"{test} does not build with the faults:\n{built.stderr[:2000]}")
            os.environ.pop(CHOICE, None)
            sound = subprocess.run([str(path)], capture_output=True, text=True)
            if sound.returncode:
                sys.exit(f"{test} fails without a fault:\n{sound.stdout[:2000]}")
            return path

        def kills(test, number):
            path = program(test)
            os.environ[CHOICE] = str(number)
            return fails(path, [*compiler(ROOT / "include"), str(runner), str(test)])

        for number, (header, line, what) in enumerate(faults, 1):
            by = next((t for t in tests if header in reached(t) and kills(t, number)), None)
            if by:
                tests.insert(0, tests.pop(tests.index(by)))  # what killed a neighbour goes first
            killed += by is not None
            place = f"{header.relative_to(ROOT / 'include')}:{line}"
            print(f"{'killed' if by else 'SURVIVED'}: {place} {what}" + (f" by {by.name}" if by else ""), flush=True)
    print(f"{killed} killed of {len(faults)} planted")
    return killed != len(faults)


if __name__ == "__main__":
    sys.exit(main())
