// Cosines by a library's GEMM: pass StoredCosines as the last argument of a loss or metric, around
// the library's products. All four GEMMs of CLIP are then the library's.
//
//   const StoredCosines<LtProducts> how{LtProducts(handle, workspace)};
//   clip_with_gradient(x, y, options, out, scratch, stream, how)
//
// S goes through memory in fp16, a range at a time: 2 R C bytes for a range of R x C, in sweep 2 in
// the place that the weights take (they overwrite the cosines). Precision::fast only; exact is as
// without. CLIP + m2-Mix from shared tiles and SupReMix form their own cosines (HalfTile) and have
// the products done by the library. Not the default: no GPU has run it.
#pragma once

#include "spheremix/gpu/pairwise/gemm.cuh"
#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/products.cuh"
#include "spheremix/gpu/pairwise/stored_tile.cuh"

namespace spheremix::gpu::pairwise {

/// `Library`: products with gemm(Gemm, stream) besides (cublaslt.cuh).
template <class Library>
struct StoredCosines {
  using FastTile = StoredTile;
  Library products;

  /// Enqueues to = x y^T in fp16.
  Status cosines(const core::MatrixView<const Half>& x, const core::MatrixView<const Half>& y,
                 Half* to, Index stride, cudaStream_t stream) const {
    return products.gemm(cosines_gemm(x, y, to, stride), stream);
  }

  template <class Tile>
  Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                    cudaStream_t stream) const {
    if constexpr (std::is_same_v<Tile, StoredTile>)
      return products(as_half(first), as_half(second), stream);
    else
      return products(first, second, stream);
  }
};

}  // namespace spheremix::gpu::pairwise
