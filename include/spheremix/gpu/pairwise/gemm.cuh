// A product of the second sweep, or a range of cosines, as a column-major GEMM, the terms that BLAS
// libraries speak:
//
//   C (m x n) = alpha op(A) op(B) + beta C        (row-major out is column-major out^T)
//
// Pure data, so that tests can carry it out on the host.
#pragma once

#include <array>
#include <tuple>

#include "spheremix/gpu/pairwise/products.cuh"

namespace spheremix::gpu::pairwise {

struct Gemm {
  Index m, n, k;
  bool transpose_a, transpose_b;
  const Half* a;  ///< m x k, or k x m when transposed
  Index lda;
  const Half* b;  ///< k x n, or n x k when transposed
  Index ldb;
  void* c;
  bool half_c;  ///< c is fp16, else f32
  Index ldc;
  float alpha, beta;
};

/// out^T = alpha b^T op(G)^T + beta out^T: G as it lies is G^T in column-major terms.
inline Gemm gemm_of(const ProductSide<HalfTile>& s) {
  return {
      s.out.cols, s.out.rows, s.b.rows,   false, s.transposed, s.b.data, s.b.stride,
      s.weights,  s.stride,   s.out.data, false, s.out.stride, s.alpha,  s.accumulate ? 1.f : 0.f};
}

/// to^T = y x^T: `to` is fp16, x.rows x y.rows in rows of `stride`.
inline Gemm cosines_gemm(const core::MatrixView<const Half>& x,
                         const core::MatrixView<const Half>& y, Half* to, Index stride) {
  return {y.rows, x.rows,   x.cols, true, false,  y.data, y.stride,
          x.data, x.stride, to,     true, stride, 1,      0};
}

/// What an algorithm that a library found for a GEMM may depend on: the device, the shape, which
/// operands are transposed, the type of C, leading dimensions, beta, and which of the three
/// matrices lie on 16-byte boundaries.
using GemmKey = std::tuple<int, std::array<Index, 6>, std::array<bool, 6>, float>;
inline bool on_16_bytes(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }
inline GemmKey key_of(const Gemm& g, int device) {
  return {device,
          {g.m, g.n, g.k, g.lda, g.ldb, g.ldc},
          {g.transpose_a, g.transpose_b, g.half_c, on_16_bytes(g.a), on_16_bytes(g.b),
           on_16_bytes(g.c)},
          g.beta};
}

}  // namespace spheremix::gpu::pairwise
