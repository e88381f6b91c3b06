#!/bin/sh
# The recipes of packaging/, each as far as its tool is to be had. Usage: recipes.sh BUILD_FOLDER
# Run: Conan, Meson, vcpkg's port by stand-ins for vcpkg's functions. Parsed: conda, ROS, Spack, Bazel. packaging/README.md has the last result.
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
root=$PWD
rm -rf "$1"
mkdir -p "$1"
out=$(cd "$1" && pwd)
tool() { # module, arguments ...: one of PyPI's packages installed below
  env PYTHONPATH="$out/python" python3 -m "$@"
}
python3 -m pip install -q --target "$out/python" conan meson catkin_pkg pyyaml >"$out/pip.log" 2>&1 ||
  echo "note: skipped: what needs conan, meson, catkin_pkg or pyyaml and does not find it (not installed from PyPI)"
version=$(sed -n 's/^#define SPHEREMIX_VERSION "\(.*\)"$/\1/p' include/spheremix/core/version.hpp)

# ---- Conan: Eigen is the system's, so that no server is asked ----
if tool conans.conan --version >/dev/null 2>&1; then
  export CONAN_HOME="$out/conan"
  conan() { tool conans.conan "$@"; }
  check "conan: finds this machine's compiler" conan profile detect
  profile=$CONAN_HOME/profiles/default
  sed -i 's/^compiler.cppstd=.*/compiler.cppstd=20/' "$profile"
  printf '[platform_requires]\neigen/3.4.0\n' >>"$profile"
  check "conan create: the package is made, test_package builds and runs" conan create packaging/conan -nr \
    -c tools.cmake.cmaketoolchain:user_presets= -c tools.cmake.cmake_layout:test_folder="$out/conan_test"
  check "conan create: the program's own words" sh -c "echo \"\$1\" | grep 'spheremix $version: clip loss .* right'" sh "$output"
  ! conan create packaging/conan -nr -tf= -s compiler.cppstd=17 >"$out/cppstd.log" 2>&1
  check "conan: C++17 is refused" grep 'cppstd (17) is lower than the required' "$out/cppstd.log"
else
  echo "note: skipped: conan"
fi

# ---- Meson: the wrap, from an archive as the release script makes it ----
if tool mesonbuild.mesonmain --version >/dev/null 2>&1; then
  cp -r packaging/meson "$out/meson"
  cp tests/consumers/main.cpp "$out/meson/main.cpp"
  mkdir "$out/spheremix-$version"
  cp -r include LICENSE "$out/spheremix-$version/"
  tar -C "$out" -czf "$out/meson/subprojects/packagefiles/spheremix-$version.tar.gz" "spheremix-$version"
  check "meson: configures, spheremix by its wrap" tool mesonbuild.mesonmain setup "$out/meson_build" "$out/meson"
  check "meson: the wrap was used" test -f "$out/meson/subprojects/spheremix-$version/meson.build"
  check "meson: builds" tool mesonbuild.mesonmain compile -C "$out/meson_build"
  check "meson: the program runs" tool mesonbuild.mesonmain test -C "$out/meson_build"
else
  echo "note: skipped: meson"
fi

# ---- vcpkg: the portfile with stand-ins that configure, install and move as vcpkg does ----
check "vcpkg: the manifests are JSON" python3 -c "import json, sys; [json.load(open(name)) for name in sys.argv[1:]]" \
  packaging/vcpkg/ports/spheremix/vcpkg.json packaging/vcpkg/test/vcpkg.json packaging/vcpkg/test/vcpkg-configuration.json
cat >"$out/vcpkg.cmake" <<'EOF'
macro(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endmacro()
function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  run(${CMAKE_COMMAND} -G Ninja -S ${arg_SOURCE_PATH} -B ${work}/build -DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR} ${arg_OPTIONS})
endfunction()
function(vcpkg_cmake_install)
  run(${CMAKE_COMMAND} --install ${work}/build)
endfunction()
function(vcpkg_cmake_config_fixup)  # CONFIG_PATH goes to share/<port>, the way to the prefix is one folder shorter
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH" "")
  file(GLOB files ${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*)
  file(COPY ${files} DESTINATION ${CURRENT_PACKAGES_DIR}/share/spheremix)
  file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/share/cmake)
  set(config ${CURRENT_PACKAGES_DIR}/share/spheremix/spheremixConfig.cmake)
  file(READ ${config} text)
  string(REPLACE "\${CMAKE_CURRENT_LIST_DIR}/../../../" "\${CMAKE_CURRENT_LIST_DIR}/../../" text "${text}")
  file(WRITE ${config} "${text}")
endfunction()
function(vcpkg_fixup_pkgconfig)
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY ${arg_FILE_LIST} DESTINATION ${CURRENT_PACKAGES_DIR}/share/spheremix)
endfunction()
include(${CURRENT_PORT_DIR}/portfile.cmake)
EOF
check "vcpkg: the portfile runs" cmake -D work="$out/vcpkg" -D CURRENT_PACKAGES_DIR="$out/vcpkg/installed" \
  -D CURRENT_PORT_DIR="$root/packaging/vcpkg/ports/spheremix" -P "$out/vcpkg.cmake"
check "vcpkg: the test project configures" cmake -G Ninja -S packaging/vcpkg/test -B "$out/vcpkg/test" -DCMAKE_PREFIX_PATH="$out/vcpkg/installed"
check "vcpkg: it builds" cmake --build "$out/vcpkg/test"
check "vcpkg: it runs" "$out/vcpkg/test/program"

# ---- Read by a parser only ----
if tool yaml >/dev/null 2>&1 || env PYTHONPATH="$out/python" python3 -c "import yaml" 2>/dev/null; then
  check "conda: the recipe is YAML with what a recipe needs" env PYTHONPATH="$out/python" python3 -c "import yaml
recipe = yaml.safe_load(open('packaging/conda/recipe.yaml'))
assert {'package', 'source', 'build', 'requirements', 'tests', 'about'} <= set(recipe), recipe
assert recipe['package'] == {'name': 'spheremix', 'version': '$version'}, recipe['package']"
fi
if env PYTHONPATH="$out/python" python3 -c "import catkin_pkg" 2>/dev/null; then
  check "ROS: catkin_pkg accepts package.xml" env PYTHONPATH="$out/python" python3 -c "from catkin_pkg.package import parse_package
assert parse_package('packaging/ros/package.xml').version == '$version'"
fi
for file in packaging/spack/packages/spheremix/package.py packaging/bazel/MODULE.bazel packaging/bazel/BUILD.bazel; do
  check "$file: its syntax" python3 -c "import ast, sys; ast.parse(open(sys.argv[1]).read())" "$file"
done
exit $status
