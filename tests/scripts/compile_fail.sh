#!/bin/sh
# Each case of tests/compile_fail/cases.cpp must compile as it is and fail, with the words it names, when spoilt; where
# the words are one of the library's own sentences (from case 9 on), in one error or two.
# Prints "passed: ..." or "failed: ..." for each.
cd "$(dirname "$0")/../.." || exit 1
cases=tests/compile_fail/cases.cpp
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
compile() { g++ -std=c++20 -fsyntax-only -Werror=unused-result -Iinclude -isystem "${EIGEN_INCLUDE:-/usr/include/eigen3}" "$@" $cases >"$log" 2>&1; }
for number in $(sed -n 's/^#.*if CASE == \([0-9]*\).*/\1/p' $cases); do
  words=$(sed -n "s|^#.*if CASE == $number  // expect: ||p" $cases)
  if ! compile -DCASE="$number"; then
    echo "failed: case $number does not compile as it should"
    sed 's/^/  /' "$log" | head -n 20
    status=1
  elif compile -DCASE="$number" -DWRONG; then
    echo "failed: case $number compiles though it should not ($words)"
    status=1
  elif ! grep -q "$words" "$log"; then
    echo "failed: case $number fails without the words '$words'"
    sed 's/^/  /' "$log" | grep error | head -n 5
    status=1
  elif [ "$number" -ge 9 ] && [ "$(grep -c ' error: ' "$log")" -gt 2 ]; then
    echo "failed: case $number fails with $(grep -c ' error: ' "$log") errors, not one or two"
    status=1
  else
    echo "passed: case $number ($words)"
  fi
done
exit $status
