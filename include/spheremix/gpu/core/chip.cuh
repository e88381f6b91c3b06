// What of the current device the size of a library's GEMMs depends on.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/gpu/core/status.cuh"

namespace spheremix::gpu {

/// 0 where it could not be read.
struct Chip {
  int multiprocessors = 0, l2_bytes = 0;
};

/// The current device's. What CUDA refuses is left as 0, and no error behind.
inline Chip chip() {
  Chip c;
  int device = 0;
  const bool read =
      status_of(cudaGetDevice(&device)).ok() &&
      status_of(cudaDeviceGetAttribute(&c.multiprocessors, cudaDevAttrMultiProcessorCount, device))
          .ok() &&
      status_of(cudaDeviceGetAttribute(&c.l2_bytes, cudaDevAttrL2CacheSize, device)).ok();
  return read ? c : Chip{};
}

/// Edge of the square ranges of cosines and weights (fp16) whose GEMMs a library does, a multiple
/// of 1024 from 1024 to 16384:
///
///   the larger of  64 SMs           dX and dY of D = 512 in tiles of 128 x 256: one wave of the SMs
///                  sqrt(L2 / 4)     2 edge^2 bytes in half of the L2 cache
///
/// both rounded down (132 SMs and 60 MB: 8192; 20 SMs and 24 MiB: 2048); 4096 where the device could
/// not be read. It depends on the device alone: the same GPU gives the same ranges, and the same
/// bits.
inline Index gemm_edge(const Chip& c) {
  if (c.multiprocessors <= 0 || c.l2_bytes <= 0) return 4096;
  constexpr Index kStep = 1024, kMost = 16384;
  const Index wave = Index(64) * c.multiprocessors / kStep * kStep;
  Index edge = wave > kStep ? wave : kStep;
  while (edge < kMost && 4 * (edge + kStep) * (edge + kStep) <= Index(c.l2_bytes)) edge += kStep;
  return edge < kMost ? edge : kMost;
}

}  // namespace spheremix::gpu
