#!/bin/sh
# Other systems and compilers. Usage: platforms.sh BUILD_FOLDER [more]
#
#   Windows      mingw-w64's g++ and wine (Debian's): the io and sphere tests and some of losses; the umbrella beside <windows.h>
#   macOS, musl  zig's clang (PyPI's ziglang): the consumers' program compiles
#   refused      cl.exe, g++ 10, clang++ 13 and C++17, each by one sentence (told by their macros; C++17 by its flag)
#   more         every losses test under wine; zig's clang for Windows, with AVX code, under wine; musl linked and run;
#                g++ 11 and every clang++ of Debian 12
#
# What is missing is installed; what cannot be had is said as "note: skipped". docs/platforms.md has the last result.
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
mkdir -p "$1"
out=$(cd "$1" && pwd)
more=${2:-}
jobs=$(nproc)
warnings="-Wall -Wextra -Wconversion -Wshadow -Werror"
foreign_includes "$out/include"
flags="-std=c++20 -O1 -Iinclude -Itests -isystem $out/include -isystem $out/include/eigen3"

skipped() { echo "note: skipped: $1"; }

# sources on stdin, to objects in $out/$1: "passed" or "failed" for each, compiled $jobs at a time.
compile_all() { # folder, compiler and flags ...
  into=$1
  shift
  mkdir -p "$out/$into"
  while read -r source; do
    object=$(echo "${source#tests/}" | tr / _)
    echo "$* -DSPHEREMIX_SOURCE_DIR='\".\"' -c $source -o $out/$into/${object%.cpp}.o >$out/$into/${object%.cpp}.log 2>&1 ||
      { echo 'failed: $into: $source compiles'; tail -n 25 $out/$into/${object%.cpp}.log; }" >"$out/$into/${object%.cpp}.sh"
    echo "$out/$into/${object%.cpp}.sh"
  done | xargs -P "$jobs" -n 1 sh >"$out/$into/compile.txt"
  cat "$out/$into/compile.txt"
  [ ! -s "$out/$into/compile.txt" ] || status=1
}

# ---- Compilers that are refused ----
refused() { # name, words of the sentence, g++ arguments ...
  name=$1
  words=$2
  shift 2
  check "$name: refused by a sentence" sh -c "printf '#include <spheremix/spheremix.hpp>\n' |
    g++ $* -fsyntax-only -Iinclude -isystem '$eigen' -x c++ - 2>&1 | grep -m 1 'error' | tee /dev/stderr | grep -q '$words'"
}
refused "cl.exe" "on Windows mingw-w64.s g++ or clang-cl" -std=c++20 -D_MSC_VER=1940
refused "g++ 10" "needs g++ 11 or clang++ 14" -std=c++20 -U__GNUC__ -D__GNUC__=10
refused "clang++ 13" "needs g++ 11 or clang++ 14" -std=c++20 -D__clang__=1 -D__clang_major__=13
refused "C++17" "needs C++20" -std=c++17

# ---- Windows ----
mingw=x86_64-w64-mingw32-g++-posix
wine=/usr/lib/wine/wine64
command -v $mingw >/dev/null || install_packages "$out" g++-mingw-w64-x86-64-posix
[ -x $wine ] || install_packages "$out" wine64
export WINEPREFIX="$out/wine" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml="
unset DISPLAY
run_windows() { # name, program, arguments ...: "passed" where wine runs it and it succeeds
  name=$1
  shift
  if [ -x $wine ]; then
    check "$name" $wine "$@" && echo "$output" | sed -n 's/^\[doctest\] test cases:/note: '"$name"':/p'
  fi
}
[ -x $wine ] || skipped "running on Windows (no wine64 here, and it could not be installed)"
if command -v $mingw >/dev/null; then
  losses="tests/losses/gradient_test.cpp tests/losses/agreement_test.cpp"
  [ -z "$more" ] || losses=$(echo tests/losses/*_test.cpp)
  ls tests/main.cpp tests/io/*_test.cpp tests/sphere/*_test.cpp $losses | compile_all mingw $cached $mingw $flags -Wall -Wextra
  for folder in io sphere losses; do
    check "mingw: $folder links" $mingw -static "$out/mingw/main.o" "$out/mingw/${folder}"_*.o -o "$out/mingw/$folder.exe" &&
      run_windows "Windows: $folder" "$out/mingw/$folder.exe"
  done
  check "mingw: the consumers' program with OpenMP, warnings are errors" \
    $mingw $flags $warnings -fopenmp -static tests/consumers/main.cpp -o "$out/mingw/consumer.exe" &&
    run_windows "Windows: the consumers' program" "$out/mingw/consumer.exe"
  printf '#include <spheremix/spheremix.hpp>\n#include <windows.h>\n' >"$out/mingw/after.cpp"
  printf '#define NOMINMAX\n#include <windows.h>\n#include <spheremix/io/npy.hpp>\n' >"$out/mingw/before.cpp"
  for order in before after; do
    check "mingw: <windows.h> $order spheremix" $mingw $flags $warnings -fsyntax-only "$out/mingw/$order.cpp"
  done
else
  skipped "Windows (no g++-mingw-w64-x86-64-posix here, and it could not be installed)"
fi

# ---- macOS, musl, and Windows by clang ----
zig() { env PYTHONPATH="$out/python" ZIG_GLOBAL_CACHE_DIR="$out/zig" ZIG_LOCAL_CACHE_DIR="$out/zig" python3 -m ziglang "$@"; }
zig version >/dev/null 2>&1 || python3 -m pip install -q --target "$out/python" ziglang==0.17.1 >"$out/pip.log" 2>&1
if zig version >/dev/null 2>&1; then
  for target in x86_64-linux-musl aarch64-linux-musl x86_64-macos aarch64-macos x86_64-windows-gnu; do
    check "zig: compiles for $target" zig c++ -target $target $flags $warnings -c tests/consumers/main.cpp -o "$out/$target.o"
  done
  check "zig: asks the processor itself, no run-time library" sh -c \
    "nm '$out/x86_64-linux-musl.o' | grep -q main && ! nm '$out/x86_64-linux-musl.o' | grep '__cpu_'"
else
  skipped "macOS, musl, Windows by clang (no ziglang from PyPI)"
fi
[ -n "$more" ] || exit $status

# ---- More ----
if zig version >/dev/null 2>&1; then
  for target in x86_64-linux-musl x86_64-windows-gnu x86_64-macos aarch64-macos; do # libc++ is built first: minutes
    check "zig: links for $target" zig c++ -target $target $flags tests/consumers/main.cpp -o "$out/$target.exe"
  done
  check "musl: the consumers' program runs" "$out/x86_64-linux-musl.exe"
  run_windows "Windows by clang: the consumers' program" "$out/x86_64-windows-gnu.exe"
  for target in x86_64-linux-musl x86_64-windows-gnu; do
    ls tests/main.cpp tests/core/isa_test.cpp tests/io/*_test.cpp tests/sphere/*_test.cpp tests/losses/gradient_test.cpp |
      compile_all $target env PYTHONPATH="$out/python" ZIG_GLOBAL_CACHE_DIR="$out/zig" ZIG_LOCAL_CACHE_DIR="$out/zig" \
        python3 -m ziglang c++ -target $target $flags -Wall -Wextra
    check "$target: tests link" zig c++ -target $target "$out/$target"/*.o -o "$out/$target-tests.exe"
  done
  check "musl: core/isa, io, sphere, losses/gradient" "$out/x86_64-linux-musl-tests.exe" &&
    echo "$output" | sed -n 's/^\[doctest\] test cases:/note: musl:/p'
  run_windows "Windows by clang: core/isa, io, sphere, losses/gradient" "$out/x86_64-windows-gnu-tests.exe"
fi
for compiler in g++-11 clang++-13 clang++-14 clang++-15 clang++-16 clang++-19; do
  command -v $compiler >/dev/null || install_packages "$out" "$(echo $compiler | sed 's/clang++/clang/')"
  if ! command -v $compiler >/dev/null; then
    skipped "$compiler (could not be installed)"
  elif [ $compiler = clang++-13 ]; then
    check "$compiler: refused by a sentence" sh -c "$compiler $flags -fsyntax-only tests/consumers/main.cpp 2>&1 |
      grep -m 1 error | grep 'needs g++ 11 or clang++ 14'"
  else
    check "$compiler: the consumers' program, -O2, warnings are errors" \
      $compiler $flags $warnings -O2 tests/consumers/main.cpp -o "$out/$compiler"
    check "$compiler: it runs" "$out/$compiler"
    ls tests/main.cpp tests/core/*_test.cpp tests/pairwise/*_test.cpp tests/sphere/*_test.cpp tests/losses/gradient_test.cpp |
      compile_all $compiler $compiler $flags
    check "$compiler: tests link" $compiler "$out/$compiler"/*.o -o "$out/$compiler-tests" -pthread
    check "$compiler: core, pairwise, sphere, losses/gradient" "$out/$compiler-tests" &&
      echo "$output" | sed -n 's/^\[doctest\] test cases:/note: '"$compiler"':/p'
  fi
done
exit $status
