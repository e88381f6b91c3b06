#!/usr/bin/env python3
"""Counts the machine code of the hot device kernels (sm_90, -O3, an object each) and fails where a limit is passed.

  machine_code.py [--table] [part of a kernel's name ...]     all kernels by default; --table: as docs/notes/gpu.md has them

A kernel is a main loop on the tensor cores and an epilogue. What an epilogue does with the pairs of a whole, plain tile must stand in straight
stretches of code: no branch inside, so that the exponentials (products: the 8-byte stores) are under way together. Looked for is the cheapest way
through the code from the main loop to EXIT that takes them all, counting only those in stretches as long as they should be: a branch inside a
stretch cuts it, and no way is left. Of this way, loops counted once, over the thread's 128 pairs (products: its 128 numbers):

  a pair     instructions of the stretches that work on pairs; the limit binds this
  around     of the rest of the way: lines brought in, sums over lanes, weights on their way to memory

"failed: ..." and exit status 1 for: no such way, a limit passed, a spill, a call on the way, a load from global memory or arithmetic in double in a
stretch (products load what they add to). Needs nvcc, no GPU; what disassembles comes from PyPI where the toolkit has none. The limits bind for
nvcc 13.0; another version prints a note.
"""
import concurrent.futures
import heapq
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOUND_VERSION = "13.0"
PAIRS = 128  # a thread's
MOST_BYTES = 64 * 1024
EXP, STORE = "MUFU.EX2", "STG.E.64"


def kernel(name, type, header, most, marks=PAIRS, stretch=PAIRS, mark=EXP, most_bytes=MOST_BYTES):
    """most: instructions a pair; marks: exponentials in all; stretch: in one stretch."""
    return dict(name=name, type=type, header=header, most=most, marks=marks, stretch=stretch, mark=mark, most_bytes=most_bytes)


def engine(loss, kind, policy, header, most, **more):
    return kernel(f"{loss}: {kind}", f"pairwise::{kind}Kernel<pairwise::HalfTile, {policy}>", header, most, **more)


ONE, BOTH = "formula::SoftmaxPair<float, true, false>", "formula::SoftmaxPair<float, true, true>"
KERNELS = [
    engine("clip", "Statistics", BOTH, "losses/clip.cuh", 7),
    engine("clip", "Weights", BOTH, "losses/clip.cuh", 6),
    engine("info_nce, m2_mix", "Statistics", ONE, "losses/m2_mix.cuh", 6),
    engine("info_nce, m2_mix", "Weights", ONE, "losses/m2_mix.cuh", 5),
    engine("siglip", "OneSweep", "losses::detail::SiglipPair<float>", "losses/siglip.cuh", 24, stretch=PAIRS // 2),  # 8 columns, twice
    engine("uniformity", "OneSweep", "metrics::detail::UniformityPair<float>", "metrics/uniformity.cuh", 13),
    engine("uniformity, t > 3", "Statistics", "metrics::detail::UniformityPair<float>", "metrics/uniformity.cuh", 9),
    engine("sup_con", "Statistics", "losses::detail::SupConStatistics<float>", "losses/sup_con.cuh", 14),
    engine("sup_con", "Weights", "losses::detail::SupConWeights<float>", "losses/sup_con.cuh", 14),
    kernel("clip_m2_mix: MixStatistics", "losses::detail::clip_m2::MixStatisticsKernel<pairwise::HalfTile>", "losses/clip_m2_mix.cuh", 23, marks=2 * PAIRS,
           most_bytes=76 * 1024),  # rows, then columns
    kernel("clip_m2_mix: MixWeights", "losses::detail::clip_m2::MixWeightsKernel<pairwise::HalfTile>", "losses/clip_m2_mix.cuh", 20, marks=2 * PAIRS,
           stretch=2 * PAIRS),
    kernel("products", "pairwise::HalfProduct", "pairwise/products.cuh", 3, marks=PAIRS // 2, stretch=PAIRS // 2, mark=STORE),
]
INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:(@!?U?P\w+)\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);")


def disassembler():
    """The folder of cuobjdump and of the nvdisasm that it calls; None: they are on the path."""
    if shutil.which("cuobjdump") and shutil.which("nvdisasm"):
        return None
    folder = ROOT / "build/cuobjdump"
    programs = lambda: sorted(folder.rglob("bin/cuobjdump"))
    if not programs():
        venv.create(folder, with_pip=True)
        if subprocess.run([folder / "bin/pip", "install", "-q", "nvidia-cuda-cuobjdump~=13.0", "nvidia-cuda-nvdisasm~=13.0"]).returncode:
            sys.exit(print("note: skipped: machine code of the device kernels (no cuobjdump here, and PyPI does not answer)"))
    return programs()[-1].parent


def compiled(k, folder):
    """ptxas' notes and the machine code of one kernel."""
    stem = Path(folder) / re.sub(r"\W+", "_", k["name"])
    source, cubin = stem.with_suffix(".cu"), stem.with_suffix(".cubin")
    source.write_text(
        f'#include "spheremix/gpu/{k["header"]}"\nnamespace spheremix::gpu {{\nusing Kernel = {k["type"]};\n'
        "template __global__ void pairwise::run<Kernel>(const __grid_constant__ Kernel);\n}\n")
    done = subprocess.run(["nvcc", "-std=c++20", "-O3", "-arch=sm_90", "-cubin", "-Xptxas=-v", f"-I{ROOT / 'include'}",
                           str(source), "-o", str(cubin)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f'{k["name"]} does not compile:\n{done.stderr[:2000]}')
    code = subprocess.run(["cuobjdump", "--dump-sass", str(cubin)], capture_output=True, text=True, check=True).stdout
    # Headers bring small kernels along, of functions that are no templates: the one asked for is the largest by far.
    names, bodies = zip(*[(m[1], m[2]) for m in re.finditer(r"^\s*Function : (\S+)\n(.*?)(?=^\s*Function : |\Z)", code, re.M | re.S)])
    body = max(bodies, key=len)
    notes = dict(re.findall(r"Compiling entry function '(\S+)' for [^\n]*\n(.*?)(?=^ptxas info *: Compiling|\Z)", done.stderr, re.M | re.S))
    return notes[names[bodies.index(body)]], body


def blocks_of(code):
    """[(instructions, successors)]: basic blocks; a successor is an index, and EXIT is None."""
    found = []
    for line in code.splitlines():
        m = INSTRUCTION.match(line)
        if m:
            found.append((int(m[1], 16), m[2], m[3], m[4].strip()))
    at = {address: n for n, (address, *_) in enumerate(found)}
    jumps = ("BRA", "BRX", "JMP", "EXIT", "RET", "CALL", "BREAK")
    is_jump = lambda op: op.split(".")[0] in jumps
    target = lambda operands: next((at[int(t, 16)] for t in re.findall(r"0x([0-9a-f]+)", operands)[-1:] if int(t, 16) in at), None)
    starts = {0}
    for n, (_, _, op, operands) in enumerate(found):
        if is_jump(op):
            starts.add(n + 1)
            if op.startswith(("BRA", "JMP")) and target(operands) is not None:
                starts.add(target(operands))
    starts = sorted(s for s in starts if s < len(found))
    number = {s: b for b, s in enumerate(starts)}
    blocks = []
    for b, s in enumerate(starts):
        end = starts[b + 1] if b + 1 < len(starts) else len(found)
        body = found[s:end]
        _, predicate, op, operands = body[-1]
        follows = [b + 1] if b + 1 < len(starts) else []
        kind = op.split(".")[0]
        # conditions stand before the instruction (@P0) or among its operands (P0, 0x120)
        conditional = predicate is not None or "P" in operands.split("0x")[0]
        if kind in ("BRA", "JMP"):
            to = [number[target(operands)]] if target(operands) is not None else []
            next_blocks = to + (follows if conditional or "DIV" in operands else [])
        elif kind == "EXIT":
            next_blocks = [None] + (follows if predicate else [])
        elif kind in ("RET", "BRX"):
            next_blocks = []
        else:
            next_blocks = follows
        blocks.append(([i[2] for i in body], next_blocks))
    return blocks


def count(ops, what):
    return sum(op.startswith(what) for op in ops)


def plain_way(blocks, mark, marks, stretch):
    """The cheapest way from the main loop to EXIT with `marks` instructions `mark` in stretches of at least `stretch`: its blocks."""
    tensor = [count(ops, "HMMA") > 0 for ops, _ in blocks]
    number = itertools.count()
    queue = [(0, next(number), b, 0, None) for b in range(len(blocks)) if tensor[b]]
    seen = {}
    while queue:
        cost, _, b, got, before = heapq.heappop(queue)
        if b is None:
            way = []
            while before is not None:
                way.append(before[0])
                before = seen[before]
            return way[::-1][1:]  # without the block of the main loop
        if (b, got) in seen:
            continue
        seen[b, got] = before
        for to in blocks[b][1]:
            if to is None and got >= marks:
                heapq.heappush(queue, (cost, next(number), None, got, (b, got)))
            elif to is not None and not tensor[to]:
                ops = blocks[to][0]
                more = count(ops, mark)
                heapq.heappush(queue, (cost + len(ops), next(number), to, min(marks, got + (more if more >= stretch else 0)), (b, got)))
    return None


def figures(k, notes, code):
    blocks = blocks_of(code)
    every = [op for ops, _ in blocks for op in ops]
    number = lambda pattern: int((re.search(pattern, notes) or [0, 0])[1])
    f = dict(registers=number(r"Used (\d+) registers"), spills=number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
             bytes=16 * len(every), way=False)
    f.update({what: count(every, what) for what in ("LDG", "STS", "MUFU", "HMMA")})
    way = plain_way(blocks, k["mark"], k["marks"], k["stretch"])
    if way is not None:
        works = [b for b in way if count(blocks[b][0], k["mark"]) >= k["stretch"] or len(blocks[b][0]) >= PAIRS]
        inside = [op for b in works for op in blocks[b][0]]
        ops = [op for b in way for op in blocks[b][0]]
        f.update(way=True, pair=len(inside) / PAIRS, around=(len(ops) - len(inside)) / PAIRS, calls=count(ops, "CALL"),
                 double=sum(re.match(r"D(ADD|MUL|FMA|SETP|MNMX)", op) is not None for op in inside), loads=count(inside, "LDG"))
    return f


def faults(k, f):
    if f["spills"]:
        yield f"{f['spills']} bytes of spills"
    if f["bytes"] > k["most_bytes"]:
        yield f"{f['bytes']} bytes of code, {k['most_bytes']} at most"
    if not f["way"]:
        yield f"no straight stretch with {k['stretch']} {k['mark']}: a branch stands in the loop over a plain tile's pairs"
        return
    if f["pair"] > k["most"]:
        yield f"{f['pair']:.1f} instructions a pair, {k['most']} at most"
    if f["calls"]:
        yield f"{f['calls']} calls"
    if f["loads"] and k["mark"] == EXP:
        yield f"{f['loads']} loads from global memory in the loop over pairs"
    if f["double"] > PAIRS // 4:
        yield f"{f['double']} instructions in double in the loop over pairs"


def main():
    if not shutil.which("nvcc"):
        print("skipped: machine code of the device kernels (no CUDA toolkit here)")
        return 0
    arguments = [a for a in sys.argv[1:] if a != "--table"]
    version = re.search(r"release ([\d.]+)", subprocess.run(["nvcc", "--version"], capture_output=True, text=True).stdout)[1]
    if version != BOUND_VERSION:
        print(f"note: nvcc {version}; the limits bind for {BOUND_VERSION}")
    if tools := disassembler():
        os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    wanted = [k for k in KERNELS if not arguments or any(w in k["name"] for w in arguments)]
    failed = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for k, (notes, code) in zip(wanted, pool.map(lambda k: compiled(k, folder), wanted)):
            f = figures(k, notes, code)
            loop = (f"{f['pair']:.1f}", f"{f['around']:.1f}") if f["way"] else ("none", "none")
            if "--table" in sys.argv:
                print(f"| {k['name']} | {f['registers']} | {f['bytes'] / 1024:.0f} | {' | '.join(loop)} | "
                      f"{f['LDG']} | {f['STS']} | {f['MUFU']} | {f['HMMA']} |", flush=True)
                continue
            wrong = list(faults(k, f)) if version == BOUND_VERSION else []
            failed += bool(wrong)
            print(f"{'failed' if wrong else 'passed'}: machine code of {k['name']}: {loop[0]} instructions a pair and {loop[1]} around, "
                  f"{f['bytes']} bytes, {f['registers']} registers, {f['spills']} spilled, LDG {f['LDG']}, STS {f['STS']}, MUFU {f['MUFU']}, "
                  f"HMMA {f['HMMA']}" + "".join(f"\n    {w}" for w in wrong), flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
