# spheremix::nccl: spheremix::cuda with NCCL (spheremix/nccl/communicator.cuh). Read by the source tree and, as component
# `nccl`, by the installed package; there is no target where CUDA or NCCL is not found. NCCL has no CMake package: its
# header and library are looked for under NCCL_ROOT, where CUDA is and where CMake looks.
include(${CMAKE_CURRENT_LIST_DIR}/spheremix-cuda.cmake)
if(NOT TARGET spheremix::nccl AND TARGET spheremix::cuda)
  set(spheremix_nccl_root ${NCCL_ROOT} $ENV{NCCL_ROOT})  # CMake itself looks there for find_package(NCCL) alone
  find_path(SPHEREMIX_NCCL_INCLUDE_DIR nccl.h HINTS ${spheremix_nccl_root} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  find_library(SPHEREMIX_NCCL_LIBRARY nccl HINTS ${spheremix_nccl_root} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
  mark_as_advanced(SPHEREMIX_NCCL_INCLUDE_DIR SPHEREMIX_NCCL_LIBRARY)
  if(SPHEREMIX_NCCL_INCLUDE_DIR AND SPHEREMIX_NCCL_LIBRARY)
    add_library(spheremix::nccl INTERFACE IMPORTED GLOBAL)
    target_include_directories(spheremix::nccl INTERFACE ${SPHEREMIX_NCCL_INCLUDE_DIR})
    target_link_libraries(spheremix::nccl INTERFACE spheremix::cuda ${SPHEREMIX_NCCL_LIBRARY})
  endif()
endif()
if(TARGET spheremix::nccl)
  set(spheremix_nccl_FOUND TRUE)
else()
  set(spheremix_nccl_FOUND FALSE)
endif()
