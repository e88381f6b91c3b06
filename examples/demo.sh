#!/bin/sh
# Installs what is missing, builds the demo and runs it: two heads fine-tuned on 1,870 emoji pictures and their
# names, with and without mixing on the sphere. Ends with where results.json and report.html are.
#
#   sh examples/demo.sh [options of the demo, --help among them]
#
# Needs a Debian with apt, or g++, cmake, make or ninja, Eigen, CLI11 and nlohmann-json already there.
# Builds in build/demo (or $SPHEREMIX_DEMO_BUILD), away from every other build; results go to out/.
set -eu
cd "$(dirname "$0")/.."
self=demo.sh
build=${SPHEREMIX_DEMO_BUILD:-build/demo}
targets=spheremix-demo
. examples/build.sh

exec "$build/examples/spheremix-demo" "$@"
