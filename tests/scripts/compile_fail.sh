#!/bin/sh
# Each case of tests/compile_fail/cases.cpp must compile as it is and fail, with the words it names, when spoilt; where
# the words are one of the library's own sentences (from case 9 on), in one error or two.
# The library is read once, into a precompiled header. Prints "passed: ..." or "failed: ..." for each.
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
cases=tests/compile_fail/cases.cpp
compiler="g++ -std=c++20 -Werror=unused-result"
includes="-Iinclude -isystem $eigen"

one() { # number
  compile() { $compiler -fsyntax-only -I"$folder" $includes -Winvalid-pch "$@" $cases >"$folder/$1" 2>&1; }
  right=-DCASE=$1
  wrong=-DWRONG
  words=$(sed -n "s|^#.*if CASE == $1  // expect: ||p" $cases)
  if ! compile "$right"; then
    echo "failed: case $1 does not compile as it should"
    sed 's/^/  /' "$folder/$right" | head -n 20
  elif compile "$right" $wrong; then
    echo "failed: case $1 compiles though it should not ($words)"
  elif ! grep -q "$words" "$folder/$right"; then
    echo "failed: case $1 fails without the words '$words'"
    sed 's/^/  /' "$folder/$right" | grep error | head -n 5
  elif [ "$1" -ge 9 ] && [ "$(grep -c ' error: ' "$folder/$right")" -gt 2 ]; then
    echo "failed: case $1 fails with $(grep -c ' error: ' "$folder/$right") errors, not one or two"
  else
    echo "passed: case $1 ($words)"
  fi
}

if [ "${1:-}" = --one ]; then
  one "$2"
  exit
fi
folder=$(mktemp -d)
export folder
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/spheremix"
$compiler -w $includes -x c++-header include/spheremix/spheremix.hpp -o "$folder/spheremix/spheremix.hpp.gch" || exit 1
sed -n 's/^#.*if CASE == \([0-9]*\).*/\1/p' $cases | xargs -P "$(nproc)" -n 1 sh "$0" --one | tee "$folder/results"
[ "$(grep -c '^passed' "$folder/results")" -eq "$(grep -c '^#.*if CASE == ' $cases)" ] # a case without a verdict has not passed
