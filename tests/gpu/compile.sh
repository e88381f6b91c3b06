#!/bin/sh
# nvcc compiles every device header alone for sm_80 (its device pass, which reads the host functions too), all together (every_header) and every device test for sm_80
# and sm_90, with warnings as errors, down to machine code; those with wgmma in their name for sm_90a as well; host
# programs (*_test.cu) are run too.
# Needs a CUDA toolkit and no GPU. spheremix/nccl/ wants nccl.h: the toolkit's, else that of PyPI's nvidia-nccl-cu13 or
# -cu12 (300 MB, fetched once, one file kept), else it is skipped.
#   compile.sh [--headers | --tests] [file ...]
#
# What is looked for are errors and warnings, so nvcc optimises as little as it can (--Ofast-compile, toolkit 12.9
# and later): a third of the time. SPHEREMIX_NVCC_FLAGS=--Ofast-compile=0 compiles as a program would.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
  echo "skipped: device headers and tests under nvcc (no CUDA toolkit here)"
  exit 0
fi
fast=
case "${SPHEREMIX_NVCC_FLAGS:-}" in
  *Ofast-compile*) ;;
  *) ! nvcc --help | grep -q -e --Ofast-compile || fast=--Ofast-compile=max ;;
esac
all_headers=every_header
nccl=build/nccl/include # what PyPI's package has, where the toolkit has none
flags="-std=c++20 -Werror all-warnings -Iinclude -Itests -isystem $nccl $SPHEREMIX_NVCC_FLAGS"
find_nccl() {
  printf '#include <nccl.h>\n' | nvcc -isystem $nccl -x cu -E - >/dev/null 2>&1
}
fetch_nccl() {
  major=$(nvcc --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
  mkdir -p $nccl
  python3 -m pip download -q --no-deps -d build/nccl "nvidia-nccl-cu$major" >/dev/null 2>&1 &&
    python3 -c 'import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[2])
open(sys.argv[1] + "/nccl.h", "wb").write(wheel.read("nvidia/nccl/include/nccl.h"))' $nccl build/nccl/*.whl
  rm -f build/nccl/*.whl
}

compile_one() {
  unit=$1
  work=$(mktemp -d)
  source=$unit
  more=
  names="sm_80 and sm_90"
  result="-c -o $work/unit.o"
  targets="-gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90"
  case $unit in
    "$all_headers")
      source=$work/unit.cu
      (cd include && find spheremix/gpu spheremix/nccl -name '*.cuh' | sort) | sed 's/.*/#include "&"/' >"$source" ;;
    *.cuh)
      source=$work/unit.cu
      names=sm_80
      targets="-arch=compute_80"
      result="-ptx -o $work/unit.ptx"
      printf '#include "%s"\n' "${unit#include/}" >"$source" ;;
  esac
  case $unit in
    *nccl_test.cu) # links where there is more than the header
      find_nccl || { echo "skipped: $unit under nvcc (no nccl.h here)"; return; }
      errors=$($cached nvcc $flags $fast $targets -c "$unit" -o "$work/test.o" 2>&1)
      [ $? -eq 0 ] || errors="error: $errors"
      if nvcc "$work/test.o" -lnccl -o "$work/test" 2>/dev/null; then
        more=", linked with NCCL" errors="$errors$("$work/test" 2>&1)" || errors="error: $errors"
      fi
      case $errors in error:*) false ;; esac ;;
    *.cu) errors=$(nvcc $flags $fast $targets "$unit" -lcublasLt -o "$work/test" 2>&1 && "$work/test" 2>&1) ;;
    *) errors=$($cached nvcc $flags $fast $targets -x cu $result "$source" 2>&1) ;;
  esac
  status=$?
  case $unit in *wgmma*)
    more=" and sm_90a"
    errors="$errors$($cached nvcc $flags $fast -DSPHEREMIX_SM_90A -gencode arch=compute_90a,code=sm_90a -x cu -c "$source" -o "$work/unit.o" 2>&1)" || status=1 ;;
  esac
  case $unit in *wgmma_cosines.cuh)  # as a program would be: ptxas only notes where it makes wgmmas wait for each other
    more=" and sm_90a, CLIP optimised"
    cat >"$source" <<'END'
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/pairwise/wgmma_cosines.cuh"
using namespace spheremix::gpu;
template Status losses::clip_with_gradient<__half, pairwise::WgmmaCosines<>>(
    spheremix::core::MatrixView<const __half>, spheremix::core::MatrixView<const __half>, const losses::ClipOptions&,
    const losses::ContrastiveGradient<__half>&, Scratch, cudaStream_t, const pairwise::WgmmaCosines<>&);
END
    errors="$errors$(nvcc $flags -DSPHEREMIX_SM_90A -gencode arch=compute_90a,code=sm_90a -c "$source" -o "$work/unit.o" 2>&1)" || status=1
    case $errors in *"Potential Performance Loss"*) status=1 ;; esac ;;
  esac
  if [ $status -eq 0 ]; then
    echo "passed: $unit under nvcc for $names$more"
  else
    printf 'failed: %s under nvcc\n%s\n' "$unit" "$(echo "$errors" | head -n 15 | sed 's/^/    /')"
  fi
  rm -rf "$work"
}

if [ "${1:-}" = --one ]; then
  compile_one "$2"
  exit
fi
find_nccl || fetch_nccl
find_nccl || echo "skipped: spheremix/nccl under nvcc (no nccl.h here, and PyPI does not give it)"
what=${1:-}
case $what in --*) shift ;; esac
if [ $# -eq 0 ]; then
  [ "$what" = --headers ] || set -- $(find tests/gpu -name '*_test.c[pu]*' | sort) tests/support/gpu_main.cpp
  [ "$what" = --tests ] || set -- "$@" "$all_headers" $(find include/spheremix/gpu include/spheremix/nccl -name '*.cuh' | sort)
fi
log=$(mktemp)
started=$(date +%s)
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh "$0" --one | tee "$log"
! grep -q '^failed' "$log"
status=$?
echo "note: $(grep -c '^passed' "$log") of $# compiled in $(($(date +%s) - started)) s"
rm -f "$log"
exit $status
