#!/bin/sh
# Every libFuzzer target of tests/fuzz for some seconds, with ASan and UBSan. Usage: fuzz.sh BUILD_FOLDER [seconds]
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=$1
seconds=${2:-20}
mkdir -p "$out"
for source in tests/fuzz/*_fuzz.cpp; do
  target=$(basename "$source" .cpp)
  check "$target builds" clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -Iinclude -isystem "$eigen" "$source" -o "$out/$target" || continue
  check "$target, $seconds s" "$out/$target" -max_total_time="$seconds" -max_len=400 -artifact_prefix="$out/"
  echo "$output" | sed -n 's/^\(Done [0-9]* runs\).*/note: '"$target"': \1/p'
done
exit $status
