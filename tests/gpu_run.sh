#!/bin/sh
# The device tests and benchmarks in two halves, for a GPU that is lent for minutes on a machine that has little:
#   sh tests/gpu_run.sh build [all | NAME ...]   where nvcc and doctest are; needs no GPU
#   sh tests/gpu_run.sh run [OLD]                where the GPU is; needs neither Eigen, doctest, nvcc nor a network
#
# build leaves programs in gpu-programs/ (ignored by git; take it along): the ones of $default below, all of
# tests/gpu and benchmarks/gpu, or those named (losses_clip for tests/gpu/losses/clip_test.cpp, losses_bench). torch_1
# to torch_4 are the parts of examples/torch_cuda.cu, for `python3 tests/gpu/torch_harness.py gpu-programs/torch_*`.
#   SPHEREMIX_GPU_ARCH    90a unless set; only 90a builds have wgmma
#   SPHEREMIX_GPU_JOBS    compilers at a time, as many as processors unless set
#   SPHEREMIX_NVCC_FLAGS  more flags, such as -isystem for doctest
#
# run takes at most 8 minutes. Every step has a time limit and appends JSON lines to results.jsonl as soon as it has
# them; whatever ends the script, two files are left in $OUT, or in out/: results.jsonl and logs.tgz. A table comes
# last (tests/gpu/summary.py). OLD is a folder with a losses_bench of an older commit: its lines stand beside the
# new ones, with "build": "old". Without a GPU every step is skipped and says why; that is not a failure.
#   SPHEREMIX_GPU_SECONDS the 480 seconds that run may take
# CI runs `run` without a GPU (tests/gpu/run_test.py), on programs that only pretend; and it builds one small program.
cd "$(dirname "$0")/.." || exit 1
programs=${SPHEREMIX_GPU_PROGRAMS:-gpu-programs}
default="core_emulator core_matrix core_scratch losses_clip losses_siglip losses_clip_m2_mix losses_sup_con
  losses_large metrics_uniformity mixup_sampling pairwise_products pairwise_stored_tile pairwise_wgmma
  pairwise_cublaslt sphere_edges losses_bench gemm_rates rows"

# ---- build --------------------------------------------------------------------------------------------------------
source_of() { # NAME: its source
  case $1 in
    losses_bench | gemm_rates) echo "benchmarks/gpu/losses/$1.cu" ;;
    rows) echo benchmarks/gpu/sphere/rows.cu ;;
    torch_[1-4]) echo examples/torch_cuda.cu ;;
    pairwise_cublaslt) echo tests/gpu/pairwise/cublaslt_test.cu ;;
    *) echo "tests/gpu/$(echo "$1" | sed 's|_|/|')_test.cpp" ;;
  esac
}
build_one() { # NAME
  source=$(source_of "$1")
  name=$1
  # Benchmarks and the tests that everything stands on as a program would be built; of the others it is the source
  # that is tested, and they compile in a fifth of the time.
  case $name in
    torch_*) nvcc_flags="$nvcc_flags ${SPHEREMIX_TORCH_FLAGS:--O3} --shared -Xcompiler -fPIC -DSPHEREMIX_TORCH_ONLY=${name#torch_}" ;;
    losses_bench | gemm_rates | rows | core_emulator | losses_clip | pairwise_*) nvcc_flags="$nvcc_flags -O2" ;;
    *) ! nvcc --help | grep -q -e --Ofast-compile || nvcc_flags="$nvcc_flags --Ofast-compile=max" ;;
  esac
  libraries=$(sed -n 's/.*nvcc-libraries: *//p' "$source")
  case $source in *cublaslt* | *benchmarks*) libraries="$libraries -lcublasLt" ;; esac
  case $source in *_test.cpp) # the main is an object: it must not be taken for CUDA source
    ${cached:-} nvcc $nvcc_flags -x cu -c "$source" -o "$programs/$name.o" &&
      nvcc $nvcc_flags "$programs/$name.o" "$programs/main.o" $libraries -Xlinker -s -o "$programs/$name" ;;
  *) nvcc $nvcc_flags "$source" $libraries -Xlinker -s -o "$programs/$name" ;;
  esac >"$programs/$name.log" 2>&1
  status=$?
  rm -f "$programs/$name.o"
  if [ $status -ne 0 ]; then
    rm -f "$programs/$name"
    echo "failed: $source does not build"
    head -n 15 "$programs/$name.log" | sed 's/^/    /'
    return 1
  fi
  rm -f "$programs/$name.log"
  echo "built: $name, $(($(wc -c <"$programs/$name") / 1024)) KiB"
}
set_nvcc_flags() {
  arch=${SPHEREMIX_GPU_ARCH:-90a}
  nvcc_flags="-std=c++20 -gencode arch=compute_$arch,code=sm_$arch -Iinclude -Itests -Ibenchmarks $SPHEREMIX_NVCC_FLAGS"
  [ "$arch" != 90a ] || nvcc_flags="$nvcc_flags -DSPHEREMIX_SM_90A"
  ! nvcc --help | grep -q -e --compress-mode || nvcc_flags="$nvcc_flags --compress-mode=size"
}
build() {
  if ! command -v nvcc >/dev/null; then
    echo "skipped: device programs (no CUDA toolkit here)"
    exit 0
  fi
  set_nvcc_flags
  if [ $# -eq 0 ]; then
    set -- $default
  elif [ "$1" = all ]; then
    set -- $(find tests/gpu -name '*_test.cpp' ! -name blas_test.cpp ! -name cpu_library_test.cpp ! -name libraries_test.cpp |
      sort | sed 's|tests/gpu/||; s|/|_|; s|_test.cpp||') pairwise_cublaslt losses_bench gemm_rates rows
  fi
  for name; do [ -f "$(source_of "$name")" ] || { echo "failed: there is no $name"; exit 1; }; done
  started=$(date +%s)
  mkdir -p "$programs"
  for name; do rm -f "$programs/$name"; done # nothing stale is run
  nvcc $nvcc_flags -x cu -c tests/support/gpu_main.cpp -o "$programs/main.o" || exit 1
  printf '%s\n' "$@" | xargs -P "${SPHEREMIX_GPU_JOBS:-$(nproc)}" -n 1 sh "$0" build-one
  status=$?
  rm -f "$programs/main.o"
  git rev-parse --short HEAD >"$programs/commit" 2>/dev/null || echo unknown >"$programs/commit"
  kib=$(du -sk "$programs" | cut -f 1)
  echo "$programs: $((kib / 1024)).$((kib % 1024 * 10 / 1024)) MiB for sm_$arch, $(($(date +%s) - started)) s"
  [ "$kib" -le 40960 ] || echo "note: more than 40 MiB"
  exit $status
}

# ---- run ----------------------------------------------------------------------------------------------------------
say() { printf '%s\n' "$1" >>"$results"; }
left() { echo $(($started + ${SPHEREMIX_GPU_SECONDS:-480} - $(date +%s))); }
words() { tr -d '\000-\037"\\' | cut -c 1-200; }

# step NAME SECONDS COMMAND ...: one line with its outcome, and its own JSON lines with "step" before them.
# 77 is "skipped" with the program's reason. `build` is what the lines say of the build they come from.
step() {
  name=$1 most=$2
  shift 2
  remaining=$(left)
  if [ "$remaining" -lt 3 ]; then
    say "{\"step\": \"$name\", \"status\": \"skipped\", \"why\": \"no time left\"}"
    return 0
  fi
  [ "$most" -le "$remaining" ] || most=$remaining
  case $1 in
    "$programs"/*) [ -x "$1" ] || { say "{\"step\": \"$name\", \"status\": \"skipped\", \"why\": \"not built\"}"; return 0; } ;;
  esac
  log=$logs/$(echo "$name" | tr ' /' '__').log
  from=$(date +%s)
  timeout -k 5 "$most" "$@" >"$log" 2>&1 &
  child=$!
  wait "$child" # and not in the foreground: a signal to this script is heard while it waits
  code=$?
  child=
  sed -n "s|^{\(.*}\)\$|{\"step\": \"$name\", \"build\": \"${build:-new}\", \1|p" "$log" >>"$results"
  why=
  case $code in
    0) status=passed ;;
    77) status=skipped why=$(sed -n 's/^skipped: *//p' "$log" | tail -n 1 | words) ;;
    124 | 137) status=failed why="stopped after $most s" ;;
    *) status=failed why="exit $code: $(grep -v '^{' "$log" | grep -i -m 1 -e error -e fail -e 'cannot' | words)" ;;
  esac
  checks=$(sed -n 's/.*assertions: *\([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  say "{\"step\": \"$name\", \"status\": \"$status\", \"seconds\": $(($(date +%s) - from))${checks:+, \"checks\": $checks}${why:+, \"why\": \"$why\"}}"
}
# Several at once: each in the background, then all waited for.
tests_at_once() { # HOW_MANY SECONDS NAME ...
  many=$1 most=$2
  shift 2
  running=0
  for test; do
    (
      trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM
      step "test $test" "$most" "$programs/$test"
    ) &
    running=$((running + 1))
    [ $((running % many)) -ne 0 ] || wait
  done
  wait
}
skip() { say "{\"step\": \"$1\", \"status\": \"skipped\", \"why\": \"$2\"}"; }

finish() { # the trap: two files, whatever happened
  trap - EXIT INT TERM HUP
  kill $child $(jobs -p) 2>/dev/null
  [ -z "$logs" ] || { tar -czf "$out/logs.tgz" -C "$work" logs 2>/dev/null; rm -rf "$work"; }
  python3 tests/gpu/summary.py "$results" 2>/dev/null || grep '"status"' "$results"
  failed=$(grep -c '"status": "failed"' "$results")
  echo "$results: $(grep -c '"status": "passed"' "$results") steps passed, $failed failed, $(grep -c '"status": "skipped"' "$results") skipped, $(($(date +%s) - started)) s"
  [ "$failed" -eq 0 ] || exit 1
  exit 0
}

run() {
  old=$1
  started=$(date +%s)
  out=${OUT:-out}
  mkdir -p "$out" || exit 1
  results=$out/results.jsonl
  rm -f "$out/logs.tgz"
  : >"$results"
  child= work=$(mktemp -d)
  logs=$work/logs
  mkdir -p "$logs" "$work/samples"
  trap finish EXIT
  trap 'exit 130' INT TERM HUP
  export SPHEREMIX_SAMPLES="$work/samples" PYTHONUNBUFFERED=1

  # 1. What is here.
  gpu= # empty: none
  ! nvidia-smi -L >/dev/null 2>&1 || gpu=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | words)
  say "{\"step\": \"machine\", \"gpu\": \"$gpu\", \"date\": \"$(date -u +%Y-%m-%d)\", \"commit\": \"$(cat "$programs/commit" 2>/dev/null || git rev-parse --short HEAD 2>/dev/null)\"}"
  step "nvidia-smi" 10 sh -c 'nvidia-smi -L >/dev/null 2>&1 || { echo "skipped: no GPU here"; exit 77; }; nvidia-smi -q'
  lt=$(python3 -c 'import glob, os, sys
for p in sys.path:
    for f in glob.glob(p + "/nvidia/*/lib/libcublasLt.so.1[23]"): print(os.path.dirname(f))' 2>/dev/null | head -n 1)
  [ -z "$lt" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$lt"
  step "ldd" 10 sh -c 'for f in "$1"/*; do [ ! -x "$f" ] || [ ! -f "$f" ] || { echo "$f"; ldd "$f"; }; done | tee /dev/stderr | grep "not found" && exit 1; [ -n "$(ls "$1" 2>/dev/null)" ] || { echo "skipped: nothing is built"; exit 77; }' sh "$programs"

  # 2. The tests that all else stands on.
  tests_at_once 4 60 core_emulator pairwise_wgmma pairwise_products losses_clip
  # 3. The losses, every way; an older build beside them.
  step "losses 4096" 40 "$programs/losses_bench" 4096
  step "losses 32768" 90 "$programs/losses_bench" 32768
  step "losses 65536 x 768" 30 "$programs/losses_bench" d=768 case=siglip way=kernels,stored,wgmma_cublaslt 65536
  step "losses small" 20 "$programs/losses_bench" case=clip 256 512 1024
  if [ -n "$old" ]; then
    build=old
    if [ -x "$old/losses_bench" ]; then step "losses old" 75 "$old/losses_bench" 4096 32768; else skip "losses old" "no losses_bench in $old"; fi
    build=
  fi
  # 4. What bounds them.
  step "rows" 30 "$programs/rows"
  step "gemm rates" 30 "$programs/gemm_rates"
  # 5. Rivals.
  if python3 -c 'import torch; raise SystemExit(not torch.cuda.is_available())' 2>/dev/null; then
    step "torch clip" 110 python3 benchmarks/gpu/losses/torch_rivals.py
    step "torch slerp" 45 python3 benchmarks/gpu/sphere/slerp_torch.py
  else
    skip "torch clip" "no PyTorch with a GPU here"
    skip "torch slerp" "no PyTorch with a GPU here"
  fi
  # 6. The other tests.
  tests_at_once 8 60 core_matrix core_scratch losses_siglip losses_clip_m2_mix losses_sup_con losses_large metrics_uniformity \
    mixup_sampling pairwise_stored_tile pairwise_cublaslt sphere_edges
  # 7. Counters: one launch each.
  if [ -n "$gpu" ] && command -v ncu >/dev/null; then
    for way in kernels wgmma_cublaslt stored; do
      for kernel in Statistics Weights Product; do
        step "ncu $way $kernel" 25 python3 tests/gpu/summary.py --ncu "$way" "$kernel" "$programs/losses_bench"
      done
    done
  else
    skip "ncu" "no GPU or no ncu here"
  fi
  # 8. Memory and races, small sizes.
  if [ -n "$gpu" ] && command -v compute-sanitizer >/dev/null; then
    export SPHEREMIX_SMALL=1
    step "memcheck losses_clip" 60 compute-sanitizer --tool memcheck --error-exitcode 9 "$programs/losses_clip"
    step "racecheck pairwise_wgmma" 60 compute-sanitizer --tool racecheck --error-exitcode 9 "$programs/pairwise_wgmma"
  else
    skip "memcheck losses_clip" "no GPU or no compute-sanitizer here"
    skip "racecheck pairwise_wgmma" "no GPU or no compute-sanitizer here"
  fi
}

what=$1
[ $# -eq 0 ] || shift
case $what in
  build) build "$@"; exit ;;
  build-one) set_nvcc_flags; build_one "$1"; exit ;;
  run) run "$@"; exit ;;
  *)
    sed -n '2,/^cd /{/^cd /d; s/^# \{0,1\}//p;}' "$0"
    exit 2
    ;;
esac
