// The sum of n numbers in device memory, in double, by CUB's device-wide reduction: the same bits
// every run.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/core/status.cuh"
#if !defined(SPHEREMIX_EMULATOR)
#include <cub/device/device_reduce.cuh>
#endif

namespace spheremix::gpu {

/// Scratch that device_sum needs.
inline std::size_t device_sum_bytes(Index n) {
  std::size_t bytes = 0;
  const double* in = nullptr;
  double* out = nullptr;
  if (cub::DeviceReduce::Sum(nullptr, bytes, in, out, n) != cudaSuccess) return 0;
  return scratch_bytes<char>(bytes);
}

/// Enqueues *out = sum of in[0 .. n).
inline Status device_sum(const double* in, Index n, double* out, Scratch scratch,
                         cudaStream_t stream) {
  return status_of(cub::DeviceReduce::Sum(scratch.data, scratch.bytes, in, out, n, stream));
}

}  // namespace spheremix::gpu
