# spheremix::openmp: the library with its loops over OpenMP threads. Read by the source tree and, as component
# `openmp`, by the installed package. Without OpenMP the library runs the same loops one after another: in the
# source tree the target then stays and is serial; in the package the component is reported as not found.
if(NOT TARGET spheremix::openmp)
  find_package(OpenMP QUIET COMPONENTS CXX GLOBAL)
  add_library(spheremix::openmp INTERFACE IMPORTED GLOBAL)
  target_link_libraries(spheremix::openmp INTERFACE spheremix::spheremix)
  if(TARGET OpenMP::OpenMP_CXX)
    target_link_libraries(spheremix::openmp INTERFACE OpenMP::OpenMP_CXX)
  else()
    message(STATUS "spheremix: OpenMP not found, spheremix::openmp is serial")
  endif()
endif()
if(TARGET OpenMP::OpenMP_CXX)
  set(spheremix_openmp_FOUND TRUE)
else()
  set(spheremix_openmp_FOUND FALSE)
endif()
