#!/bin/sh
# spheremix::compiled changes nothing but the time of the compiler: a program of twenty functions prints the same bits
# with it and header-only, by the same compiler and flags (-O1, which is quicker). Usage: compiled.sh BUILD_FOLDER
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=$1
mkdir -p "$out"
rm -f "$out"/*
flags="-std=c++20 -O1 -fopenmp -Wall -Wextra -Wconversion -Wshadow -Werror -Iinclude -isystem $eigen"
library() { # as cmake/spheremix-compiled.cmake builds it, the float half
  ls cmake/compiled/*.cpp | sed 's|.*/\(.*\)\.cpp|\1|' | xargs -P "$(nproc)" -I NAME \
    g++ $flags -DSPHEREMIX_COMPILED -DSPHEREMIX_COMPILED_TYPE=float -c cmake/compiled/NAME.cpp -o "$out/NAME.o" || return 1
  # The mean of float rows normalises in double.
  g++ $flags -DSPHEREMIX_COMPILED -DSPHEREMIX_COMPILED_TYPE=double -c cmake/compiled/normalize.cpp -o "$out/normalize_double.o" &&
    ar rc "$out/library.a" "$out"/*.o
}
check "header-only: builds" g++ $flags tests/compiled/twenty.cpp -o "$out/headers"
check "compiled: the library builds" library
check "compiled: builds" g++ $flags -DSPHEREMIX_COMPILED tests/compiled/twenty.cpp "$out/library.a" -o "$out/compiled"
check "compiled: runs" sh -c "'$out/headers' >'$out/headers.txt' && '$out/compiled' >'$out/compiled.txt'"
check "compiled: twenty results to the bit" sh -c "cmp '$out/headers.txt' '$out/compiled.txt' && [ \$(wc -l <'$out/compiled.txt') -eq 20 ]"
check "compiled: without the library it does not link" sh -c \
  "! g++ $flags -DSPHEREMIX_COMPILED tests/compiled/twenty.cpp -o '$out/lost'"
text() { size "$1" | awk 'NR == 2 { print $1 }'; }
if [ -x "$out/compiled" ]; then
  echo "note: text of the program: $(text "$out/headers") bytes header-only, $(text "$out/compiled") with the library"
fi
exit $status
