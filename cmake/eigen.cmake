# Eigen3::Eigen: the parent project's, else an installed one, else the headers of the 3.4.0 release, downloaded.
# Only its headers are used, so Eigen's own CMake project (tests, BLAS, install rules) is never configured.
option(SPHEREMIX_FETCH_EIGEN "Download Eigen's headers where no Eigen is installed" ON)
set(SPHEREMIX_EIGEN_URL https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz CACHE STRING
    "Where SPHEREMIX_FETCH_EIGEN takes eigen-3.4.0.tar.gz from")
mark_as_advanced(SPHEREMIX_EIGEN_URL)
include(${CMAKE_CURRENT_LIST_DIR}/spheremix-eigen.cmake)
if(TARGET Eigen3::Eigen)
  return()
endif()
if(NOT SPHEREMIX_FETCH_EIGEN)
  message(FATAL_ERROR "${spheremix_no_eigen} SPHEREMIX_FETCH_EIGEN is OFF: it is not downloaded.")
endif()

# FetchContent unpacks. Left to download, it would try several times and then print pages where one sentence helps.
set(archive ${PROJECT_BINARY_DIR}/eigen-3.4.0.tar.gz)
set(archive_hash 8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72)
if(NOT FETCHCONTENT_SOURCE_DIR_EIGEN)
  set(hash)
  if(EXISTS ${archive})
    file(SHA256 ${archive} hash)
  endif()
  if(NOT hash STREQUAL archive_hash AND NOT FETCHCONTENT_FULLY_DISCONNECTED)
    message(STATUS "spheremix: no installed Eigen found, downloading 3.4.0")
    file(DOWNLOAD ${SPHEREMIX_EIGEN_URL} ${archive} STATUS result INACTIVITY_TIMEOUT 20 TIMEOUT 300)
    if(EXISTS ${archive})
      file(SHA256 ${archive} hash)
    endif()
    list(GET result 0 code)
    list(GET result 1 why)
    if(code EQUAL 0)
      set(why "SHA256 ${hash} instead of ${archive_hash}")
    endif()
  else()
    set(why "FETCHCONTENT_FULLY_DISCONNECTED is ON")
  endif()
  if(NOT hash STREQUAL archive_hash)
    file(REMOVE ${archive})
    message(FATAL_ERROR "${spheremix_no_eigen} Its download from ${SPHEREMIX_EIGEN_URL} failed: ${why}.")
  endif()
endif()
include(FetchContent)
FetchContent_Declare(eigen
  URL ${archive}
  URL_HASH SHA256=${archive_hash}
  DOWNLOAD_EXTRACT_TIMESTAMP TRUE
  SOURCE_SUBDIR headers-only)  # no such folder: fetched, not configured
FetchContent_MakeAvailable(eigen)
add_library(Eigen3::Eigen INTERFACE IMPORTED GLOBAL)
target_include_directories(Eigen3::Eigen INTERFACE ${eigen_SOURCE_DIR})
