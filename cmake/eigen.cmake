# Eigen3::Eigen, version 3.4 or later: the parent project's, else an installed one, else the headers of the
# 3.4.0 release. Only its headers are used, so Eigen's own CMake project (tests, BLAS, install rules) is
# never configured.
if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 3.4 CONFIG QUIET GLOBAL)
endif()
if(NOT TARGET Eigen3::Eigen)
  message(STATUS "spheremix: no installed Eigen 3.4 found, fetching it")
  include(FetchContent)
  FetchContent_Declare(eigen
    URL https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
    URL_HASH SHA256=8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72
    DOWNLOAD_EXTRACT_TIMESTAMP TRUE
    SOURCE_SUBDIR headers-only)  # no such folder: fetched, not configured
  FetchContent_MakeAvailable(eigen)
  add_library(Eigen3::Eigen INTERFACE IMPORTED GLOBAL)
  target_include_directories(Eigen3::Eigen INTERFACE ${eigen_SOURCE_DIR})
endif()
