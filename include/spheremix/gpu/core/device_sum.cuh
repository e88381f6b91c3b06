// The sum of n numbers in device memory, in double, by CUB's device-wide reduction: the same bits
// every run.
#pragma once

#include "spheremix/gpu/core/work.cuh"
#if !defined(SPHEREMIX_EMULATOR)
#include <cub/device/device_reduce.cuh>
#endif

namespace spheremix::gpu {

/// Enqueues *out = sum of in[0 .. n).
inline void device_sum(Work& work, const double* in, Index n, double* out) {
  work.library([&](void* storage, std::size_t& bytes, cudaStream_t stream) {
    return cub::DeviceReduce::Sum(storage, bytes, in, out, n, stream);
  });
}

}  // namespace spheremix::gpu
