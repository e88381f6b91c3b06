#!/bin/sh
# The lists of spheremix::compiled (core/compiled.hpp): every function that a header leaves out has a source, and the
# other way round; a program that is told of the library does not link without it. That both ways give the same bits is
# the test `compiled` (tests/compiled/lists.cpp). Usage: compiled.sh BUILD_FOLDER
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=$1
mkdir -p "$out"
rm -f "$out"/*
listed() { # WORD folder: the macros in WORD(...) and WORD_FLOAT(...)
  grep -rhoE "^$1(_FLOAT)?\(SPHEREMIX_[A-Z0-9_]+\)" "$2" | sed 's/.*(//; s/)//' | sort
}
listed SPHEREMIX_ELSEWHERE include >"$out/elsewhere.txt"
listed SPHEREMIX_HERE cmake/compiled >"$out/here.txt"
check "compiled: every list has a source, once" sh -c "[ -s '$out/here.txt' ] && diff '$out/elsewhere.txt' '$out/here.txt'"
flags="-std=c++20 -O0 -Iinclude -isystem $eigen -DSPHEREMIX_COMPILED"
check "compiled: a program of twenty functions compiles" g++ $flags -c tests/compiled/twenty.cpp -o "$out/twenty.o"
check "compiled: without the library it does not link" sh -c "! g++ '$out/twenty.o' -o '$out/lost' 2>/dev/null"
exit $status
