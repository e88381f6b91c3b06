// The one place where kernels are started:
// gpu::launch(kernel, grid, block, shared bytes, stream, arguments...).
#pragma once

#include <cstddef>

#include "spheremix/core/constants.hpp"
#include "spheremix/gpu/core/status.cuh"

namespace spheremix::gpu {

/// Enqueues kernel(arguments...) on `stream`. Above 48 KiB of shared memory the kernel's limit is
/// raised first, and an SM asked to give shared memory all it can: else the driver may leave room
/// for one block where two are meant.
template <class... Parameters, class... Arguments>
Status launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
              cudaStream_t stream, Arguments... arguments) {
  if (shared_bytes > std::size_t(48) * 1024) {
    cudaError_t set = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                           int(shared_bytes));
    if (set == cudaSuccess)
      set = cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                 cudaSharedmemCarveoutMaxShared);
    if (set != cudaSuccess) return status_of(set);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return status_of(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...));
}

/// Blocks for `items` items at `each` a block, at most the grid's limit: kernels loop over what is
/// left.
inline unsigned blocks_for(Index items, Index each) {
  const Index blocks = items / each + (items % each != 0);
  return unsigned(blocks < 0x7FFFFFFF ? blocks : 0x7FFFFFFF);
}

}  // namespace spheremix::gpu
