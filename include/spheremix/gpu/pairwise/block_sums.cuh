// What the threads of a block do together, and a thread's pieces of 16 bytes.
#pragma once

#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// The sum over the block in double, valid in thread 0. Starts with a barrier-free warp sum;
/// `shared` holds a double a warp.
template <unsigned Threads>
__device__ __forceinline__ double block_sum(double v, double* shared) {
  v = warp_sum(v);
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = v;
  block_barrier();
  double sum = shared[0];
  for (unsigned w = 1; w < Threads / kWarp; ++w) sum += shared[w];
  return sum;
}

/// sums[k] over the block for k < count, the same bits in every thread; `shared` holds count doubles
/// a warp that nobody uses before or after.
template <unsigned Threads>
__device__ __forceinline__ void block_sums(double* sums, unsigned count, double* shared) {
  constexpr unsigned kWarps = Threads / kWarp;
  for (unsigned k = 0; k < count; ++k) {
    const double v = warp_sum(sums[k]);
    if (threadIdx.x % kWarp == 0) shared[k * kWarps + threadIdx.x / kWarp] = v;
  }
  block_barrier();  // every warp's sums are there
  for (unsigned k = 0; k < count; ++k) {
    sums[k] = 0;
    for (unsigned w = 0; w < kWarps; ++w) sums[k] += shared[k * kWarps + w];
  }
}

/// The largest over the block, in every thread, NaN passed over unless all are; `shared` as above, a
/// T a warp.
template <unsigned Threads, class T>
__device__ __forceinline__ T block_max(T v, T* shared) {
  v = warp_max(v);
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = v;
  block_barrier();  // every warp's largest is there
  for (unsigned w = 0; w < Threads / kWarp; ++w) v = v < shared[w] || v != v ? shared[w] : v;
  return v;
}

/// N numbers next to each other, on a boundary of 16 bytes or of their own size.
template <int N, class T>
__device__ __forceinline__ void load_piece(const T* from, T (&to)[N]) {
  constexpr int kEach = 16 / sizeof(T);
  if constexpr (N % kEach == 0) {
    SPHEREMIX_UNROLL
    for (int p = 0; p < N; p += kEach) {
      const Bytes16 bytes = load16(from + p);
      memcpy(&to[p], &bytes, 16);
    }
  } else {
    memcpy(to, __builtin_assume_aligned(from, N * sizeof(T)), N * sizeof(T));
  }
}
template <int N, class T>
__device__ __forceinline__ void store_piece(T* to, const T (&from)[N]) {
  constexpr int kEach = 16 / sizeof(T);
  if constexpr (N % kEach == 0) {
    SPHEREMIX_UNROLL
    for (int p = 0; p < N; p += kEach) {
      Bytes16 bytes;
      memcpy(&bytes, &from[p], 16);
      store16(to + p, bytes);
    }
  } else {
    memcpy(__builtin_assume_aligned(to, N * sizeof(T)), from, N * sizeof(T));
  }
}

}  // namespace spheremix::gpu::pairwise
