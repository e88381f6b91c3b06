#!/bin/sh
# Every header compiles on its own, without OpenMP, under g++ and clang++ with warnings as errors. Device headers
# (.cuh) are nvcc's business: tests/gpu/compile.sh. Usage: headers_alone.sh [header ...]
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
flags="-std=c++20 -Wall -Wextra -Wconversion -Wshadow -Werror -fsyntax-only -Iinclude -isystem $eigen -x c++"
export flags

compile_one() {
  compiler=$1 header=$2
  unit=$(mktemp)
  printf '#include "%s"\n' "${header#include/}" >"$unit"
  if errors=$($compiler $flags "$unit" 2>&1); then
    echo "passed: $header alone, $compiler"
  else
    printf 'failed: %s alone, %s\n%s\n' "$header" "$compiler" "$(echo "$errors" | head -n 15 | sed 's/^/    /')"
  fi
  rm -f "$unit"
}

if [ "${1:-}" = --one ]; then
  compile_one "$2" "$3"
  exit
fi
[ $# -gt 0 ] || set -- $(find include -name '*.hpp' | sort)
log=$(mktemp)
for header; do printf 'g++ %s\nclang++ %s\n' "$header" "$header"; done | xargs -P "$(nproc)" -n 2 sh "$0" --one | tee "$log"
! grep -q '^failed' "$log"
status=$?
rm -f "$log"
exit $status
