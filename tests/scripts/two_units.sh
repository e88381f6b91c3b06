#!/bin/sh
# Two translation units that both include spheremix.hpp link into one program and agree: with equal flags, and
# with another -march each, in both link orders. Usage: two_units.sh BUILD_FOLDER
cd "$(dirname "$0")/../.." || exit 1
out=$1
mkdir -p "$out"
eigen=$(pkg-config --variable=includedir eigen3 2>/dev/null)
[ -n "$eigen" ] && eigen=$eigen/eigen3 || eigen=/usr/include/eigen3
status=0

check() { # name, command ...: one line, with the output below it on failure
  name=$1
  shift
  if "$@" >"$out/log" 2>&1; then
    echo "passed: $name"
  else
    echo "failed: $name"
    sed 's/^/    /' "$out/log" | tail -n 20
    status=1
  fi
}
unit() { # compiler, UNIT, object, flags ...
  compiler=$1 name=$2 object=$3
  shift 3
  check "$object compiles" $compiler -std=c++20 -O1 "$@" -DUNIT="$name" -Iinclude -Itests -isystem "$eigen" \
    -c tests/two_units/unit.cpp -o "$out/$object.o"
}
pair() { # name, first object, second object, arguments: both link orders
  for order in "$2 $3" "$3 $2"; do
    set -- "$1" "$2" "$3" "${4:-}"
    check "$1, linked $order" g++ -fopenmp "$out/main.o" "$out/${order% *}.o" "$out/${order#* }.o" -o "$out/program"
    check "$1, run $order" "$out/program" $4
  done
}

check "main compiles" g++ -std=c++20 -O1 -c tests/two_units/main.cpp -o "$out/main.o"
unit g++ first first-plain -fopenmp &
unit g++ second second-plain -fopenmp
wait
pair "equal flags" first-plain second-plain
if grep -qw avx2 /proc/cpuinfo; then
  unit g++ second second-v3 -fopenmp -march=x86-64-v3 &
  unit g++ second second-native -fopenmp -march=native
  wait
  pair "plain and x86-64-v3" first-plain second-v3 differ
  pair "plain and native" first-plain second-native differ
else
  echo "note: this processor has no AVX2, units with other -march were not linked"
fi
exit $status
