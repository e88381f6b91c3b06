#!/bin/sh
# No flag of a program changes what is promised of the numbers: tests/flags/subject.cpp is compiled with each set
# below, asked in every instruction set and compared with long double; and what is refused is refused by a sentence.
# -O1 where nothing more is needed: it does all of that too, in half the time. Usage: flags.sh BUILD_FOLDER
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=$1
mkdir -p "$out"
rm -f "$out"/*
opted_out=-DSPHEREMIX_ALLOW_FAST_MATH
check "the oracle compiles" g++ -std=c++20 -O1 -Wall -Wextra -Werror -c tests/flags/oracle.cpp -o "$out/oracle.o" || exit

ask() { # program: in every instruction set that this processor has
  for isa in baseline avx2 avx512; do
    SPHEREMIX_ISA=$isa "$1" || return 1
  done
}
numbers() { # name of the program, compiler, flags ...: links with the flags as well
  program=$out/$1
  shift
  check "numbers: $*" sh -c "$cached $* -std=c++20 -Iinclude -isystem '$eigen' -c tests/flags/subject.cpp -o '$program.o' &&
    $* '$out/oracle.o' '$program.o' -o '$program'" && check "numbers: $* is right" ask "$program"
}
set_of() { # compiler: its half of the sets
  compiler=$1
  numbers "$1_0" "$1" -O0
  numbers "$1_fma" "$1" -O1 -mfma
  numbers "$1_fused" "$1" -O3 -march=native -ffp-contract=fast
  numbers "$1_split" "$1" -O1 -march=native -ffp-contract=off
  numbers "$1_fast" "$1" -O2 -ffast-math $opted_out
  numbers "$1_Ofast" "$1" -Ofast $opted_out
  numbers "$1_associative" "$1" -O1 -fassociative-math -fno-signed-zeros -fno-trapping-math $opted_out
  # clang++ does not say that it was given this one: no refusal is possible, and none is needed.
  numbers "$1_unsafe" "$1" -O2 -funsafe-math-optimizations $([ "$1" = clang++ ] || echo $opted_out)
}
set_of g++ >"$out/g++.log" &
set_of clang++
wait
cat "$out/g++.log"
! grep -q '^failed' "$out/g++.log" || status=1

# A consumer's own warnings, the library found by -I as FetchContent does it, and no run-time types.
strict="-Wall -Wextra -Wconversion -Wshadow -Wsign-conversion -Wold-style-cast -Wcast-align=strict -Wpedantic -Wdouble-promotion -Werror"
strictly() { "$@" $strict -fno-rtti -std=c++20 -fopenmp -fsyntax-only -Iinclude -isystem "$eigen" tests/flags/warnings.cpp; }
check "warnings: none under g++'s strictest, -fno-rtti" strictly g++ -Wuseless-cast
check "warnings: none under clang++'s strictest, -fno-rtti" strictly clang++ -Wcast-align -Wno-unknown-warning-option

header=host_device.hpp
refused() { # words, compiler, flags ...
  words=$1
  shift
  refusal=$(echo "#include \"spheremix/core/$header\"" | "$@" -std=c++20 -Iinclude -E -x c++ - 2>&1 >/dev/null) && return 1
  echo "$refusal" | grep -q "$words"
}
for compiler in g++ clang++; do
  check "refused: $compiler -ffast-math" refused SPHEREMIX_ALLOW_FAST_MATH $compiler -ffast-math
  check "refused: $compiler -Ofast" refused SPHEREMIX_ALLOW_FAST_MATH $compiler -Ofast
  check "refused: $compiler -ffinite-math-only" refused SPHEREMIX_ALLOW_FAST_MATH $compiler -ffinite-math-only
  check "refused: $compiler -m32" refused "64-bit target" $compiler -m32
done
check "refused: g++ -funsafe-math-optimizations" refused SPHEREMIX_ALLOW_FAST_MATH g++ -funsafe-math-optimizations
check "refused: g++ -fassociative-math" refused SPHEREMIX_ALLOW_FAST_MATH g++ -fassociative-math -fno-signed-zeros -fno-trapping-math
check "refused: g++ -mfpmath=387" refused "round to their own type" g++ -mfpmath=387
header=checks.hpp
check "refused: g++ -fno-exceptions" refused "std::invalid_argument" g++ -fno-exceptions
check "refused: clang++ -fno-exceptions" refused "std::invalid_argument" clang++ -fno-exceptions
exit $status
