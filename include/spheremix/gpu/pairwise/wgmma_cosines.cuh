// Cosines by Hopper's wgmma: pass WgmmaCosines as the last argument of a loss or metric, around the
// products that follow them.
//
//   clip_with_gradient(x, y, options, out, scratch, stream, WgmmaCosines<>{})
//   clip_with_gradient(..., WgmmaCosines<LtProducts>{LtProducts(handle, workspace)})
//
// The kernels must be compiled for sm_90a (-gencode arch=compute_90a,code=sm_90a), with
// SPHEREMIX_SM_90A defined to say so (spheremix::cuda does it for CUDA_ARCHITECTURES 90a), and run
// on compute capability 9.0; else a Status. Scratch and Precision::exact as without. Not the
// default: no GPU has run it.
#pragma once

#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/products.cuh"
#include "spheremix/gpu/pairwise/wgmma_tile.cuh"

namespace spheremix::gpu::pairwise {

template <class Products = KernelProducts>
struct WgmmaCosines {
  using FastTile = WgmmaTile;
  Products products = {};

  template <class Tile>
  Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                    cudaStream_t stream) const {
    if constexpr (std::is_same_v<Tile, WgmmaTile>)
      return products(as_half(first), as_half(second), stream);
    else
      return products(first, second, stream);
  }

  /// Whether the kernels can run here.
  static Status usable() { return wgmma_usable(); }
};

}  // namespace spheremix::gpu::pairwise
