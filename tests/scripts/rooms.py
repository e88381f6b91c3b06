#!/usr/bin/env python3
"""How many headers a batch walks through: those with a line that ran, by coverage. Fails above the limits below.

  rooms.py [folder to work in]      one line a function: headers, those outside core/, lines that ran

A number that falls is written down here; one that rises needs a reason. Among them are the loss' own rooms of formula/, whose lines run on both
machines: siglip.hpp and logistic.hpp for siglip, mixed_key.hpp for the mixing losses.
"""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {"slerp": 13, "uniformity": 19, "siglip": 24, "clip": 25, "sup_remix": 30, "clip_m2_mix": 40}
PROGRAM = r"""
#include <cstring>
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/losses/sup_remix.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/sphere/slerp_rows.hpp"
using namespace spheremix;
int main(int, char** argv) {
  const auto is = [&](const char* name) { return !std::strcmp(argv[1], name); };
  RowMatrix<float> x(130, 32), y(130, 32);
  Vector<double> labels(130);
  for (Index i = 0; i < 130; ++i) {
    labels[i] = double(i % 9);
    for (Index k = 0; k < 32; ++k)
      x(i, k) = float((i * 37 + k * 11) % 23) - 11, y(i, k) = x(i, k) + 0.5f * float((i * 13 + k * 29) % 17 - 8);
    x.row(i).normalize(), y.row(i).normalize();
  }
  double r = 0;
  if (is("clip")) r = losses::clip_with_gradient(x, y).loss;
  if (is("clip_m2_mix")) r = losses::clip_m2_mix_with_gradient(x, y, 0.3).loss;
  if (is("siglip")) r = losses::siglip_with_gradient(x, y).loss;
  if (is("sup_remix")) r = losses::sup_remix_with_gradient(x, labels, 0.3).loss;
  if (is("uniformity")) r = metrics::uniformity_with_gradient(x).value;
  if (is("slerp")) r = sphere::slerp_rows_vjp(x, y, 0.3, x).t;
  return r == r ? 0 : 1;
}
"""


def rooms(folder, function):
    for old in folder.glob("*.gcda"):
        old.unlink()
    subprocess.run([folder / "rooms", function], cwd=folder, check=True,
                   env=dict(os.environ, SPHEREMIX_ISA="avx2", OMP_NUM_THREADS="1"))
    subprocess.run(["gcov", "-j", *(p.name for p in folder.glob("*.gcda"))], cwd=folder, check=True, capture_output=True)
    ran = {}
    for path in folder.glob("*.gcov.json.gz"):
        with gzip.open(path) as file:
            for source in json.load(file)["files"]:
                if "/include/spheremix/" in source["file"]:
                    lines = {line["line_number"] for line in source["lines"] if line["count"] > 0}
                    if lines:
                        ran.setdefault(source["file"].split("/include/spheremix/")[1], set()).update(lines)
    return ran


def main():
    if not shutil.which("gcov") or not shutil.which("g++"):
        print("skipped: rooms (no g++ with gcov here)")
        return 0
    if os.uname().machine != "x86_64":
        print("skipped: rooms (counted for AVX2)")
        return 0
    status = 0
    with tempfile.TemporaryDirectory() as default:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else default).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rooms.cpp").write_text(PROGRAM)
        subprocess.run(["g++", "-std=c++20", "-O0", "--coverage", f"-I{ROOT / 'include'}", "-isystem",
                        os.environ.get("EIGEN_INCLUDE", "/usr/include/eigen3"), "rooms.cpp", "-o", "rooms"],
                       cwd=folder, check=True)
        for function, limit in LIMITS.items():
            ran = rooms(folder, function)
            good = 0 < len(ran) <= limit
            outside = [name for name in ran if not name.startswith("core/")]
            print(f"{'passed' if good else 'failed'}: {function} walks through {len(ran)} headers ({len(outside)} outside core/; "
                  f"at most {limit}), {sum(map(len, ran.values()))} lines")
            if not good:
                print("   ", " ".join(sorted(ran)))
            status |= not good
    return status


if __name__ == "__main__":
    sys.exit(main())
