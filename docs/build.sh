#!/bin/sh
# Builds the site: build/site/index.html, to be read in a browser, without a network.
#
#   sh docs/build.sh
#
# Needs Python 3 with venv. Sphinx and its theme come from PyPI into build/docs-venv, once. Where build/demo (or
# $SPHEREMIX_EXAMPLE_BUILD) has the analyst's tool, its report of the bundled data is a page of the site: the README says
# how the tool is built.
set -u
cd "$(dirname "$0")/.." || exit 1
tools=build/docs-venv
stage=build/docs
analyze=${SPHEREMIX_EXAMPLE_BUILD:-build/demo/examples}/spheremix-analyze
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
"$tools/bin/python" docs/site/stage.py "$stage" "$([ ! -x "$analyze" ] || echo report.html)" >"$log" 2>&1 || fail "a page or a header was not understood"

echo "building build/site"
rm -rf build/site
"$tools/bin/sphinx-build" --quiet --fail-on-warning --keep-going --jobs auto --conf-dir docs/site --doctree-dir build/docs-cache --builder html \
  "$stage" build/site >"$log" 2>&1 || fail "Sphinx found faults"
if [ -x "$analyze" ]; then
  echo "running spheremix-analyze for its page"
  data=examples/data
  "$analyze" --image "$data/image_feat_256_f16.npy" --text "$data/text_feat_256_f16.npy" --names "$data/items.tsv:name_en" \
    --labels "$data/items.tsv:group" --pictures "$data/atlas_48px_55x34.png:48x48" --report build/site/report.html >"$log" 2>&1 ||
    fail "spheremix-analyze failed"
else
  echo "left out: the live report, because there is no $analyze"
fi
echo "open build/site/index.html"
