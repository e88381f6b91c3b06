#!/bin/sh
# examples/libtorch_trainer.cpp with Debian's LibTorch (libtorch-dev, installed where apt has it) and with that in PyPI's
# torch, where a Python has it: SPHEREMIX_PYTHON's, or the one that the stage `peers` made. Each compiled, its gradients
# compared with torch's, run until its loss falls. A LibTorch that is not there is skipped, and a note says so.
#
#   libtorch.sh FOLDER
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1

trainer() { # name, what the compiler needs ...
  torch=$1
  shift
  check "$torch: libtorch_trainer compiles" g++ -std=c++20 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -fopenmp -Iinclude -isystem "$eigen" \
    examples/libtorch_trainer.cpp "$@" -ltorch -ltorch_cpu -lc10 -o "$out/trainer" || return
  check "$torch: libtorch_trainer's gradients are torch's, its loss falls" "$out/trainer" examples/data 3 && echo "$output" | sed 's/^/note: /'
}

headers=/usr/include/torch/csrc/api/include
[ -e $headers/torch/torch.h ] || install_packages "$out" libtorch-dev
if [ -e $headers/torch/torch.h ]; then
  trainer "Debian's libtorch" -isystem $headers
else
  echo "note: skipped: libtorch-dev is not installed, and apt has none"
fi

pypi=
for python in "${SPHEREMIX_PYTHON:-python3}" "$out/../peers/venv/bin/python"; do
  # Debian's python3-torch keeps its headers elsewhere: it is the libtorch-dev above.
  [ -n "$pypi" ] || pypi=$("$python" -c 'import os, torch; root = os.path.dirname(torch.__file__)
if os.path.exists(root + "/include/torch/csrc/api/include/torch/torch.h"): print(root)' 2>/dev/null)
done
if [ -n "$pypi" ]; then
  trainer "PyPI's torch" -isystem "$pypi/include" -isystem "$pypi/include/torch/csrc/api/include" -L"$pypi/lib" -Wl,-rpath,"$pypi/lib"
else
  echo "note: skipped: no torch of PyPI here (sh tests/run.sh peers installs one)"
fi
exit $status
