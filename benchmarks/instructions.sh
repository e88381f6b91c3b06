#!/bin/sh
# Instructions of three fixed workloads (f32, n = 512, d = 128, value and gradients, one thread, nothing allocated),
# counted by callgrind: the same on a busy machine as on a quiet one, so that a later change can be seen.
#
#   sh benchmarks/instructions.sh          count, show the change, write benchmarks/results/instructions.json
#   sh benchmarks/instructions.sh --check  count, show the change; fails when a count grew by more than 2 %
#
# valgrind does not run AVX-512, so the AVX2 copy of the kernels is counted. Counts of two compilers do not compare:
# --check with another compiler than the recorded one is an error. Works without apt where valgrind is there.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${SPHEREMIX_BENCH_BUILD:-build/benchmarks}
record=benchmarks/results/instructions.json
mkdir -p "$build" benchmarks/results
if ! command -v valgrind >/dev/null || ! printf '#include <valgrind/callgrind.h>\n' | g++ -fsyntax-only -x c++ - 2>/dev/null; then
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  { $as_root apt-get -qq update && $as_root apt-get -qq -y --no-install-recommends install valgrind; } >"$build/apt.log" 2>&1 ||
    { echo "skipped: no valgrind here and it could not be installed"; exit 77; }
fi
eigen=$(pkg-config --variable=includedir eigen3 2>/dev/null)
[ -n "$eigen" ] && eigen=$eigen/eigen3 || eigen=/usr/include/eigen3
g++ -std=c++20 -O2 -Iinclude -Ibenchmarks -isystem "$eigen" benchmarks/instructions/workloads.cpp -o "$build/workloads" || exit 1
lines=
for work in $("$build/workloads"); do
  SPHEREMIX_ISA=avx2 valgrind --tool=callgrind --collect-atstart=no --callgrind-out-file="$build/$work.callgrind" \
    "$build/workloads" "$work" >"$build/$work.log" 2>&1 || { cat "$build/$work.log"; exit 1; }
  count=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$build/$work.log")
  [ -n "$count" ] && grep -qx avx2 "$build/$work.log" || { cat "$build/$work.log"; exit 1; }
  lines="$lines$work $count
"
done
printf '%s' "$lines" | python3 -c '
import datetime, json, os, subprocess, sys
record, checking = sys.argv[1], "--check" in sys.argv[2:]
def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
counts = {name: int(count) for name, count in (line.split() for line in sys.stdin)}
now = {"date": datetime.date.today().isoformat(), "commit": first_line("git", "rev-parse", "--short", "HEAD"),
       "compiler": first_line("g++", "--version"), "flags": "-O2", "isa": "avx2", "instructions": counts}
old = json.load(open(record)) if os.path.exists(record) else {"instructions": {}}
worst = 0
for name, count in counts.items():
    before = old["instructions"].get(name)
    change = count / before - 1 if before else 0
    worst = max(worst, change)
    print(f"{name:<24} {count:>14,} instructions" + (f"  {100 * change:+.2f} %" if before else ""))
if checking:
    if old.get("compiler") != now["compiler"]:
        sys.exit("recorded with " + str(old.get("compiler")) + ", counted with " + now["compiler"])
    sys.exit("more than 2 % more instructions" if worst > 0.02 else 0)
with open(record, "w") as f:
    json.dump(now, f, indent=1)
    f.write("\n")
' "$record" "$@"
