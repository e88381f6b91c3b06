#!/bin/sh
# Sets up a Python environment, builds and installs the package into it and runs demo.py: a tour on 1,870 real pairs.
#
#   sh examples/python/demo.sh [arguments of demo.py]
#
# Needs a Debian with apt, or a Python 3.10 or newer with venv and its headers, g++ and cmake already there. Eigen is the
# installed one, or CMake downloads its headers from GitLab; the rest comes from PyPI, once. Builds in build/python (or
# $SPHEREMIX_PYTHON_BUILD); the plot goes to out/.
set -eu
cd "$(dirname "$0")/../.."
build=${SPHEREMIX_PYTHON_BUILD:-build/python}
mkdir -p "$build" && build=$(cd "$build" && pwd)
log=$build/setup.log

# ---- What is missing comes from Debian's packages ----
have() { command -v "$1" >/dev/null 2>&1; }
missing=
have g++ || missing="$missing g++"
have cmake || missing="$missing cmake"
have ninja || have make || missing="$missing make"
have python3 || missing="$missing python3"
python3 -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"
python3 -c "import os, sysconfig; os.stat(sysconfig.get_path('include') + '/Python.h')" 2>/dev/null || missing="$missing python3-dev"
[ -e /usr/include/eigen3/Eigen/Core ] || [ -e /usr/local/include/eigen3/Eigen/Core ] || missing="$missing libeigen3-dev"
if [ -n "$missing" ] && have apt-get; then
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || { echo "demo.sh: missing:$missing; run this once as root, or install them" >&2; exit 1; }
    as_root=sudo
  fi
  echo "installing:$missing"
  # shellcheck disable=SC2086  # one word a package
  if ! { $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive \
           apt-get -qq -y --no-install-recommends install $missing; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "demo.sh: could not install:$missing (whole log: $log)" >&2
    exit 1
  fi
elif [ -n "$missing" ]; then
  echo "not found, and no apt-get to install them with:$missing; trying without" >&2
fi

# ---- The environment, and the package where the repository is newer than it ----
quietly() {
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "demo.sh: could not $doing (whole log: $log)" >&2
    exit 1
  fi
}
python=$build/venv/bin/python
doing="set up a Python environment"
[ -x "$python" ] || quietly python3 -m venv "$build/venv"
pip="$python -m pip --disable-pip-version-check --quiet install"
if [ ! -e "$build/ready" ]; then
  echo "setting up $build/venv"
  doing="install what the package needs from PyPI"
  # What the package is built with: pyproject.toml's list, a word each.
  requires=$(grep '^requires = ' examples/python/pyproject.toml | grep -o '"[^"]*"' | tr -d '"')
  # shellcheck disable=SC2086  # words of a command
  quietly $pip $requires ninja numpy matplotlib
  touch "$build/ready"
fi
if [ ! -e "$build/installed" ] || [ -n "$(find include cmake examples/python -newer "$build/installed" -type f | head -n 1)" ]; then
  echo "building the package in $build (a minute or two)"
  doing="build the package"
  # shellcheck disable=SC2086
  PATH="$build/venv/bin:$PATH" quietly $pip --no-build-isolation --no-deps --force-reinstall -C build-dir="$build/package" ./examples/python
  touch "$build/installed"
fi

exec "$python" examples/python/demo.py "$@"
