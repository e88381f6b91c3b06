#!/bin/sh
# Two translation units that both include spheremix.hpp link into one program and agree, in both link orders:
# with equal flags, and with another -march each. Units of different -march that exchange or share Eigen's own
# matrices need one EIGEN_MAX_ALIGN_BYTES for all (Eigen's rule: its allocator depends on it); units that work on
# buffers of their own through Eigen::Map need nothing. Usage: two_units.sh BUILD_FOLDER
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=$1
mkdir -p "$out"
rm -f "$out"/*

unit() { # UNIT, work, object, flags ...
  unit=$1 work=$2 object=$3
  shift 3
  check "$object compiles" $cached g++ -std=c++20 -O1 -fopenmp "$@" -DUNIT="$unit" -DWORK="$work" -Iinclude -Itests \
    -isystem "$eigen" -c tests/two_units/unit.cpp -o "$out/$object.o"
}
both() { # two commands of units, two at a time: "a ..." "b ..."
  unit $1 >"$out/first.log" &
  unit $2
  wait
  cat "$out/first.log"
  ! grep -q '^failed' "$out/first.log" || status=1
}
pair() { # name, first object, second object, argument of the program: both link orders
  title=$1 first=$2 second=$3
  shift 3
  for order in "$first $second" "$second $first"; do
    program="$out/${order% *}+${order#* }"
    check "$title: links as $order" g++ -fopenmp "$out/main.o" "$out/${order% *}.o" "$out/${order#* }.o" -o "$program" &&
      check "$title: agrees as $order" "$program" "$@"
  done
}

check "main compiles" g++ -std=c++20 -O1 -c tests/two_units/main.cpp -o "$out/main.o"
both "first matrices first-plain" "second matrices second-plain"
pair "equal flags" first-plain second-plain
if grep -qw avx2 /proc/cpuinfo; then
  both "first buffers first-buffers" "second buffers second-buffers-v3 -march=x86-64-v3"
  pair "own buffers, plain and x86-64-v3" first-buffers second-buffers-v3 differ
  aligned=-DEIGEN_MAX_ALIGN_BYTES=64
  both "first matrices first-aligned $aligned" "second matrices second-aligned-native $aligned -march=native"
  pair "matrices, one alignment, plain and native" first-aligned second-aligned-native differ
else
  echo "note: this processor has no AVX2, units with other -march were not linked"
fi
exit $status
