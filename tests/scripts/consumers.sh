#!/bin/sh
# Programs that use spheremix from outside: installed package, add_subdirectory, FetchContent, pkg-config; and
# what the package must refuse. Usage: consumers.sh BUILD_FOLDER
cd "$(dirname "$0")/../.." || exit 1
. tests/scripts/check.sh
root=$PWD
mkdir -p "$1"
out=$(cd "$1" && pwd)
rm -rf "$out"/*

consumer() { # folder, cmake arguments ...
  folder=$1
  shift
  check "$folder: configures" cmake -G Ninja -S "tests/consumers/${folder%% *}" -B "$out/$folder" "$@"
  check "$folder: builds" cmake --build "$out/$folder"
  check "$folder: runs" ctest --test-dir "$out/$folder" --output-on-failure --no-tests=error
}

# The package is installed to one place and moved: nothing in it may name where it was.
check "package: configures without tests" cmake -G Ninja -S . -B "$out/package" -DSPHEREMIX_TESTS=OFF
check "package: installs" cmake --install "$out/package" --prefix "$out/first_place"
mv "$out/first_place" "$out/prefix"
check "package: names no folder of this machine" sh -c "! grep -rIl -e '$root' -e first_place '$out/prefix'"
for header in $(cd include && find spheremix -type f); do
  [ -f "$out/prefix/include/$header" ] || check "package: $header is installed" false
done

consumer installed -DCMAKE_PREFIX_PATH="$out/prefix"
consumer subdirectory -DSPHEREMIX_SOURCE="$root"
consumer fetch_content -DSPHEREMIX_SOURCE="$root"
# No Eigen installed: the fetched one's place is taken by a folder, so that no network is needed.
check "without an installed Eigen: configures" cmake -G Ninja -S tests/consumers/fetch_content -B "$out/no_eigen" \
  -DSPHEREMIX_SOURCE="$root" -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON -DFETCHCONTENT_SOURCE_DIR_EIGEN="$eigen"
check "without an installed Eigen: builds" cmake --build "$out/no_eigen" --target serial

export PKG_CONFIG_PATH="$out/prefix/share/pkgconfig"
check "pkg-config: builds" sh -c \
  "g++ -std=c++20 tests/consumers/main.cpp \$(pkg-config --cflags spheremix) -o '$out/pkg_config_program'"
check "pkg-config: runs" "$out/pkg_config_program"
check "pkg-config: brings no flag but include paths" sh -c \
  "! pkg-config --cflags spheremix | tr ' ' '\n' | grep -v -e '^-I' -e '^\$'"

find_package_script() { # arguments of find_package: run them in an empty project
  mkdir -p "$out/find"
  rm -rf "$out/find/build"
  printf 'cmake_minimum_required(VERSION 3.24)\nproject(find LANGUAGES CXX)\nfind_package(spheremix %s)\n' "$1" \
    >"$out/find/CMakeLists.txt"
  cmake -G Ninja -S "$out/find" -B "$out/find/build" -DCMAKE_PREFIX_PATH="$out/prefix" 2>&1
}
says() { # arguments of find_package, words expected in a refusal
  ! find_package_script "$1" >"$out/find.log" || return 1
  tr '\n' ' ' <"$out/find.log" | tr -s ' ' | grep -q "$2"
}
check "package: another minor version is refused" says "0.2 REQUIRED" "requested version \"0.2\""
check "package: an unknown component is refused" says "REQUIRED COMPONENTS sycl" "sycl"
check "package: component openmp is found" find_package_script "0.1 REQUIRED COMPONENTS openmp"
if command -v nvcc >/dev/null; then
  check "package: component cuda is found" find_package_script "0.1 REQUIRED COMPONENTS cuda"
  consumer cuda -DCMAKE_PREFIX_PATH="$out/prefix" # without a GPU the program says "skipped"
fi

# Without a toolkit there is no device target, and nothing else of the library changes.
target_of() { # cmake arguments: what the CPU target brings, and whether spheremix::cuda is there
  mkdir -p "$out/target"
  rm -rf "$out/target/build"
  printf '%s\n' 'cmake_minimum_required(VERSION 3.24)' 'project(target LANGUAGES CXX)' \
    "add_subdirectory($root spheremix)" 'foreach(p LINK_LIBRARIES INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS)' \
    '  get_target_property(v spheremix::spheremix INTERFACE_${p})' '  message(STATUS "brings ${p} ${v}")' 'endforeach()' \
    'if(TARGET spheremix::cuda)' '  message(STATUS "device yes")' 'else()' '  message(STATUS "device no")' 'endif()' \
    >"$out/target/CMakeLists.txt"
  cmake -G Ninja -S "$out/target" -B "$out/target/build" "$@"
}
target_of -DSPHEREMIX_CUDA=AUTO -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON >"$out/without.log" 2>&1
check "without a toolkit: no device target" grep -q 'device no' "$out/without.log"
check "without a toolkit: asking for it is refused" sh -c "! cmake -G Ninja -S '$root' -B '$out/target/on' \
  -DSPHEREMIX_TESTS=OFF -DSPHEREMIX_CUDA=ON -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON"
if command -v nvcc >/dev/null; then
  target_of -DSPHEREMIX_CUDA=ON >"$out/with.log" 2>&1
  check "with a toolkit: a device target" grep -q 'device yes' "$out/with.log"
  check "with a toolkit: the CPU library is the same" sh -c \
    "grep brings '$out/with.log' >'$out/with.txt'; grep brings '$out/without.log' | cmp - '$out/with.txt'"
fi
exit $status
