#!/bin/sh
# Every header compiles on its own under g++, and all of them in one unit: in the reverse order, and after the macros
# of other people's headers (tests/flags/macros.hpp) under both compilers; without OpenMP, warnings as errors.
# Device headers (.cuh) are nvcc's business: tests/gpu/compile.sh.
# Usage: headers_alone.sh [header ...]
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
mpi=$(pkg-config --cflags mpi-c 2>/dev/null | sed 's/-I/-isystem /g')
flags="-std=c++20 -Wall -Wextra -Wconversion -Wshadow -Werror -fsyntax-only -Iinclude -I. -isystem $eigen $mpi -x c++"
export flags

# compile title compiler: the unit on standard input
compile() {
  if errors=$($2 $flags - 2>&1); then
    echo "passed: $1, $2"
  else
    printf 'failed: %s, %s\n%s\n' "$1" "$2" "$(echo "$errors" | head -n 15 | sed 's/^/    /')"
  fi
}
includes() { sed -e 's|^tests/\(.*\)|#include "tests/\1"|' -e 's|^include/\(.*\)|#include "\1"|'; }

case ${1:-} in
  --one) echo "$2" | includes | compile "$2 alone" g++ && exit ;;
  --all) tr ' ' '\n' | includes | compile "all headers, $2" "$3" && exit ;;
esac
[ $# -gt 0 ] || set -- $(find include -name '*.hpp' | grep -v "${mpi:+no }/mpi/" | sort) # mpi/ where there is mpi.h
log=$(mktemp)
{
  printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh "$0" --one
  printf '%s\n' "$@" | sort -r | sh "$0" --all "in reverse" g++
  for compiler in g++ clang++; do # gpu/core/eigen.hpp brings .cuh, where X11's Status is a name of ours
    printf '%s\n' tests/flags/macros.hpp "$@" | grep -v /gpu/ | sh "$0" --all "after macros" $compiler
  done
} | tee "$log"
! grep -q '^failed' "$log"
status=$?
rm -f "$log"
exit $status
