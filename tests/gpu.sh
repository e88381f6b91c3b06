#!/bin/sh
# The device tests on a GPU, one command: builds every tests/gpu/**/*_test.cpp with nvcc for the GPU that is here,
# runs them, then a small run of each under compute-sanitizer (memcheck, racecheck, initcheck, synccheck). Leaves
# logs and gpu-tests.json in $OUT, or in out/. Says "skipped" and ends with 77 where there is no GPU.
#   SPHEREMIX_NVCC_FLAGS   more flags, such as -isystem for doctest
#   SPHEREMIX_SANITIZE=0   without compute-sanitizer
#   SPHEREMIX_GPU_ARCH=90a where there is no GPU: builds everything for this architecture, then says "skipped"
cd "$(dirname "$0")/.." || exit 1
. tests/support/find_gpu.sh
find_gpu "device tests"
target="-gencode arch=compute_$arch,code=sm_$arch"
arch=sm_$arch
out=${OUT:-out}
build=${SPHEREMIX_GPU_BUILD:-/tmp/spheremix-gpu-tests}
mkdir -p "$out" "$build"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
flags="-std=c++20 $target -O2 -lineinfo -Iinclude -Itests $SPHEREMIX_NVCC_FLAGS"
libraries=$(sed -n 's/.*nvcc-libraries: *//p' tests/gpu/*/*_test.cpp | tr '\n' ' ')

nvcc $flags -x cu -c tests/support/gpu_main.cpp -o "$build/main.o" || exit 1
find tests/gpu -name '*_test.cpp' | sort >"$build/list"
programs=$(sed 's|tests/gpu/||; s|/|_|g; s|_test.cpp||' "$build/list")
: >"$out/gpu-build.log"
for name in $programs pairwise_cublaslt; do rm -f "$build/$name"; done  # nothing stale is run
build_one='name=$(echo "$1" | sed "s|tests/gpu/||; s|/|_|g; s|_test.cpp||"); nvcc '"$flags"' -x cu -c "$1" -o "'"$build"'/$name.o" && nvcc '"$target"' "'"$build"'/$name.o" "'"$build"'/main.o" '"$libraries"' -o "'"$build"'/$name" || echo "failed: $1 does not build"'
nvcc $flags tests/gpu/pairwise/cublaslt_test.cu -lcublasLt -o "$build/pairwise_cublaslt" || echo "failed: cublaslt_test.cu does not build" | tee -a "$out/gpu-build.log"
programs="$programs pairwise_cublaslt"
xargs -P "$(nproc)" -n 1 sh -c "$build_one" build <"$build/list" 2>&1 | tee -a "$out/gpu-build.log"

failed=$(grep -c '^failed' "$out/gpu-build.log")
if [ -z "$gpu" ]; then
  built=0
  for name in $programs; do [ ! -x "$build/$name" ] || built=$((built + 1)); done
  echo "built for $arch: $built of $(($(wc -l <"$build/list") + 1)) programs"
  echo "skipped: device tests (no GPU here)"
  [ "$failed" -eq 0 ] && exit 77
  exit 1
fi
results=""
run() {  # kind name command...
  kind=$1 name=$2
  shift 2
  start=$(date +%s)
  timeout "${SPHEREMIX_GPU_TIMEOUT:-300}" "$@" >"$out/gpu-$kind-$name.log" 2>&1
  code=$?
  seconds=$(($(date +%s) - start))
  checks=$(sed -n 's/.*assertions: *\([0-9]*\) .*/\1/p' "$out/gpu-$kind-$name.log" | tail -n 1)
  if [ $code -eq 0 ]; then verdict=passed; else
    verdict=failed
    failed=$((failed + 1))
    tail -n 15 "$out/gpu-$kind-$name.log" | sed 's/^/    /'
  fi
  echo "$verdict: $kind $name (${checks:-0} checks, $seconds s)"
  results="$results$separator
    {\"kind\": \"$kind\", \"name\": \"$name\", \"passed\": $([ $code -eq 0 ] && echo true || echo false), \"checks\": ${checks:-0}, \"seconds\": $seconds}"
  separator=,
}

separator=""
for name in $programs; do
  [ -x "$build/$name" ] && run test "$name" "$build/$name"
done
if [ "${SPHEREMIX_SANITIZE:-1}" = 1 ] && command -v compute-sanitizer >/dev/null; then
  export SPHEREMIX_SMALL=1
  for tool in memcheck racecheck initcheck synccheck; do
    [ $tool = initcheck ] && export SPHEREMIX_NO_POISON=1
    for name in $programs; do
      [ -x "$build/$name" ] && run $tool "$name" compute-sanitizer --tool $tool --error-exitcode 9 "$build/$name"
    done
    unset SPHEREMIX_NO_POISON
  done
else
  echo "skipped: compute-sanitizer"
fi
printf '{\n  "gpu": "%s", "arch": "%s", "date": "%s", "commit": "%s", "failed": %s,\n  "results": [%s\n  ]\n}\n' \
  "$gpu" "$arch" "$(date -u +%Y-%m-%d)" "$commit" "$failed" "$results" >"$out/gpu-tests.json"
echo "$out/gpu-tests.json: $failed failed"
[ "$failed" -eq 0 ]
