// A product of the second sweep as a column-major GEMM, the terms that BLAS libraries speak:
//
//   C (m x n) = alpha op(A) op(B) + beta C        (row-major out is column-major out^T)
//
// Pure data, so that tests can carry it out on the host.
#pragma once

#include "spheremix/gpu/pairwise/products.cuh"

namespace spheremix::gpu::pairwise {

struct Gemm {
  Index m, n, k;
  bool transpose_b;  ///< A is never transposed
  const Half* a;     ///< m x k
  Index lda;
  const Half* b;  ///< k x n, or n x k when transposed
  Index ldb;
  float* c;
  Index ldc;
  float alpha, beta;
};

/// out^T = alpha b^T op(G)^T + beta out^T: G as it lies is G^T in column-major terms.
inline Gemm gemm_of(const ProductSide<HalfTile>& s) {
  return {s.out.cols, s.out.rows, s.b.rows,   s.transposed, s.b.data, s.b.stride,
          s.weights,  s.stride,   s.out.data, s.out.stride, s.alpha,  s.accumulate ? 1.f : 0.f};
}

}  // namespace spheremix::gpu::pairwise
