# Sourced by tests/gpu.sh and benchmarks/gpu.sh: find_gpu WHAT sets gpu (its name; empty: none, but SPHEREMIX_GPU_ARCH
# asks for a build) and arch (90a for compute capability 9.0: with wgmma), or says "skipped: WHAT" and ends with 77.
find_gpu() {
  if ! command -v nvcc >/dev/null; then
    echo "skipped: $1 (no CUDA toolkit here)"
    exit 77
  fi
  gpu=
  arch=${SPHEREMIX_GPU_ARCH:-}
  if nvidia-smi -L 2>/dev/null | grep -q GPU; then
    gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
    [ "$arch" != 90 ] || arch=90a
  elif [ -z "$arch" ]; then
    echo "skipped: $1 (no GPU here)"
    exit 77
  fi
}
