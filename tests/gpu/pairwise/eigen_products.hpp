// Eigen in cuBLASLt's place, so that schedules that need a BLAS run in the emulator.
#pragma once

#include "spheremix/core/eigen.hpp"
#include "spheremix/gpu/pairwise/gemm.cuh"
#include "support/gpu.hpp"

namespace spheremix::gpu_test {

using gpu::pairwise::HalfTile;
using gpu::pairwise::ProductSide;

/// A BLAS policy: 16-bit products as the column-major GEMMs that cuBLASLt is given (gemm.cuh), f64
/// products as they are.
struct EigenProducts {
  Index own = 0;         ///< edge of the ranges where none is asked for
  int* gemms = nullptr;  ///< counts them
  gpu::Precision precision = gpu::Precision::fast;
  Index block = 0;

  Index edge() const { return own; }

  gpu::Status gemm(const gpu::pairwise::Gemm& g, cudaStream_t) const {
    if (gemms) ++*gemms;
    const auto load = [](const gpu::Half* from, Index rows, Index cols, Index leading) {
      return Eigen::MatrixXd::NullaryExpr(
          rows, cols, [=](Index i, Index j) { return double(gpu::widen(from[i + j * leading])); });
    };
    const Eigen::MatrixXd a = g.transpose_a
                                  ? Eigen::MatrixXd(load(g.a, g.k, g.m, g.lda).transpose())
                                  : Eigen::MatrixXd(load(g.a, g.m, g.k, g.lda));
    const Eigen::MatrixXd b = g.transpose_b
                                  ? Eigen::MatrixXd(load(g.b, g.n, g.k, g.ldb).transpose())
                                  : Eigen::MatrixXd(load(g.b, g.k, g.n, g.ldb));
    const Eigen::MatrixXf product = (double(g.alpha) * a * b).cast<float>();
    if (g.half_c) {
      REQUIRE(g.beta == 0);
      for (Index j = 0; j < g.n; ++j)
        for (Index i = 0; i < g.m; ++i)
          static_cast<gpu::Half*>(g.c)[i + j * g.ldc] = gpu::narrow<gpu::Half>(product(i, j));
      return {};
    }
    Eigen::Map<Eigen::MatrixXf, 0, Eigen::OuterStride<>> c(static_cast<float*>(g.c), g.m, g.n,
                                                           Eigen::OuterStride<>(g.ldc));
    if (g.beta == 0)
      c = product;
    else
      c += product;
    return {};
  }

  template <class Tile>
  static void side(const ProductSide<Tile>& s) {
    using T = typename Tile::Sum;
    using Strided = Eigen::OuterStride<>;
    if (s.out.rows == 0) return;
    const Index depth = s.b.rows;
    const Eigen::Map<const RowMatrix<T>, 0, Strided> g(s.weights, s.transposed ? depth : s.out.rows,
                                                       s.transposed ? s.out.rows : depth,
                                                       Strided(s.stride));
    const RowMatrix<T> b = RowMatrix<T>::NullaryExpr(
        depth, s.out.cols, [&](Index i, Index j) { return T(gpu::widen(s.b(i, j))); });
    Eigen::Map<RowMatrix<T>, 0, Strided> out(s.out.data, s.out.rows, s.out.cols,
                                             Strided(s.out.stride));
    const RowMatrix<T> product =
        s.alpha * (s.transposed ? RowMatrix<T>(g.transpose() * b) : RowMatrix<T>(g * b));
    if (s.accumulate)
      out += product;
    else
      out = product;
  }

  template <class Tile>
  gpu::Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                         cudaStream_t stream) const {
    for (const auto* s : {&first, &second})
      if constexpr (std::is_same_v<Tile, HalfTile>) {
        if (s->out.rows == 0) continue;
        const gpu::Status status = gemm(gpu::pairwise::gemm_of(*s), stream);
        if (!status) return status;
      } else {
        side(*s);
      }
    return {};
  }
};

}  // namespace spheremix::gpu_test
