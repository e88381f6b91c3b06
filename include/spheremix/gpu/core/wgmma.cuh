// Hopper's warpgroup instructions, as thin as intrinsics.cuh: inline PTX where the compiler builds
// for sm_90a, the block emulator in tests. For any other architecture the same functions compile
// and trap, so that a program may hold code for several; wgmma_usable() keeps them from being
// started there.
//
// A warpgroup is four warps in a row, the first of them a multiple of four; every one of its
// threads calls every function here. An operand is 64 (A) or 128 (B) rows of 16 fp16 columns in
// shared memory: rows of 128 bytes, eight of them 1024, the 16-byte chunk c of row r at c ^ r % 8
// (the 128-byte swizzle), 1024-byte boundaries.
//
// Order of a step:
//   copies_wait; async_proxy_fence; block_barrier    the operands are there for the tensor cores
//   wgmma_fence; wgmma_m64n128k16 ...; wgmma_commit  a group is under way
//   wgmma_wait<n>; block_barrier                     all but the newest n have read their operands
//   wgmma_wait<0>; wgmma_settle(d)                   sums may be read
#pragma once

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/status.cuh"

#if defined(__CUDA_ARCH__) && defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define SPHEREMIX_WGMMA 1
#endif
#if defined(SPHEREMIX_SM_90A) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900 && \
    !defined(SPHEREMIX_WGMMA)
#error "SPHEREMIX_SM_90A is defined in a build for sm_90: build for sm_90a"
#endif

namespace spheremix::gpu {

/// Whether kernels with wgmma can run: the program says by SPHEREMIX_SM_90A that it was built for
/// sm_90a (host code cannot see it), and the current device has compute capability 9.0.
inline Status wgmma_usable() {
#if defined(SPHEREMIX_EMULATOR)
  const bool built = emulator::device.built_for_sm_90a;
#elif defined(SPHEREMIX_SM_90A)
  const bool built = true;
#else
  const bool built = false;
#endif
  if (!built)
    return {cudaErrorNotSupported,
            "wgmma needs kernels built for sm_90a, and SPHEREMIX_SM_90A defined there"};
  int device = 0, major = 0, minor = 0;
  cudaError_t code = cudaGetDevice(&device);
  if (code == cudaSuccess)
    code = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  if (code == cudaSuccess)
    code = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  if (code != cudaSuccess) return status_of(code);
  if (major == 9 && minor == 0) return {};
  return {cudaErrorNotSupported, "wgmma needs a GPU of compute capability 9.0"};
}

/// Descriptor of an operand whose first row begins at `shared`, 32 bytes on for the next 16
/// columns. Bits 0-13 start / 16, 16-29 leading offset (not used by this layout), 32-45 bytes from
/// eight rows to the next / 16, 62-63 the swizzle (1: 128 bytes).
__device__ __forceinline__ std::uint64_t wgmma_operand(const void* shared) {
#if defined(SPHEREMIX_EMULATOR)
  const unsigned at = emulator::shared_address(shared);
#else
  const unsigned at = unsigned(__cvta_generic_to_shared(shared));
#endif
  return std::uint64_t((at & 0x3FFFFu) >> 4) | std::uint64_t(1) << 16 |
         std::uint64_t(1024 >> 4) << 32 | std::uint64_t(1) << 62;
}

/// This thread's writes to shared memory, cp.async's that were waited for among them, come before
/// what the tensor cores read after the next barrier.
__device__ __forceinline__ void async_proxy_fence() {
#if defined(SPHEREMIX_EMULATOR)
  emulator::async_proxy_fence();
#elif defined(SPHEREMIX_WGMMA)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// Before the first wgmma on sums that this thread wrote or read.
__device__ __forceinline__ void wgmma_fence() {
#if defined(SPHEREMIX_EMULATOR)
  emulator::wgmma_fence();
#elif defined(SPHEREMIX_WGMMA)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

/// Ends a group of wgmmas.
__device__ __forceinline__ void wgmma_commit() {
#if defined(SPHEREMIX_EMULATOR)
  emulator::wgmma_commit();
#elif defined(SPHEREMIX_WGMMA)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

/// Waits until at most the newest `Pending` groups are under way.
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
#if defined(SPHEREMIX_EMULATOR)
  emulator::wgmma_wait(Pending);
#elif defined(SPHEREMIX_WGMMA)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
#endif
}

/// Keeps the compiler from moving what uses d across this line. Costs nothing.
__device__ __forceinline__ void wgmma_settle([[maybe_unused]] float (&d)[64]) {
#if defined(SPHEREMIX_WGMMA)
#pragma unroll
  for (int k = 0; k < 64; ++k) asm volatile("" : "+f"(d[k])::"memory");
#endif
}

/// Starts d += A B^T for 64 x 16 A and 128 x 16 B, sums in f32. Lane 4 g + t of warp w holds rows
/// 16 w + g and 16 w + g + 8:  d[4 n + 2 i + e] is row 16 w + g + 8 i, column 8 n + 2 t + e.
__device__ __forceinline__ void wgmma_m64n128k16(float (&d)[64], std::uint64_t a, std::uint64_t b) {
#if defined(SPHEREMIX_EMULATOR)
  emulator::wgmma_m64n128k16(d, a, b);
#elif defined(SPHEREMIX_WGMMA)
#define SPHEREMIX_EIGHT(k)                                                                    \
  "+f"(d[k]), "+f"(d[k + 1]), "+f"(d[k + 2]), "+f"(d[k + 3]), "+f"(d[k + 4]), "+f"(d[k + 5]), \
      "+f"(d[k + 6]), "+f"(d[k + 7])
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, 1, 1, 1, 0, 0;"  // d += (not d =), neither negated, both with K contiguous
      : SPHEREMIX_EIGHT(0), SPHEREMIX_EIGHT(8), SPHEREMIX_EIGHT(16), SPHEREMIX_EIGHT(24),
        SPHEREMIX_EIGHT(32), SPHEREMIX_EIGHT(40), SPHEREMIX_EIGHT(48), SPHEREMIX_EIGHT(56)
      : "l"(a), "l"(b)
      : "memory");
#undef SPHEREMIX_EIGHT
#else
  __trap();  // not compiled for sm_90a
#endif
}

}  // namespace spheremix::gpu
