// The CUDA toolkit, or what stands in for it: tests define SPHEREMIX_EMULATOR as the header that
// runs kernels on the host. Every other header of gpu/ reaches CUDA through this one and through
// intrinsics.cuh.
#pragma once

#if defined(SPHEREMIX_EMULATOR)
#include SPHEREMIX_EMULATOR
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#if CUDART_VERSION < 12000
#error "spheremix/gpu needs a CUDA toolkit of version 12 or later"
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "spheremix/gpu needs compute capability 8.0 or later: compile for sm_80 or above"
#endif
#endif

// Before a loop over registers: its indices must be known to the compiler.
#if defined(__CUDACC__)
#define SPHEREMIX_UNROLL _Pragma("unroll")
#else
#define SPHEREMIX_UNROLL
#endif
