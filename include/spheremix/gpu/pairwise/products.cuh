// The second sweep's second half: what a range of weights G adds to the gradients,
//
//   dX += alpha G Y,   dY += alpha G^T X      (f32, or f64 for double rows)
//
// Both in one launch, a tile of the output a block: blocks [0, tiles of the first) work on the
// first side. G^T is read as it lies, transposed by ldmatrix. alpha undoes the power of two that G
// carries.
#pragma once

#include "spheremix/gpu/pairwise/exact_product.cuh"
#include "spheremix/gpu/pairwise/half_product.cuh"

namespace spheremix::gpu::pairwise {

template <class Tile>
struct ProductOf {
  using Kernel = ExactProduct<typename Tile::Input>;
};
template <>
struct ProductOf<HalfTile> {
  using Kernel = HalfProduct;
};

/// How products are done: by the kernels above. cublaslt.cuh has the other way.
struct KernelProducts {
  /// Enqueues both sides; a side without rows is left out.
  template <class Tile>
  Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                    cudaStream_t stream) const {
    using Kernel = typename ProductOf<Tile>::Kernel;
    return start(Kernel{{first, second}, first.tiles()}, first.tiles() + second.tiles(), stream);
  }
};

/// The products of a tile with HalfTile's operands and weights as HalfTile's.
template <class Tile>
ProductSide<HalfTile> as_half(const ProductSide<Tile>& s) {
  return {s.weights, s.stride, s.transposed, s.b, s.out, s.alpha, s.accumulate};
}

/// The edge that products want for the ranges of their tables; 0: none, the tile's.
template <class Products>
Index block_of(const Products& products) {
  if constexpr (requires { products.block(); })
    return products.block();
  else
    return 0;
}

}  // namespace spheremix::gpu::pairwise
