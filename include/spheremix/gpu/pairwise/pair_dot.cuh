// Cosines of rows with their partners, summed in f32 (f64 for double rows).
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// Row j of y goes with row j of x.
struct SameRow {
  __device__ Index to(Index j) const { return j; }
};

/// cosines[i] = x_i . y_(pairing.to(i)); one warp a row.
template <class Input, class Pairing = SameRow>
struct PairDotKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const Input> x, y;
  T* cosines;
  Pairing pairing = {};
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= x.rows) return;
    const Index j = pairing.to(i);
    T sum = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp)
      sum += T(widen(x(i, k))) * T(widen(y(j, k)));
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) cosines[i] = sum;
  }
};

}  // namespace spheremix::gpu::pairwise
