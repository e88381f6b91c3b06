#!/bin/sh
# The device benchmarks, one command: builds every benchmarks/gpu/**/*.cu for the GPU that is here, runs them, then
# every benchmarks/gpu/**/*.py (rivals; needs PyTorch). Each prints one JSON object a line; all of them go to
# gpu-benchmarks.json in $OUT, or in out/. Says "skipped" and ends with 77 where there is no GPU.
#   SPHEREMIX_NVCC_FLAGS   more flags
#   SPHEREMIX_GPU_ARCH=90a where there is no GPU: builds everything for this architecture, then says "skipped"
cd "$(dirname "$0")/.." || exit 1
. tests/support/find_gpu.sh
find_gpu "device benchmarks"
out=${OUT:-out}
build=${SPHEREMIX_GPU_BUILD:-/tmp/spheremix-gpu-benchmarks}
mkdir -p "$out" "$build"
export SPHEREMIX_SAMPLES="$build/samples" # what the C++ programs leave for the rivals to compare with
mkdir -p "$SPHEREMIX_SAMPLES"
lines=$build/lines
: >"$lines"
failed=0
keep() {  # name command...: its JSON lines, tagged with the program
  name=$1
  shift
  timeout "${SPHEREMIX_GPU_TIMEOUT:-300}" "$@" >"$build/$(basename "$name").log" 2>&1 || {
    echo "failed: $name"
    failed=$((failed + 1))
  }
  sed -n "s|^{|{\"program\": \"$name\", |p" "$build/$(basename "$name").log" | tee -a "$lines"
  grep -v '^{' "$build/$(basename "$name").log"
}
built=0
for source in $(find benchmarks/gpu -name '*.cu' | sort); do
  program=$build/$(basename "$source" .cu)
  rm -f "$program"  # nothing stale is run
  if nvcc -std=c++20 -O3 -gencode "arch=compute_$arch,code=sm_$arch" -Iinclude -Ibenchmarks $SPHEREMIX_NVCC_FLAGS \
    "$source" -lcublasLt -o "$program"; then
    built=$((built + 1))
    [ -z "$gpu" ] || keep "${source#benchmarks/gpu/}" "$program"
  else
    echo "failed: $source does not build"
    failed=$((failed + 1))
  fi
done
if [ -z "$gpu" ]; then
  echo "built for sm_$arch: $built programs, $failed failed"
  echo "skipped: device benchmarks (no GPU here)"
  [ "$failed" -eq 0 ] && exit 77
  exit 1
fi
if python3 -c 'import torch' 2>/dev/null; then
  for source in $(find benchmarks/gpu -name '*.py' | sort); do keep "${source#benchmarks/gpu/}" python3 "$source"; done
else
  echo "skipped: rivals (no PyTorch here)"
fi
{
  printf '{"gpu": "%s", "date": "%s", "commit": "%s", "failed": %s, "results": [\n' "$gpu" "$(date -u +%Y-%m-%d)" \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$failed"
  sed '$!s/$/,/' "$lines"
  printf ']}\n'
} >"$out/gpu-benchmarks.json"
echo "$out/gpu-benchmarks.json"
[ "$failed" -eq 0 ]
