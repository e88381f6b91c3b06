// Cosines by Hopper's wgmma: pass WgmmaCosines as the last argument of a _with_gradient function,
// around the products that follow them.
//
//   clip_with_gradient(x, y, options, out, scratch, stream, WgmmaCosines<>{})
//   clip_with_gradient(..., WgmmaCosines<LtProducts>{LtProducts(handle, workspace)})
//
// The kernels must be compiled for sm_90a (-gencode arch=compute_90a,code=sm_90a) and run on
// compute capability 9.0; built for another architecture they trap, which ends the context. Scratch
// and Precision::exact as without. Not the default: no GPU has run it.
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

 private:
  static ProductSide<HalfTile> as_half(const ProductSide<WgmmaTile>& s) {
    return {s.weights, s.stride, s.transposed, s.b, s.out, s.alpha, s.accumulate};
  }
};

}  // namespace spheremix::gpu::pairwise
