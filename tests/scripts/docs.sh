#!/bin/sh
# The pages, the comments they are made of and the site: docs.sh BUILD_FOLDER. Prints "passed: ..." or "failed: ..." for
# each check. SPHEREMIX_EXAMPLE_BUILD may name a folder where the programs of examples/ are built already.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$1
mkdir -p "$out"
python3 tests/scripts/formulas.py
python3 docs/site/headers.py
python3 tests/scripts/docs_code.py "$out/code"

log=$out/build.log
if sh docs/build.sh >"$log" 2>&1; then
  echo "passed: docs/build.sh"
else
  echo "failed: docs/build.sh"
  sed 's/^/    /' "$log" | tail -n 20
  exit 1
fi

# Spelling: codespell knows common slips; words.txt has what it takes for one.
if build/docs-venv/bin/pip install --quiet --disable-pip-version-check codespell==2.4.3 >"$log" 2>&1; then
  if build/docs-venv/bin/codespell --ignore-words tests/scripts/words.txt README.md CONTRIBUTING.md CHANGELOG.md docs packaging/*.md \
    examples/*.cpp examples/*/README.md include >"$log"; then
    echo "passed: spelling"
  else
    echo "failed: spelling"
    sed 's/^/    /' "$log"
  fi
else
  echo "note: skipped: codespell could not be installed, so spelling was not checked"
fi

# Chromium, where apt has it.
if ! command -v chromedriver >/dev/null && command -v apt-get >/dev/null; then
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  { $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install chromium chromium-driver; } \
    >"$out/apt.log" 2>&1 </dev/null || true
fi
python3 tests/scripts/site_pages.py build/site
