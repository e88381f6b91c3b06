// The second sweep's second half: what a range of weights G adds to the gradients,
//
//   dX += alpha G Y,   dY += alpha G^T X      (f32, or f64 for double rows)
//
// Both in one launch, a tile of the output a block: blocks [0, tiles of the first) work on the
// first side. G^T is read as it lies, transposed by ldmatrix. alpha undoes the power of two that G
// carries.
#pragma once

#include "spheremix/gpu/core/precision.cuh"
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

/// How a call calculates: products by the kernels above (cublaslt.cuh has the other way).
struct KernelProducts {
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges of a table that are kept at a time; 0: chosen

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

/// Enqueues both sides by these products.
template <class Tile, class Products>
void multiply(Work& work, const Products& how, const ProductSide<Tile>& first,
              const ProductSide<Tile>& second) {
  work.then([&](cudaStream_t stream) { return how(first, second, stream); });
}

/// The precision that is asked for, by products or by those inside them.
template <class Products>
Precision precision_of(const Products& how) {
  if constexpr (requires { how.products; })
    return precision_of(how.products);
  else
    return how.precision;
}

/// The edge of the ranges that is asked for, and the one that products take where none is; 0: the
/// tile's.
template <class Products>
Index asked_block(const Products& how) {
  if constexpr (requires { how.products; })
    return asked_block(how.products);
  else
    return how.block;
}
template <class Products>
Index own_edge(const Products& how) {
  if constexpr (requires { how.products; })
    return own_edge(how.products);
  else if constexpr (requires { how.edge(); })
    return how.edge();
  else
    return 0;
}

/// The edge of the ranges of a table of rows of T; 0: the tile's. Products have no say where their
/// GEMMs have none, at Precision::exact and for double rows.
template <class T, class Products>
Index block_of(const Products& how) {
  if (asked_block(how) > 0) return asked_block(how);
  return precision_of(how) == Precision::fast && !std::is_same_v<T, double> ? own_edge(how) : 0;
}

}  // namespace spheremix::gpu::pairwise
