#!/bin/sh
# Builds the site: build/site/index.html, to be read in a browser, without a network.
#
#   sh docs/build.sh
#
# Needs Python 3 with venv. Sphinx and its theme come from PyPI into build/docs-venv, once; where build/demo has the analyst's
# tool, its reports of the bundled data become pages of the site.
set -u
cd "$(dirname "$0")/.." || exit 1
tools=build/docs-venv
stage=build/docs
log=build/docs.log
mkdir -p build
fail() {
  [ ! -s "$log" ] || tail -n 20 "$log" >&2
  echo "docs/build.sh: $1 (whole log: $log)" >&2
  exit 1
}

: >"$log"
if ! cmp -s docs/site/requirements.txt "$tools/installed.txt"; then
  echo "installing Sphinx in $tools"
  python3 -m venv "$tools" >"$log" 2>&1 || fail "python3 -m venv failed: on Debian, apt install python3-venv"
  "$tools/bin/pip" install --quiet --disable-pip-version-check -r docs/site/requirements.txt >"$log" 2>&1 || fail "PyPI could not be reached or refused"
  cp docs/site/requirements.txt "$tools/installed.txt"
fi

echo "collecting pages in $stage"
rm -rf "$stage"
"$tools/bin/python" docs/site/stage.py "$stage" >"$log" 2>&1 || fail "a page or a header was not understood"

echo "building build/site"
rm -rf build/site
"$tools/bin/sphinx-build" --quiet --fail-on-warning --keep-going --jobs auto --conf-dir docs/site --doctree-dir build/docs-cache --builder html \
  "$stage" build/site >"$log" 2>&1 || fail "Sphinx found faults"
echo "open build/site/index.html"
