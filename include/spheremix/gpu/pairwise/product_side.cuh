// One product of the second sweep, as the kernels of half_product.cuh and exact_product.cuh take
// it.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// out (rows x out.cols) = alpha op(G) b, or that added to out. op(G) is rows x depth; b has depth
/// rows.
template <class Tile>
struct ProductSide {
  using T = typename Tile::Sum;
  const typename Tile::Weight* weights;
  Index stride;     ///< of the weights
  bool transposed;  ///< op(G) = G^T
  core::MatrixView<const typename Tile::Input> b;
  core::MatrixView<T> out;
  T alpha;
  bool accumulate;

  Index tiles() const { return ceil_div(out.rows, Tile::kEdge) * ceil_div(out.cols, Tile::kEdge); }
};

}  // namespace spheremix::gpu::pairwise
