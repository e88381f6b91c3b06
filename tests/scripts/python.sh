#!/bin/sh
# The Python package: built into a wheel in an environment of its own, installed and tested.
#
#   python.sh FOLDER          its tests; those of spheremix.torch where torch is found
#   python.sh FOLDER peers    with torch, open_clip, pytorch-metric-learning and lightly from PyPI as well, whose figures
#                             are compared with the recorded ones (about 1 GB)
#
# SPHEREMIX_PYTHON names the Python to use (python3 where it is not set). Without PyPI nothing is tested, and a note says so.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
python=${SPHEREMIX_PYTHON:-python3}
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
log=$out/log
venv=$out/venv
"$python" -m venv --clear "$venv" >"$log" 2>&1 || { echo "failed: $python -m venv"; cat "$log"; exit 1; }
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@" >"$log" 2>&1; }
if ! pip download --no-deps --dest "$out/probe" nanobind; then
  echo "note: skipped: PyPI cannot be reached, so the Python package was neither built nor tested"
  exit 0
fi
# What the package is built with: pyproject.toml's list, a word each.
requires=$(grep '^requires = ' examples/python/pyproject.toml | grep -o '"[^"]*"' | tr -d '"')
# shellcheck disable=SC2086  # words of a command
pip install $requires ninja numpy pytest mypy ||
  { echo "failed: pip install of what the tests need"; tail -n 20 "$log"; exit 1; }
if [ "${2:-}" = peers ]; then
  pip install torch open_clip_torch pytorch-metric-learning lightly || { echo "failed: pip install of the peers"; tail -n 20 "$log"; exit 1; }
fi

# PyPI's cmake is not asked for where one is installed; the build folder stays, so that a second run compiles what changed.
rm -rf "$out/wheel"
if ! PATH="$venv/bin:$PATH" pip wheel --no-deps --no-build-isolation -C build-dir="$out/build" --wheel-dir "$out/wheel" ./examples/python; then
  echo "failed: the package does not build"
  grep -E "error|Error" "$log" | head -n 20
  tail -n 20 "$log"
  exit 1
fi
wheel=$(ls "$out/wheel/"*.whl)
bytes=$(wc -c <"$wheel")
check "a wheel of $bytes bytes, at most 5 MiB" [ "$bytes" -le 5242880 ]
wanted=$("$venv/bin/python" -c 'import sys; v = sys.version_info; print("cp312-abi3" if v >= (3, 12) else "cp%d%d-cp%d%d" % (v[:2] * 2))')
check "$(basename "$wheel") is for $wanted" expr "$wheel" : ".*$wanted"
pip install --no-deps "$wheel" || { echo "failed: pip install of the wheel"; cat "$log"; exit 1; }

# pytest's last lines become ours: passed: and failed: one a test, what was skipped once a reason.
"$venv/bin/python" -m pytest -p no:cacheprovider --tb=short -rA -q tests/python >"$log" 2>&1
result=$?
sed -n 's/^PASSED /passed: /p' "$log"
grep '^SKIPPED ' "$log" | sed 's/^SKIPPED \[\([0-9]*\)\].*: \(.*\)/note: skipped \1: \2/' | sort | uniq -c | sed 's/^ *[0-9]* //'
sed -n 's/^\(FAILED\|ERROR\) /failed: /p' "$log"
if [ $result -ne 0 ]; then
  sed -n '/= \(FAILURES\|ERRORS\) =/,/= short test summary/p' "$log" | head -n 120
  grep -qE '^(FAILED|ERROR) ' "$log" || { echo "failed: pytest ended with $result"; tail -n 20 "$log"; }
fi
if [ "${2:-}" = peers ]; then "$venv/bin/python" tests/reference/peers.py check; fi
"$venv/bin/python" -c "import torch" 2>/dev/null || echo "note: skipped: torch is not installed: spheremix.torch was not run (sh tests/run.sh peers installs it)"
