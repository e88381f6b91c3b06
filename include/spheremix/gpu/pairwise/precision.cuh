// From how a call is to calculate (Precision, products, edge of the ranges) to the tiles that do.
//
// The last argument of every N x N loss and metric says it: KernelProducts{.precision, .block} by
// default, a library's products (cublaslt.cuh), or either inside StoredCosines or WgmmaCosines.
#pragma once

#include "spheremix/gpu/pairwise/exact_tile.cuh"
#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/products.cuh"

namespace spheremix::gpu::pairwise {

/// The tile of Precision::fast: HalfTile, unless the products name another as their FastTile
/// (wgmma_cosines.cuh).
template <class Products>
struct FastTileOf {
  using Type = HalfTile;
};
template <class Products>
requires requires { typename Products::FastTile; }
struct FastTileOf<Products> {
  using Type = typename Products::FastTile;
};

/// The tile of functions that form their cosines in kernels of their own.
template <class Tile>
using FormingTile = std::conditional_t<kReadsCosines<Tile>, HalfTile, Tile>;

/// Calls f.template operator()<Tile>(), which gives a Status, with the tile type for rows of T and
/// these products, unless they cannot be used here. All fast tiles take the same operands.
template <class T, class Products, class F>
Status with_tile(const Products& how, const F& f) {
  if constexpr (std::is_same_v<T, double>) {
    return f.template operator()<ExactTile<double>>();
  } else {
    if (precision_of(how) == Precision::exact) return f.template operator()<ExactTile<T>>();
    if constexpr (requires { Products::usable(); })
      if (const Status status = Products::usable(); !status) return status;
    return f.template operator()<typename FastTileOf<Products>::Type>();
  }
}

/// enqueue() of steps.template operator()<Tile>(work, block).
template <class T, class Products, class Steps>
Status enqueue_tiles(const Products& how, Scratch scratch, cudaStream_t stream,
                     const Steps& steps) {
  const Index block = block_of<T>(how);
  return with_tile<T>(how, [&]<class Tile>() {
    return enqueue(scratch, stream,
                   [&](Work& work) { steps.template operator()<Tile>(work, block); });
  });
}

}  // namespace spheremix::gpu::pairwise
