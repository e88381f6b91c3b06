#!/bin/sh
# Installs what is missing, builds the four papers' programs and runs them one after another: tables on the screen,
# out/NAME.json each. docs/notes/papers.md shows what they print.
#
#   sh examples/papers.sh [options of the programs: --data DIR, --out DIR, --seeds N, --threads N]
#
# Needs a Debian with apt, or g++, cmake, make or ninja, Eigen, CLI11 and nlohmann-json already there.
# Builds in build/demo (or $SPHEREMIX_DEMO_BUILD) beside the demo, away from every other build.
set -eu
cd "$(dirname "$0")/.."
self=papers.sh
build=${SPHEREMIX_DEMO_BUILD:-build/demo}
papers="m2_mix decoupled sup_remix structures"
targets=
for paper in $papers; do targets="$targets spheremix-papers-$paper"; done
. examples/build.sh

for paper in $papers; do
  printf '\n== %s\n' "$paper"
  "$build/examples/spheremix-papers-$paper" "$@"
done
