#!/usr/bin/env python3
"""Time and peak memory of spheremix-analyze, and of the same figures written with PyTorch.

    python3 benchmarks/analyze.py PROGRAM [--folder build/analyze] [--only 20k 100k 5m torch map] [--python python3 ...]
                                  [--repeats 3] [--threads 2] [--dense] [--json out.json]

  20k    20,000 x 512 pairs, float, every figure exact       (target: 12 s)
  100k   100,000 x 512 pairs, float, every figure exact      (target: 240 s, 1 GB)
  5m     5,000,000 x 512 pairs, half precision (target: 2 GB): sparse files in which 400,000 rows hold numbers, or,
         with --dense, two files of 5 GB in which all do
  torch  20k by benchmarks/versus/analyze_torch.py under each --python, figures compared first (targets: 2 x the time,
         10 x the memory)
  map    a page with 100,000 points, drawn 40 times in headless Chromium, moved and zoomed (target: 30 frames a second)

Peak memory is the largest resident set of the process, mapped pages of its files included. Before and after each run
the rate of fused multiply-adds is probed; the share is that of 4 N^2 D flops, two for each pair within and across.
Needs numpy; files are made in --folder and kept."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 512
MILLIONS, BLOCK, BLOCKS = 5_000_000, 4_000, 100
PROBE = r"""#include <cstdio>
#include <cstdlib>
#include "versus/fma_peak.hpp"
int main(int, char** a) { std::printf("%.6g", versus::fma_peak(false, std::atoi(a[1]), 0.3)); }
"""


def header(rows):
    text = f"{{'descr': '<f2', 'fortran_order': False, 'shape': ({rows}, {WIDTH}), }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def pairs(folder, rows):
    """Two float files whose pairs find each other some of the time."""
    files = [folder / f"{name}_{rows}.npy" for name in ("image", "text")]
    if not all(f.exists() for f in files):
        draw = np.random.default_rng(rows)
        x = draw.standard_normal((rows, WIDTH), dtype=np.float32)
        np.save(files[0], x)
        x += 6 * draw.standard_normal((rows, WIDTH), dtype=np.float32)
        np.save(files[1], x)
    return files


def millions(folder, dense):
    files = [folder / f"{name}_5m_{'dense' if dense else 'sparse'}.npy" for name in ("image", "text")]
    if all(f.exists() for f in files):
        return files
    head, draw = header(MILLIONS), np.random.default_rng(5)
    outs = [open(f, "wb") for f in files]
    for out in outs:
        out.write(head)
        out.truncate(len(head) + MILLIONS * WIDTH * 2)
    rows = MILLIONS // BLOCKS if dense else BLOCK
    for k in range(BLOCKS):
        x = draw.standard_normal((rows, WIDTH), dtype=np.float32)
        for out in outs:
            out.seek(len(head) + k * (MILLIONS // BLOCKS) * WIDTH * 2)
            out.write(x.astype("<f2").tobytes())
            x += draw.standard_normal((rows, WIDTH), dtype=np.float32)
    for out in outs:
        out.close()
    return files


def measured(command):
    """Seconds, processor seconds and the peak resident set of one process."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(map(str, command))}: exit status {process.returncode}: {said.read().decode()[-2000:]}")
    return {"seconds": seconds, "processor": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}


class Bench:
    def __init__(self, options):
        self.o = options
        self.folder = Path(options.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results = {}
        source, self.probe = self.folder / "probe.cpp", self.folder / "probe"
        source.write_text(PROBE)
        subprocess.run(["g++", "-std=c++20", "-O2", "-fopenmp", f"-I{ROOT / 'benchmarks'}", f"-I{ROOT / 'include'}",
                        "-isystem", "/usr/include/eigen3", source, "-o", self.probe], check=True)

    def peak(self):
        """Flops a second."""
        return 1e9 * float(subprocess.run([self.probe, str(self.o.threads)], check=True, stdout=subprocess.PIPE, text=True).stdout)

    def tool(self, name, files, rows, repeats):
        out, runs, peaks = self.folder / f"{name}.json", [], [self.peak()]
        for _ in range(repeats):
            runs.append(measured([self.o.program, "--image", files[0], "--text", files[1], "--json", out,
                                  "--report", self.folder / f"{name}.html", "--threads", self.o.threads]))
            peaks.append(self.peak())
        document = json.loads(out.read_text())
        r = {"seconds": statistics.median(q["seconds"] for q in runs), "spread": [min(q["seconds"] for q in runs), max(q["seconds"] for q in runs)],
             "processor": statistics.median(q["processor"] for q in runs), "peak": max(q["peak"] for q in runs),
             "rows_of_pairs": document["modalities"][0]["analysed"], "how": document["modalities"][0]["pairs_of_rows"], "fma": peaks}
        flops = 4 * r["rows_of_pairs"] ** 2 * WIDTH
        r["share"] = flops / r["seconds"] / statistics.median(peaks)
        self.results[name] = r
        print(f"{name}: {rows:,} x {WIDTH} pairs ({r['how']}): {r['seconds']:.1f} s [{r['spread'][0]:.1f}, {r['spread'][1]:.1f}], "
              f"{r['processor']:.1f} s of processor, peak {r['peak'] / 1e6:.0f} MB, {100 * r['share']:.0f} % of the probed "
              f"{statistics.median(peaks) / 1e9:.0f} Gflop/s", flush=True)
        return document

    def torch(self):
        files = pairs(self.folder, 20_000)
        document = self.tool("20k", files, 20_000, self.o.repeats)
        mine = {f"{m['scope']}.{m['key']}": m["value"] for m in document["metrics"]}
        for python in self.o.python:
            out, runs = self.folder / "torch.json", []
            for _ in range(self.o.repeats):
                r = measured([python, ROOT / "benchmarks/versus/analyze_torch.py", *files, out, self.o.threads])
                r.update(json.loads(out.read_text()))
                runs.append(r)
            compared = 0
            for key, value in runs[0]["figures"].items():
                error = abs(value - mine[key]) / max(abs(value), 1e-2)
                if error > 1e-3:
                    print(f"  {key}: {mine[key]} where PyTorch has {value}")
                compared += error <= 1e-3
            seconds = statistics.median(q["seconds"] for q in runs)
            peak = max(q["peak"] for q in runs)
            grown = peak - min(q["before"] for q in runs)
            own = self.results["20k"]
            self.results[f"torch {runs[0]['torch']}"] = {"seconds": seconds, "peak": peak, "grown": grown, "compared": compared}
            print(f"torch {runs[0]['torch']}: {compared} of {len(runs[0]['figures'])} figures agree to 1e-3; {seconds:.1f} s without its start, "
                  f"peak {peak / 1e6:.0f} MB ({grown / 1e6:.0f} above its start): {seconds / own['seconds']:.1f} x the time and "
                  f"{grown / own['peak']:.1f} x the memory of the tool, which also finds intervals and writes the report", flush=True)

    def map(self):
        sys.path.insert(0, str(ROOT / "tests/analyze"))
        import browser
        if not browser.available():
            print("map: skipped, there is no chromedriver and Chromium")
            return
        files, page = [self.folder / f"{name}_map.npy" for name in ("image", "text")], self.folder / "map.html"
        for k, file in enumerate(files):
            np.save(file, np.random.default_rng(k).standard_normal((50_000, 16), dtype=np.float32))
        measured([self.o.program, "--image", files[0], "--text", files[1], "--map", "--report", page, "--threads", self.o.threads])
        for width in (400, 1280):
            with browser.Browser(width, 900) as b:
                b.open(page.resolve())
                said = b.script("return document.querySelector('#map').getAttribute('aria-label')")
                each = b.script("""const start = performance.now(), pen = chart.canvas.getContext("2d");
                    for (let k = 0; k < 40; ++k) {
                      chart.cx = 0.5 + 0.001 * k; chart.zoom = 1 + 0.01 * k; chart.draw();
                      pen.getImageData(0, 0, 1, 1);  // waits for the drawing
                    }
                    return (performance.now() - start) / 40""")
            self.results[f"map {width}"] = {"milliseconds": each}
            print(f"map, {width} px: {said.split(' rows')[0]} rows: {each:.1f} ms a frame", flush=True)

    def run(self):
        only = self.o.only
        if "torch" in only:
            self.torch()
        elif "20k" in only:
            self.tool("20k", pairs(self.folder, 20_000), 20_000, self.o.repeats)
        if "100k" in only:
            self.tool("100k", pairs(self.folder, 100_000), 100_000, 1)
        if "5m" in only:
            self.tool("5m", millions(self.folder, self.o.dense), MILLIONS, 1)
        if "map" in only:
            self.map()
        if self.o.json:
            Path(self.o.json).write_text(json.dumps(self.results, indent=1) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("--folder", default=str(ROOT / "build/analyze"))
    p.add_argument("--only", nargs="+", choices=("20k", "100k", "5m", "torch", "map"), default=["20k", "100k", "5m", "torch", "map"])
    p.add_argument("--python", nargs="+", default=[sys.executable])
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--dense", action="store_true")
    p.add_argument("--json")
    Bench(p.parse_args()).run()


if __name__ == "__main__":
    main()
