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
if pkg-config --exists mpi-c; then
  check "package: component mpi is found" find_package_script "0.1 REQUIRED COMPONENTS mpi"
  check "pkg-config: spheremix-mpi leads to mpi.h" sh -c \
    "echo '#include <spheremix/mpi/communicator.hpp>' | g++ -std=c++20 -fsyntax-only \$(pkg-config --cflags spheremix-mpi) -x c++ -"
else
  check "package: component mpi is told to be missing" says "0.1 REQUIRED COMPONENTS mpi" "no MPI found"
fi
check "package: component compiled is found" find_package_script "0.1 REQUIRED COMPONENTS compiled"
if command -v nvcc >/dev/null; then
  check "package: component cuda is found" find_package_script "0.1 REQUIRED COMPONENTS cuda"
  consumer cuda -DCMAKE_PREFIX_PATH="$out/prefix" # without a GPU the program says "skipped"
  if find_package_script "0.1 REQUIRED COMPONENTS nccl" >"$out/nccl.log" 2>&1; then
    echo "passed: package: component nccl is found"
  else
    check "package: component nccl is told to be missing" says "0.1 REQUIRED COMPONENTS nccl" "with NCCL found"
  fi
  mkdir -p "$out/nccl_root/include" "$out/nccl_root/lib" # an empty NCCL stands for one of its own folder
  : >"$out/nccl_root/include/nccl.h" && : >"$out/nccl_root/lib/libnccl.so"
  check "package: NCCL_ROOT says where NCCL is" sh -c "printf '%s\n' 'cmake_minimum_required(VERSION 3.24)' \
    'project(root LANGUAGES CXX)' 'find_package(spheremix REQUIRED COMPONENTS nccl)' >'$out/nccl_root/CMakeLists.txt' &&
    cmake -G Ninja -S '$out/nccl_root' -B '$out/nccl_root/build' -DCMAKE_PREFIX_PATH='$out/prefix' -DNCCL_ROOT='$out/nccl_root' &&
    grep -q 'SPHEREMIX_NCCL_LIBRARY.*nccl_root/lib/libnccl.so' '$out/nccl_root/build/CMakeCache.txt' &&
    grep -q 'SPHEREMIX_NCCL_INCLUDE_DIR.*nccl_root/include' '$out/nccl_root/build/CMakeCache.txt'"
  check "pkg-config: spheremix-nccl links NCCL" sh -c "pkg-config --libs spheremix-nccl | grep -q -e -lnccl"
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

# ---- Folders, components, removal, .deb ----
headers_of() { # folder of spheremixConfig.cmake: the include folder that the package's target brings
  mkdir -p "$out/headers"
  rm -rf "$out/headers/build"
  printf '%s\n' 'cmake_minimum_required(VERSION 3.24)' 'project(headers LANGUAGES CXX)' "find_package(spheremix REQUIRED PATHS $1 NO_DEFAULT_PATH)" \
    'get_target_property(where spheremix::spheremix INTERFACE_INCLUDE_DIRECTORIES)' 'message(STATUS "headers=${where}=")' \
    >"$out/headers/CMakeLists.txt"
  cmake -G Ninja -S "$out/headers" -B "$out/headers/build" | sed -n 's/.*headers=\(.*\)=.*/\1/p'
}
folders() { # name, include folder, data folder, where the data folder ends up: both descriptions of the package lead to the headers
  rm -rf "$out/folders" "$out/moved" "$out/folders_build"
  check "$1: configures" cmake -G Ninja -S . -B "$out/folders_build" -DSPHEREMIX_TESTS=OFF -DCMAKE_INSTALL_INCLUDEDIR="$2" \
    -DCMAKE_INSTALL_DATADIR="$3" -DCMAKE_INSTALL_PREFIX="$out/folders"
  check "$1: installs" cmake --install "$out/folders_build"
  [ ! -d "$out/folders" ] || mv "$out/folders" "$out/moved"
  check "$1: the CMake package leads to the headers" test -f "$(headers_of "$4/cmake/spheremix")/spheremix/spheremix.hpp"
  check "$1: the .pc file leads to the headers" test -f \
    "$(PKG_CONFIG_PATH="$4/pkgconfig" pkg-config --cflags-only-I spheremix | sed 's/^-I\([^ ]*\) .*/\1/')/spheremix/spheremix.hpp"
}
folders "deep folders" deep/include/er lib/x/share "$out/moved/lib/x/share"
folders "absolute folders" "$out/absolute/dev/include" "$out/absolute/out/share" "$out/absolute/out/share"
folders "absolute headers" "$out/absolute/include" share "$out/moved/share"

component() { # component: how many files it installs
  rm -rf "$out/component"
  cmake --install "$out/package" --prefix "$out/component" --component "$1" >/dev/null && find "$out/component" -type f 2>/dev/null | wc -l
}
check "component spheremix_Development is everything" test "$(component spheremix_Development)" -eq "$(find "$out/prefix" -type f | wc -l)"
check "another component is nothing" test "$(component Runtime)" -eq 0

check "uninstall: installs" cmake --install "$out/package" --prefix "$out/spheremix (gone)"
check "uninstall: removes" cmake --build "$out/package" --target uninstall
check "uninstall: nothing is left" sh -c "! find '$out/spheremix (gone)' -type f -o -mindepth 1 -name '*spheremix*' | grep ."
check "uninstall: a second time is refused" sh -c "! cmake --build '$out/package' --target uninstall"

if command -v dpkg-deb >/dev/null; then
  check ".deb: is made" sh -c "cd '$out/package' && cpack -G DEB"
  deb=$(echo "$out"/package/libspheremix-dev_*_all.deb)
  check ".deb: holds the headers" sh -c "dpkg-deb -c '$deb' | grep -q ' ./usr/include/spheremix/spheremix.hpp'"
  check ".deb: needs Eigen" sh -c "dpkg-deb -f '$deb' Depends | grep -q 'libeigen3-dev (>= 3.4)'"
else
  echo "note: skipped: the .deb (no dpkg-deb here)"
fi

check "version range 0.1...<0.2" find_package_script "0.1...<0.2 REQUIRED"
check "version range 0.2...<0.3 is refused" says "0.2...<0.3 REQUIRED" "0.2"
check "version range 0.0.5...<0.1 is refused" says "0.0.5...<0.1 REQUIRED" "0.0.5"

# ---- Parents ----
parent() { # name, lines of its CMakeLists.txt after project(), cmake arguments ...
  name=$1
  mkdir -p "$out/parent"
  rm -rf "$out/parent/build"
  { printf 'cmake_minimum_required(VERSION 3.24)\nproject(parent LANGUAGES CXX)\n' && printf '%s\n' "$2"; } >"$out/parent/CMakeLists.txt"
  shift 2
  cmake -G Ninja -S "$out/parent" -B "$out/parent/build" "$@"
}
own_eigen="add_library(eigen INTERFACE)
target_include_directories(eigen INTERFACE $eigen)
add_library(Eigen3::Eigen ALIAS eigen)
add_subdirectory($root spheremix)
add_executable(program $root/tests/consumers/main.cpp)
target_link_libraries(program PRIVATE spheremix::openmp)"
check "a parent with its own Eigen and SPHEREMIX_INSTALL=ON: configures" parent own "$own_eigen" -DSPHEREMIX_INSTALL=ON
rm -rf "$out/own"
check "a parent with its own Eigen: installs" cmake --install "$out/parent/build" --prefix "$out/own"
check "a parent with its own Eigen: the package leads to the headers" test -f "$(headers_of "$out/own/share/cmake/spheremix")/spheremix/spheremix.hpp"
check "a parent with its own Eigen: program's commands name it" grep -q "$eigen" "$out/parent/build/build.ninja"
check "added twice, then fetched, then found" parent twice "add_subdirectory($root one)
add_subdirectory($root two)
include(FetchContent)
FetchContent_Declare(spheremix SOURCE_DIR $root)
FetchContent_MakeAvailable(spheremix)
find_package(spheremix 0.1 REQUIRED COMPONENTS openmp)
add_executable(program $root/tests/consumers/main.cpp)
target_link_libraries(program PRIVATE spheremix::openmp)" -DCMAKE_PREFIX_PATH="$out/prefix"
check "found, then added" parent found "find_package(spheremix 0.1 REQUIRED)
add_subdirectory($root spheremix)
add_executable(program $root/tests/consumers/main.cpp)
target_link_libraries(program PRIVATE spheremix::spheremix)" -DCMAKE_PREFIX_PATH="$out/prefix"

# ---- Eigen 5, both, none ----
alone= # this machine's own Eigen is not seen
for prefix in /usr /usr/local; do
  for folder in share/eigen3/cmake lib/cmake/eigen3 lib64/cmake/eigen3; do alone="$alone$prefix/$folder;"; done
done
alone="-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF -DCMAKE_IGNORE_PATH=$alone"
eigen5=$eigen # Eigen 5's headers come with the PyPI package eigency; without it, a package of that version leads to 3.4's
if python3 -m pip download -q --no-deps --only-binary :all: --python-version 311 --platform manylinux2014_x86_64 -d "$out/eigency" \
  eigency==5.0.1.1 >"$out/pip.log" 2>&1 && python3 -m zipfile -e "$out"/eigency/*.whl "$out/eigency"; then
  eigen5=$out/eigency/eigency/eigen
  check "Eigen 5: the headers are 5" grep -q 'define EIGEN_MAJOR_VERSION 5' -r "$eigen5/Eigen/Version" "$eigen5/Eigen/src/Core/util/Macros.h"
else
  echo "note: skipped: Eigen 5's own headers (no eigency from PyPI); a package of version 5 leads to 3.4's"
fi
eigen_package() { # folder, version, include folder
  mkdir -p "$1"
  printf 'include(CMakePackageConfigHelpers)\nwrite_basic_package_version_file(%s/Eigen3ConfigVersion.cmake VERSION %s COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)\n' \
    "$1" "$2" >"$1/version.cmake"
  cmake -P "$1/version.cmake"
  printf 'if(NOT TARGET Eigen3::Eigen)\n  add_library(Eigen3::Eigen INTERFACE IMPORTED)\n  target_include_directories(Eigen3::Eigen INTERFACE %s)\nendif()\n' "$3" \
    >"$1/Eigen3Config.cmake"
}
mkdir -p "$out/eigens/34"
eigen_package "$out/eigens/5/share/eigen3/cmake" 5.0.1 "$eigen5"
ln -sfn "$eigen" "$out/eigens/34/include"
eigen_package "$out/eigens/34/share/eigen3/cmake" 3.4.0 "$out/eigens/34/include"
eigen_package "$out/eigens/33/share/eigen3/cmake" 3.3.9 "$eigen"
eigen_package "$out/eigens/6/share/eigen3/cmake" 6.0.0 "$eigen"
check "Eigen 5: the package is found with it" cmake -G Ninja -S tests/consumers/installed -B "$out/eigen5" $alone \
  -DCMAKE_PREFIX_PATH="$out/prefix;$out/eigens/5"
check "Eigen 5: a program builds" cmake --build "$out/eigen5" --target serial
check "Eigen 5: it runs" "$out/eigen5/serial"
check "Eigen 5: and it was Eigen 5" grep -q "$eigen5" "$out/eigen5/build.ninja"
only_adds="add_subdirectory($root spheremix)
get_target_property(where Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
message(STATUS \"eigen=\${where}\")"
finds() { # include folder expected, prefixes, more arguments: the source tree takes that Eigen
  wanted=$1
  prefixes=$2
  shift 2
  parent finds "$only_adds" $alone -DCMAKE_PREFIX_PATH="$prefixes" "$@" >"$out/finds.log" 2>&1 && grep "eigen=$wanted" "$out/finds.log" ||
    { cat "$out/finds.log" && return 1; }
}
check "Eigen 5: the source tree takes it" finds "$eigen5" "$out/eigens/5"
check "Eigen 5 by Eigen3_DIR" finds "$eigen5" "" -DEigen3_DIR="$out/eigens/5/share/eigen3/cmake"
check "Eigen 3.4 and 5: 3.4 comes first" finds "$out/eigens/34/include" "$out/eigens/5;$out/eigens/34"
refuses() { # words of the sentence, cmake arguments ...: the source tree's refusal, without a search of minutes
  words=$1
  shift
  ! parent refuses "add_subdirectory($root spheremix)" $alone "$@" >"$out/refuses.log" 2>&1 || return 1
  tr '\n' ' ' <"$out/refuses.log" | tr -s ' ' | tee /dev/stderr | grep -q "Debian, Ubuntu: libeigen3-dev.*$words"
}
check "no Eigen, no download: one sentence" refuses "SPHEREMIX_FETCH_EIGEN is OFF" -DSPHEREMIX_FETCH_EIGEN=OFF
check "Eigen 3.3 and 6 are none" refuses "SPHEREMIX_FETCH_EIGEN is OFF" -DSPHEREMIX_FETCH_EIGEN=OFF -DCMAKE_PREFIX_PATH="$out/eigens/33;$out/eigens/6"
check "no Eigen, no network: one sentence" refuses "download from http://127.0.0.1:9/eigen.tar.gz failed" \
  -DSPHEREMIX_EIGEN_URL=http://127.0.0.1:9/eigen.tar.gz
check "no Eigen, disconnected: one sentence" refuses "FETCHCONTENT_FULLY_DISCONNECTED is ON" -DFETCHCONTENT_FULLY_DISCONNECTED=ON
echo "not Eigen" >"$out/wrong.tar.gz"
check "no Eigen, another file downloaded: one sentence" refuses "SHA256 [0-9a-f]* instead of 8586084f" -DSPHEREMIX_EIGEN_URL="file://$out/wrong.tar.gz"
says_alone() {
  find_package_script "0.1 REQUIRED" >/dev/null
  ! cmake -G Ninja -S "$out/find" -B "$out/find/build" --fresh $alone -DCMAKE_PREFIX_PATH="$out/prefix" >"$out/find.log" 2>&1 || return 1
  tr '\n' ' ' <"$out/find.log" | tr -s ' ' | grep -q "spheremix needs Eigen 3.4 or 5, and none was found"
}
check "the package without any Eigen: one sentence" says_alone
exit $status
