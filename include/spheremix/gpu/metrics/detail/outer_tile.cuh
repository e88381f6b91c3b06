// The inner loop of the 64 x 64 tiles of second moments, ranks and mined triplets: sums over pairs of
// columns from shared memory. Thread 16 ty + tx of 256 holds rows 4 ty + r and columns tx + 16 n.
//
//   sums[r][n] = term(left[k][4 ty + r], right[k][tx + 16 n], sums[r][n])    k by k, in this order
#pragma once

#include <cmath>

#include "spheremix/gpu/core/intrinsics.cuh"

namespace spheremix::gpu::metrics::detail {

/// left, right: Depth lines of Pitch numbers in shared memory.
template <int Depth, int Pitch, class A, class Term>
__device__ __forceinline__ void add_outer_terms(const A* left, const A* right, A (&sums)[4][4],
                                                const Term& term) {
  const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
  SPHEREMIX_UNROLL
  for (int k = 0; k < Depth; ++k) {
    A a[4], b[4];
    SPHEREMIX_UNROLL
    for (int r = 0; r < 4; ++r) {
      a[r] = left[k * Pitch + 4 * ty + r];
      b[r] = right[k * Pitch + tx + 16 * r];
    }
    SPHEREMIX_UNROLL
    for (int r = 0; r < 4; ++r) SPHEREMIX_UNROLL
    for (int n = 0; n < 4; ++n) sums[r][n] = term(a[r], b[n], sums[r][n]);
  }
}

/// Products of the two.
template <int Depth, int Pitch, class A>
__device__ __forceinline__ void add_outer_products(const A* left, const A* right, A (&sums)[4][4]) {
  add_outer_terms<Depth, Pitch>(left, right, sums,
                                [](A a, A b, A sum) { return std::fma(a, b, sum); });
}

}  // namespace spheremix::gpu::metrics::detail
