# spheremix::cuda: the headers under spheremix/gpu/ with the CUDA runtime, and cuBLASLt where the toolkit has
# it. Read by the source tree and, as component `cuda`, by the installed package. It brings no Eigen (those
# headers need none) and no flag: a program's architectures are its own choice (8.0 at least;
# SPHEREMIX_CUDA_ARCHITECTURES holds what the library is compiled for in its own tests), and so is -std=c++20,
# which device code needs (CMake sets it by CUDA_STANDARD 20 from version 3.26).
if(NOT DEFINED SPHEREMIX_CUDA_ARCHITECTURES)
  set(SPHEREMIX_CUDA_ARCHITECTURES 80-real 90)  # 90: machine code, and PTX for what comes later
endif()
if(NOT TARGET spheremix::cuda)
  find_package(CUDAToolkit 12 QUIET GLOBAL)
  if(CUDAToolkit_FOUND)
    add_library(spheremix::cuda INTERFACE IMPORTED GLOBAL)
    target_include_directories(spheremix::cuda INTERFACE
      $<TARGET_PROPERTY:spheremix::spheremix,INTERFACE_INCLUDE_DIRECTORIES>)
    target_compile_features(spheremix::cuda INTERFACE cxx_std_20)
    target_link_libraries(spheremix::cuda INTERFACE CUDA::cudart)
    # Host code cannot see for what its kernels are built: a program whose CUDA_ARCHITECTURES is 90a says so, and may
    # use wgmma (pairwise/wgmma_cosines.cuh).
    set(spheremix_architectures $<TARGET_PROPERTY:CUDA_ARCHITECTURES>)
    target_compile_definitions(spheremix::cuda INTERFACE
      $<$<OR:$<STREQUAL:${spheremix_architectures},90a>,$<STREQUAL:${spheremix_architectures},90a-real>>:SPHEREMIX_SM_90A>)
    if(TARGET CUDA::cublasLt)
      target_link_libraries(spheremix::cuda INTERFACE CUDA::cublasLt)
      target_compile_definitions(spheremix::cuda INTERFACE SPHEREMIX_HAS_CUBLASLT=1)
    endif()
  endif()
endif()
if(TARGET spheremix::cuda)
  set(spheremix_cuda_FOUND TRUE)
else()
  set(spheremix_cuda_FOUND FALSE)
endif()
