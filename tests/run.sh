#!/bin/sh
# Installs what is missing, builds, and runs every test; ends with "N passed, N failed".
#
#   sh tests/run.sh              everything
#   sh tests/run.sh floors units only these stages, in this order
#
# SPHEREMIX_TEST_SECONDS=N: no stage begins later than N seconds after the start; those left are named as skipped.
# Compilers run through ccache where it is (installed with the rest): a second run compiles what has changed.
#
# Stages   floors     no upward include, with planted faults that must be found; the faults of faults.tsv can be planted
#          units      unit tests (-O1: they are all compile time; most link spheremix::compiled, whose bits are those of
#                     the headers: test `compiled`): g++, Release
#          sanitized  core, io, math and pairwise: clang++, ASan + UBSan, warnings are errors
#          headers    each header compiles alone (g++), all together in both orders (clang++, g++)
#          two_units  two translation units link and agree, with one and with different -march
#          flags      numbers against long double with every flag that bends arithmetic; what is refused
#          budget     compile time of quickstart and of programs with one loss and twenty functions, header-only and with
#                     spheremix::compiled; its lists
#          consumers  installed package, add_subdirectory, FetchContent, pkg-config, folders, Eigen 5 and none, the release script
#          readme     every snippet and command of the README
#          examples   the tests of the programs in examples/, the analyst's tool among them, in the README's own build of them
#          docs       the pages' code and commands, formulas against the headers, every public name documented, spelling; the site is
#                     built and opened in headless Chromium
#          compile_fail  programs that must not compile, each with a twin that must
#          fuzz       the .npy reader, 20 s of libFuzzer
#          platforms  Windows (mingw-w64, wine), macOS and musl (zig), compilers that are refused
#          distributed  losses over 1, 2, 3 and 5 processes of MPI, ranks that fail, examples/trainer_mpi.cpp
#          python     examples/python: the wheel is built, installed and tested in an environment of its own, with what PyPI has
#          cuda       every device header alone (sm_80), all together and every device test (sm_80, sm_90) under nvcc, where there is one;
#                     tests/gpu_run.sh run without a GPU
#          machine_code  instructions a pair, code bytes, spills and calls of the hot device kernels, optimised (sm_90), where there is nvcc
# Only when asked for
#          platforms_more  as platforms, with all losses under wine, musl linked and run, g++ 11 and every clang++ of Debian: 20 min
#          recipes    packaging/: Conan, Meson and vcpkg's port make the package and use it, the rest is parsed: 2 min
#          distributed_more  as distributed, with MPICH: 3 min
#          more       platforms_more, distributed_more and recipes
#          peers      as python, with torch and the peers of docs/python.md from PyPI (1 GB), whose figures are compared with the record
#          libtorch   examples/libtorch_trainer.cpp, with Debian's LibTorch and with that of PyPI's torch, whichever is there: 3 min
#          sanitized_more  the other folders as well: long
#          sanitized_gpu  as sanitized, with the device kernels in the block emulator and all slow tests
#          faults     the faults of tests/scripts/faults.tsv, and every barrier of the device kernels deleted once:
#                     a test must fail; about an hour
# Logs and builds go to build/tests (or $SPHEREMIX_TEST_BUILD). Works without apt where nothing is missing.
set -u
cd "$(dirname "$0")/.." || exit 1
out=${SPHEREMIX_TEST_BUILD:-build/tests}
default_stages="floors units sanitized headers two_units flags budget consumers readme examples docs compile_fail fuzz platforms distributed python cuda machine_code"
more_stages="platforms_more distributed_more recipes"
mkdir -p "$out/logs"
jobs=$(nproc)
passed=0
failed=0
fresh_tree=
example_build=none
started=$(date +%s)
child=
trap 'trap - INT TERM; [ -n "$child" ] && kill "$child" 2>/dev/null; exit 130' INT TERM

# ---- What is missing comes from Debian's packages ----
have_header() { printf '#include <%s>\n' "$1" | g++ -fsyntax-only -x c++ -I/usr/include/eigen3 - 2>/dev/null; }
clang_links() { printf '#include <omp.h>\nint main() {}\n' | clang++ -fopenmp -fsanitize=address,undefined -x c++ - -o "$out/probe" 2>/dev/null; }
need() { # package, test ...: notes the package unless the test succeeds
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
find_missing() {
  missing=
  need g++ command -v g++
  need clang command -v clang++
  need cmake command -v cmake
  need ninja-build command -v ninja
  need ccache command -v ccache
  need python3 command -v python3
  need python3-numpy /usr/bin/python3 -c "import numpy"
  need pkg-config command -v pkg-config
  need libeigen3-dev have_header Eigen/Core
  need doctest-dev have_header doctest/doctest.h
  need libcli11-dev have_header CLI/CLI.hpp
  need nlohmann-json3-dev have_header nlohmann/json.hpp
  need zlib1g-dev have_header zlib.h
  need libbenchmark-dev have_header benchmark/benchmark.h
  need "libomp-dev libclang-rt-dev" clang_links
  need "libopenmpi-dev openmpi-bin" pkg-config --exists mpi-c
  need python3-venv python3 -c "import ensurepip"
  need python3-dev python3 -c "import os, sysconfig; os.stat(sysconfig.get_path('include') + '/Python.h')"
}
find_missing
if [ -n "$missing" ]; then
  echo "== installing:$missing"
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  export DEBIAN_FRONTEND=noninteractive
  { $as_root apt-get -qq update && $as_root apt-get -qq -y --no-install-recommends install $missing; } \
    >"$out/logs/apt.log" 2>&1 || { tail -n 20 "$out/logs/apt.log"; echo "could not install:$missing"; }
fi

# ---- What is compiled twice comes from ccache, in this clone or in another ----
if command -v ccache >/dev/null; then
  cached=ccache
  CMAKE_CXX_COMPILER_LAUNCHER=ccache
  CCACHE_BASEDIR=$PWD
  CCACHE_NOHASHDIR=yes
  export CMAKE_CXX_COMPILER_LAUNCHER CCACHE_BASEDIR CCACHE_NOHASHDIR
else
  cached=
fi
export cached

# Threads that wait let others run: programs side by side on a few cores would else spin against each other.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

# ---- Running things ----
# quietly LOG COMMAND ...: output to the log, its last line shown now and then.
quietly() {
  log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null &
  child=$!
  waited=0
  while kill -0 "$child" 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    [ $((waited % 30)) -ne 0 ] || printf '   %4d s  %.100s\n' "$waited" "$(tail -n 1 "$log")"
  done
  wait "$child"
  result=$?
  child=
  return $result
}
count() { # passed, failed: adds to the totals and says so
  passed=$((passed + $1))
  failed=$((failed + $2))
  echo "   $stage: $1 ok, $2 wrong ($(($(date +%s) - began)) s)"
}
show() { sed 's/^/   | /' "$1" | tail -n "${2:-60}"; }

# A script that prints "passed: ..." or "failed: ..." for each of its checks.
script() {
  quietly "$out/logs/$stage.log" "$@"
  result=$?
  good=$(grep -c '^passed: ' "$out/logs/$stage.log")
  bad=$(grep -c '^failed: ' "$out/logs/$stage.log")
  if [ $result -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1
    show "$out/logs/$stage.log"
  fi
  [ "$bad" -eq 0 ] || sed -n '/^failed: /,/^passed: /{/^passed: /!p}' "$out/logs/$stage.log" | sed 's/^/   | /'
  grep '^note: ' "$out/logs/$stage.log" | sed 's/^/   /'
  count "$good" "$bad"
}

preset() { # preset, cmake arguments ...
  name=$1
  shift
  project "$out/$name" all . --preset "$name" -G Ninja -B "$out/$name" "$@"
}

# Configures, builds and runs a project. doctest cases are counted one by one; any other program, and one that ends
# badly, counts as one.
project() { # build folder, target, the tests' names (regular expression), cmake arguments ...
  folder=$1
  target=$2
  tests=$3
  shift 3
  log=$out/logs/$stage.log
  if ! quietly "$log" cmake "$@"; then
    show "$log"
    count 0 1
    return
  fi
  if ! quietly "$log" cmake --build "$folder" -j "$jobs" --target "$target" -- -k 0; then
    grep -E 'FAILED|error' "$log" | head -n 40 | sed 's/^/   | /'
    built=1
  else
    built=0
  fi
  # The limit ends a hang: no machine is so slow that it meets a test which works.
  quietly "$log" ctest --test-dir "$folder" -R "$tests" -V -j "$jobs" --timeout 14400 --no-tests=error
  tally=$(awk '
    /^[0-9]+: \[doctest\] test cases:/ { n = $1 + 0; gsub(/\|/, " "); good[n] += $6; bad[n] += $8; known[n] = 1 }
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
      n = $0; sub(/.*#/, "", n); n += 0
      state[n] = /  Passed/ ? "good" : /\*\*\*Skipped/ ? "skipped" : "bad"
    }
    END {
      for (n in state) {
        p += good[n]; f += bad[n]
        if (state[n] == "good" && !known[n]) p++
        if (state[n] == "bad" && !bad[n]) f++
      }
      print p + 0, f + 0
    }' "$log")
  bad=$((${tally#* } + built))
  if [ "$bad" -ne 0 ]; then
    grep -E -A 12 'ERROR:|FATAL|runtime error|\*\*\*(Failed|Exception|Timeout|Not Run)|No tests were found' "$log" |
      head -n 80 | sed 's/^/   | /'
  fi
  grep -E '^[0-9]+: (note: |skipped)' "$log" | sed 's/^[0-9]*: /   /'
  count "${tally% *}" "$bad"
}

stage_floors() {
  script sh -c 'python3 tests/scripts/include_floors.py; first=$?; python3 tests/scripts/include_floors.py --self-test && python3 tests/scripts/plant_faults.py --check && python3 tests/scripts/rooms.py && exit $first'
}
stage_units() { preset release -DSPHEREMIX_EXAMPLES=OFF -DCMAKE_CXX_COMPILER=g++ "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG" -DSPHEREMIX_WERROR=ON -DSPHEREMIX_TEST_FLAGS=-O1; }
stage_sanitized() { preset dev "-DSPHEREMIX_SKIP_TESTS=accuracy;allocation;compiled;contract;distributed;gpu;losses;memory;metrics;mixup;sphere"; }
stage_sanitized_more() { preset dev; }
stage_sanitized_gpu() { preset dev "-DSPHEREMIX_SKIP_TESTS="; }
stage_headers() { script sh tests/scripts/headers_alone.sh; }
stage_two_units() { script sh tests/scripts/two_units.sh "$out/two_units"; }
stage_flags() { script sh tests/scripts/flags.sh "$out/flags"; }
stage_budget() {
  script sh -c "python3 tests/scripts/compile_time.py; first=\$?; sh tests/scripts/compiled.sh '$out/compiled' && exit \$first"
  sed -n 's/^passed: /   /p' "$out/logs/$stage.log"
}
stage_consumers() { script sh -c "sh tests/scripts/consumers.sh '$out/consumers'; first=\$?; python3 tests/scripts/release_test.py && exit \$first"; }
stage_readme() { script python3 tests/scripts/readme.py "$out/readme" && fresh_tree=yes; }
stage_examples() { # goes on where the README's commands left their copy of the tree: what they built is not built again
  tree=$out/readme/tree
  [ "$fresh_tree" = yes ] || python3 tests/scripts/readme.py --copy "$out/readme" || return
  example_build=$tree/build/demo/examples
  generator=
  [ -e "$tree/build/demo/CMakeCache.txt" ] || generator="-G Ninja"
  CXXFLAGS='-Werror -Wno-error=restrict' project "$tree/build/demo" examples '^(example|analyze)_' -S "$tree" -B "$tree/build/demo" $generator \
    -DSPHEREMIX_EXAMPLES=ON -DSPHEREMIX_TESTS=ON -DSPHEREMIX_CUDA=OFF
}
stage_docs() { # by the programs that stage examples built, where it ran
  script env SPHEREMIX_EXAMPLE_BUILD="$example_build" sh tests/scripts/docs.sh "$out/docs"
}
stage_compile_fail() { script sh tests/scripts/compile_fail.sh; }
stage_fuzz() { script sh tests/scripts/fuzz.sh "$out/fuzz"; }
stage_platforms() { script sh tests/scripts/platforms.sh "$out/platforms"; }
stage_platforms_more() { script sh tests/scripts/platforms.sh "$out/platforms" more; }
stage_distributed() { script sh tests/distributed.sh "$out/distributed"; }
stage_distributed_more() { script sh tests/distributed.sh "$out/distributed_more" mpich; }
stage_recipes() { script sh tests/scripts/recipes.sh "$out/recipes"; }
stage_python() { script sh tests/scripts/python.sh "$out/python"; }
stage_peers() { script sh tests/scripts/python.sh "$out/peers" peers; }
stage_libtorch() { script sh tests/scripts/libtorch.sh "$out/libtorch"; }
stage_cuda() {
  if command -v nvcc >/dev/null; then
    export SPHEREMIX_GPU_PROGRAMS="$out/gpu-programs" # a few programs of the many, and the run that a machine without a GPU can do
    script sh -c 'python3 tests/gpu/run_test.py
      SPHEREMIX_TORCH_FLAGS=--Ofast-compile=max sh tests/gpu_run.sh build pairwise_stored_tile gemm_rates torch_1 | sed "s/^built: /passed: built /"
      if OUT="$1/gpu-run" SPHEREMIX_GPU_SECONDS=60 sh tests/gpu_run.sh run; then echo "passed: gpu_run.sh run"; else echo "failed: gpu_run.sh run"; fi
      if said=$(python3 tests/gpu/torch_harness.py "$SPHEREMIX_GPU_PROGRAMS/torch_1"); then echo "passed: torch_harness.py starts; $(echo "$said" | tail -n 1)"
      else echo "failed: torch_harness.py: $said"; fi
      sh tests/gpu/compile.sh' cuda "$out"
  else
    script python3 tests/gpu/run_test.py
    echo "   no nvcc here: device code was not compiled"
  fi
}
stage_machine_code() {
  if command -v nvcc >/dev/null; then
    script python3 tests/gpu/machine_code.py
  else
    echo "   skipped: no nvcc here: machine code was not counted"
  fi
}
stage_faults() {
  script sh -c "{ python3 tests/scripts/plant_faults.py -j $jobs; python3 tests/gpu/plant_faults.py; } |
    sed 's/^killed: /passed: killed /; s/^SURVIVED: /failed: survived /; s/^NOT FOUND: \|^DOES NOT BUILD/failed: &/'"
}

[ $# -gt 0 ] || set -- $default_stages
[ "$*" != more ] || set -- $more_stages
for stage; do
  case $stage in
    floors | units | sanitized | headers | two_units | flags | budget | consumers | readme | examples | docs | compile_fail | fuzz | platforms | distributed | \
      python | peers | libtorch | cuda | machine_code | platforms_more | distributed_more | recipes | sanitized_more | sanitized_gpu | faults) ;;
    *)
      echo "unknown stage $stage: see the head of tests/run.sh"
      exit 2
      ;;
  esac
  began=$(date +%s)
  if [ $((began - started)) -gt "${SPHEREMIX_TEST_SECONDS:-999999}" ]; then
    echo "== $stage: skipped, not passed: the run's $SPHEREMIX_TEST_SECONDS s are over (sh tests/run.sh $stage runs it)"
    continue
  fi
  echo "== $stage"
  "stage_$stage"
done
echo "== $(($(date +%s) - started)) s, logs in $out/logs"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
