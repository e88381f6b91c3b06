#!/bin/sh
# Every benchmark, one command: installs what is missing, builds, runs, and leaves JSON and the plots of docs/figures.
#
#   sh benchmarks/run.sh                      all of it: about an hour
#   sh benchmarks/run.sh --quick              the sizes that matter most: about a quarter of an hour
#   sh benchmarks/run.sh --flags "-march=native"   more compiler flags, for both the programs and versus_torch.py
#   sh benchmarks/run.sh --only versus        one part: programs | versus | faiss | plots
#   sh benchmarks/run.sh --tiny               every step at toy sizes, results in build/: does it all still run?
#
# Rivals: Debian's PyTorch (python3-torch), and the newest wheel that pip finds, in a virtual environment under build/
# (a few GB; another environment that has torch and numpy: SPHEREMIX_TORCH=its/bin/python; none: SPHEREMIX_TORCH=none).
# Results: benchmarks/results/<date>-<cpu>/. Use a quiet machine: nothing else may run.
set -u
cd "$(dirname "$0")/.." || exit 1
size=full
flags=
only=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) size=quick ;;
    --tiny) size=tiny ;;
    --flags) flags=$2; shift ;;
    --only) only=$2; shift ;;
    *) sed -n '2,/^set -u/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
  shift
done
build=${SPHEREMIX_BENCH_BUILD:-build/benchmarks}
cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
slug=$(printf '%s' "${cpu:-unknown}" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '-' | sed 's/-*$//')
results=benchmarks/results/$(date -u +%Y-%m-%d)-$slug
[ "$size" != tiny ] || results=$build/tiny
[ -z "$flags" ] || results=$results$(printf '%s' "$flags" | tr -cs 'a-z0-9\n' '-' | sed 's/-*$//')
mkdir -p "$build" "$results"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain -- include benchmarks 2>/dev/null | grep -v results/)" ] || commit=$commit-modified
failed=0
fail() { echo "failed: $1"; failed=$((failed + 1)); }
wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }

# ---- What is missing ----
have_header() { printf '#include <%s>\n' "$1" | g++ -fsyntax-only -x c++ -I/usr/include/eigen3 - 2>/dev/null; }
has_torch() { "$1" -c 'import torch, numpy' >/dev/null 2>&1; }
missing=
command -v g++ >/dev/null || missing="$missing g++"
command -v cmake >/dev/null || missing="$missing cmake"
command -v ninja >/dev/null || missing="$missing ninja-build"
command -v python3 >/dev/null || missing="$missing python3"
have_header Eigen/Core || missing="$missing libeigen3-dev"
have_header benchmark/benchmark.h || missing="$missing libbenchmark-dev"
have_header hwy/highway.h || missing="$missing libhwy-dev"
have_header cblas-openblas.h || have_header cblas.h || missing="$missing libopenblas-dev"
! wanted versus || has_torch /usr/bin/python3 || missing="$missing python3-torch python3-numpy"
! wanted versus || ls /usr/lib/*/openblas-pthread/libblas.so.3 >/dev/null 2>&1 || missing="$missing libopenblas0-pthread"
if [ -n "$missing" ]; then
  echo "== installing:$missing"
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  export DEBIAN_FRONTEND=noninteractive
  { $as_root apt-get -qq update && $as_root apt-get -qq -y --no-install-recommends install $missing; } >"$build/apt.log" 2>&1 ||
    { tail -n 5 "$build/apt.log"; echo "could not install:$missing"; }
fi

# ---- The programs ----
cat >"$results/about.json" <<END
{"cpu": "$cpu", "cpus": $(nproc), "memory_bytes": $(awk '/^MemTotal/ {print $2 * 1024}' /proc/meminfo), "date": "$(date -u +%Y-%m-%dT%H:%MZ)", "commit": "$commit",
 "compiler": "$(g++ --version | head -n 1)", "flags": "Release: -O3 $flags", "versus_flags": "-O2 $flags", "size": "$size",
 "command": "sh benchmarks/run.sh$([ $size = full ] || echo " --$size")$([ -z "$flags" ] || echo " --flags \\\"$flags\\\"")"}
END
# bench NAME PROGRAM FILTER arguments...: medians of repetitions that take turns with their rivals
bench() {
  name=$1
  program=$2
  filter=$3
  shift 3
  echo "== $name"
  "$build/benchmarks/$program" --benchmark_filter="$filter" --benchmark_repetitions="$repeats" \
    --benchmark_enable_random_interleaving=true --benchmark_min_time="$least" --benchmark_report_aggregates_only=true \
    --benchmark_counters_tabular=true --benchmark_context="commit=$commit,size=$size" \
    --benchmark_out="$results/$name.json" --benchmark_out_format=json "$@" >"$build/$name.log" 2>&1 || fail "$name"
  grep _median "$build/$name.log" | sed 's/_median//' | cut -c 1-140
}
if wanted programs; then
  cmake -S . -B "$build" $(command -v ninja >/dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=Release -DSPHEREMIX_TESTS=OFF \
    -DSPHEREMIX_BENCHMARKS=ON -DSPHEREMIX_CUDA=OFF -DCMAKE_CXX_FLAGS="$flags" >"$build/cmake.log" 2>&1 &&
    cmake --build "$build" >>"$build/cmake.log" 2>&1 || { tail -n 30 "$build/cmake.log"; exit 1; }
  repeats=7 least=0.1
  ! [ -x "$build/benchmarks/pairwise_register_tile_bench" ] || bench register-tile pairwise_register_tile_bench .
  case $size in
    tiny)
      repeats=2 least=0.001
      bench products pairwise_products_bench . --n=96 --d=32 --dtype=f32,f64
      bench losses losses_losses_bench . --n=96 --d=32 --dtype=f32,f64 --threads=1,2
      bench field losses_field_bench . --n=96 --d=32 --dtype=f32,f64
      bench losses-by-d losses_losses_bench '^clip/' --n=96 --d=32,64
      bench metrics-by-d metrics_metrics_bench '^uniformity_with_gradient/spheremix' --n=96 --d=32,64
      bench losses-memory losses_losses_bench '^clip/(spheremix|eigen)/' --n=64,128,256 --d=32 --budget=4MiB,1GiB
      bench metrics metrics_metrics_bench . --n=96 --d=32 --dtype=f32,f64
      bench rows sphere_rows_bench . --n=96 --d=32 --dtype=f32,f64
      bench mixup mixup_mixup_bench . --n=96 --d=32 --dtype=f32,f64
      ;;
    quick)
      repeats=3
      bench products pairwise_products_bench . --n=1024 --threads=1
      bench losses losses_losses_bench . --n=256,1024 --error-n=1024
      bench field losses_field_bench . --n=1024,4096 --threads=2
      bench losses-large losses_losses_bench '/(spheremix|products)/' --n=4096 --threads=1,2 --error-n=0
      bench losses-by-d losses_losses_bench '^clip/(spheremix|products|eigen)/' --n=1024 --d=64,128,256,512,768,1024
      bench metrics-by-d metrics_metrics_bench '^uniformity_with_gradient/spheremix' --n=1024 --d=64,128,256,512,768,1024
      bench losses-memory losses_losses_bench '^clip/(spheremix|eigen)/' --n=256,1024,4096,16384 --d=32 --budget=64MiB,1GiB --error-n=0
      bench metrics metrics_metrics_bench . --n=1024,4096 --error-n=1024
      bench rows sphere_rows_bench 'rows' --n=65536 --threads=1,2 --error-n=0
      bench mixup mixup_mixup_bench . --n=65536 --error-n=0
      ;;
    full)
      bench products pairwise_products_bench . --n=512,1024,2048,4096 --dtype=f32,f64 --threads=1,2
      bench losses losses_losses_bench . --n=64,256,1024 --dtype=f32,f64 --threads=1,2
      bench losses-large losses_losses_bench '^clip/|^info_nce/|mix/' --n=4096,8192 --threads=1,2 --error-n=0
      bench field losses_field_bench . --n=1024,2048,4096 --dtype=f32,f64 --threads=2
      bench losses-ragged losses_losses_bench '/spheremix/' --n=1000,4099 --d=511,768
      bench losses-by-d losses_losses_bench '^clip/' --n=2048 --d=64,128,256,512,768,1024
      bench metrics-by-d metrics_metrics_bench '^uniformity_with_gradient/spheremix' --n=2048 --d=64,128,256,512,768,1024
      repeats=1
      bench losses-memory losses_losses_bench '^clip/(spheremix|eigen)/' --n=256,1024,4096,16384,65536 --d=32 \
        --budget=24MiB,256MiB,1GiB --error-n=0
      bench losses-65536 losses_losses_bench '^clip/spheremix/' --n=8192,65536 --threads=2 --error-n=0 --benchmark_min_time=0
      repeats=7
      bench metrics metrics_metrics_bench . --n=1024,4096 --dtype=f32,f64 --threads=1,2
      bench metrics-large metrics_metrics_bench '/spheremix/' --n=8192 --error-n=0
      bench rows sphere_rows_bench 'rows' --n=4096,65536 --dtype=f32,f64 --threads=1,2
      bench angles sphere_rows_bench 'matrix' --n=1024,4096 --threads=1,2
      bench mixup mixup_mixup_bench . --n=4096,65536 --threads=1,2
      ;;
  esac
  echo "== bf16"
  case $size in
    tiny) set -- --n=96 --d=32 --turns=2 ;;
    *) set -- --n=1024,4096 --d=128,512 --threads=1,2 --data=examples/data ;;
  esac
  { "$build/benchmarks/pairwise_bf16_bench" && "$build/benchmarks/losses_bf16_bench" "$@"; } >"$results/bf16.md" || fail bf16
fi

# ---- Against PyTorch ----
versus() { # python
  version=$("$1" -c 'import torch; print(torch.__version__.split("+")[0])')
  echo "== versus torch $version"
  python=$1
  shift
  "$python" benchmarks/versus_torch.py "$@" ${flags:+--flags="$flags"} --json "$results/versus-torch-$version.json" || fail "versus torch $version"
}
if wanted versus; then
  case $size in
    tiny) set -- clip-256 slerp linear normalize distance alignment --check ;;
    quick) set -- clip-256 clip-1024 clip-4096 m2-4096 clip_m2-4096 uniformity-4096 slerp linear normalize distance alignment --repeats 7 ;;
    full) set -- --repeats 11 ;;
  esac
  newest=${SPHEREMIX_TORCH:-$build/torch/bin/python}
  if [ "$newest" != none ] && ! has_torch "$newest" && [ -z "${SPHEREMIX_TORCH:-}" ]; then
    echo "== installing the newest PyTorch into $build/torch"
    { python3 -m venv "$build/torch" && "$build/torch/bin/pip" -q install torch numpy; } >"$build/pip.log" 2>&1 ||
      tail -n 3 "$build/pip.log"
  fi
  for python in /usr/bin/python3 "$newest"; do
    if has_torch "$python"; then
      versus "$python" "$@"
      [ $size != full ] || for d in 128 768; do
        version=$("$python" -c 'import torch; print(torch.__version__.split("+")[0])')
        "$python" benchmarks/versus_torch.py clip-4096 uniformity-4096 --dim $d --repeats 11 ${flags:+--flags="$flags"} \
          --json "$results/versus-torch-$version-d$d.json" || fail "versus torch $version, D = $d"
      done
    elif [ "$python" != none ]; then
      echo "skipped: no torch with numpy in $python"
    fi
  done
fi

# ---- Against faiss ----
if wanted faiss; then
  echo "== versus faiss"
  faiss=$build/faiss/bin/python
  "$faiss" -c 'import faiss, numpy' 2>/dev/null || { python3 -m venv "$build/faiss" && "$build/faiss/bin/pip" -q install faiss-cpu numpy; } >"$build/faiss.log" 2>&1
  case $size in
    tiny) set -- --rows 300 --dim 32 --k 1,10 --turns 2 ;;
    quick) set -- --turns 5 ;;
    full) set -- --rows 10000,100000 --turns 7 ;;
  esac
  if "$faiss" -c 'import faiss, numpy' 2>/dev/null; then
    "$faiss" benchmarks/versus_faiss.py "$@" ${flags:+--flags="$flags"} --json "$results/versus-faiss.json" || fail "versus faiss"
  else
    echo "skipped: no faiss-cpu for this Python"
  fi
fi

# ---- Plots ----
if wanted plots; then
  figures=docs/figures
  { [ "$size" = full ] || [ "$size" = quick ]; } && [ -z "$flags" ] || figures=$build/figures
  python3 benchmarks/plot.py "$results" --figures "$figures" || fail plots
fi
echo "$results: $failed failed"
[ "$failed" -eq 0 ]
