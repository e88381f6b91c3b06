#!/bin/sh
# The product engine, the loops over rows and the losses on another processor: tests/{pairwise,sphere,losses}, built for aarch64 (static, no
# OpenMP, the portable kernels on NEON) and run under qemu. Usage: aarch64.sh [BUILD_FOLDER]
# Says "skipped" and ends with 77 where the cross-compiler or qemu-user is missing and cannot be installed.
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=${1:-build/tests/aarch64}
mkdir -p "$out/include"
compiler=aarch64-linux-gnu-g++
qemu=qemu-aarch64
if ! command -v $compiler >/dev/null || ! command -v $qemu >/dev/null; then
  install_packages "$out" g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
  if ! command -v $compiler >/dev/null || ! command -v $qemu >/dev/null; then
    echo "skipped: aarch64 (no g++-aarch64-linux-gnu or no qemu-user here, and they could not be installed)"
    exit 77
  fi
fi
foreign_includes "$out/include"
build() { # source, object
  $compiler -std=c++20 -O1 -Wall -Wextra -Iinclude -Itests -isystem "$out/include" -isystem "$out/include/eigen3" \
    -DSPHEREMIX_SOURCE_DIR="\"$PWD\"" -DSPHEREMIX_STATIC_LIBC -c "$1" -o "$2"
}
check "aarch64: tests/main.cpp compiles" build tests/main.cpp "$out/main.o" || exit 1
for folder in pairwise sphere losses; do
  objects=
  for source in tests/$folder/*_test.cpp; do
    object=$out/${folder}_$(basename "$source" .cpp).o
    check "aarch64: $source compiles" build "$source" "$object" && objects="$objects $object"
  done
  check "aarch64: $folder links" $compiler -static "$out/main.o" $objects -o "$out/${folder}_tests" &&
    check "aarch64: $folder passes" env SPHEREMIX_SMALL=1 $qemu "$out/${folder}_tests" &&
    echo "$output" | sed -n 's/^\[doctest\] test cases:/note: '"$folder"':/p'
done
exit $status
