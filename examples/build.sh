# shellcheck shell=sh disable=SC2154
# Sourced from the repository's folder by the scripts of this folder: installs what is missing and builds $targets in
# $build, away from every other build. Says so in two lines; what the tools say goes to logs. Errors name $self.
mkdir -p "$build"

# ---- What is missing comes from Debian's packages ----
have() { command -v "$1" >/dev/null 2>&1; }
compiler=
for c in "${CXX:-}" g++ clang++ c++; do
  if [ -z "$compiler" ] && [ -n "$c" ] && have "$c"; then compiler=$c; fi
done
have_header() {
  if [ -z "$compiler" ]; then
    [ -e "/usr/include/$1" ] || [ -e "/usr/include/eigen3/$1" ]
  else
    echo "#include <$1>" | "$compiler" -E -x c++ -I/usr/include/eigen3 -I/usr/local/include/eigen3 - >/dev/null 2>&1
  fi
}
missing=
[ -n "$compiler" ] || missing="$missing g++"
have cmake || missing="$missing cmake"
have ninja || have make || missing="$missing make"
have_header Eigen/Core || missing="$missing libeigen3-dev"
have_header CLI/CLI.hpp || missing="$missing libcli11-dev"
have_header nlohmann/json.hpp || missing="$missing nlohmann-json3-dev"
have_header zlib.h || missing="$missing zlib1g-dev"
if [ -n "$missing" ] && ! have apt-get; then
  echo "not found, and no apt-get to install them with:$missing; trying without" >&2
elif [ -n "$missing" ]; then
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || { echo "$self: missing:$missing; run this once as root, or install them" >&2; exit 1; }
    as_root=sudo
  fi
  echo "installing:$missing"
  log=$build/apt.log
  # shellcheck disable=SC2086  # one word a package
  if ! { $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive \
           apt-get -qq -y --no-install-recommends install $missing; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "$self: could not install:$missing (whole log: $log)" >&2
    exit 1
  fi
fi

# ---- Build ----
generator=
if have ninja && [ ! -e "$build/CMakeCache.txt" ]; then generator="-G Ninja"; fi
echo "building in $build"
# shellcheck disable=SC2086  # two words or none, and a word a target
if ! { cmake -S . -B "$build" $generator -DCMAKE_BUILD_TYPE=Release -DSPHEREMIX_EXAMPLES=ON -DSPHEREMIX_TESTS=OFF \
         -DSPHEREMIX_BENCHMARKS=OFF -DSPHEREMIX_CUDA=OFF && cmake --build "$build" --target $targets; } \
  >"$build/build.log" 2>&1 </dev/null; then
  tail -n 30 "$build/build.log" >&2
  echo "$self: could not build (whole log: $build/build.log)" >&2
  exit 1
fi
