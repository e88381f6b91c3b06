#!/bin/sh
# The pages, the comments they are made of and the site: docs.sh BUILD_FOLDER. Prints "passed: ..." or "failed: ..." for
# each check. SPHEREMIX_EXAMPLE_BUILD may name a folder where the programs of examples/ are built already.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
out=$1
mkdir -p "$out"
python3 tests/scripts/formulas.py
python3 docs/site/headers.py
python3 docs/site/options.py --check
python3 tests/scripts/analyze_figures.py
python3 tests/scripts/docs_code.py "$out/code"
check "docs/build.sh" sh docs/build.sh || exit 1

# Spelling: codespell knows common slips; words.txt has what it takes for one.
if build/docs-venv/bin/pip install --quiet --disable-pip-version-check codespell==2.4.3 >"$out/pip.log" 2>&1; then
  check "spelling" build/docs-venv/bin/codespell --ignore-words tests/scripts/words.txt README.md CONTRIBUTING.md CHANGELOG.md docs packaging/*.md \
    examples/*.cpp examples/*.hpp examples/*.cu examples/*.md examples/*/README.md include
else
  echo "note: skipped: codespell could not be installed, so spelling was not checked"
fi

command -v chromedriver >/dev/null || install_packages "$out" chromium chromium-driver
python3 tests/scripts/site_pages.py build/site
