// How the N x N losses and metrics calculate on the device.
//
//   fast    fp16 rows on the tensor cores, cosines, statistics and sums in f32, dL/dS in fp16 times
//           2^14. Rows are meant to be unit: entries below 2^-14 lose digits and products above
//           65504 are infinite in fp16.
//   exact   every product and sum in f32, without tensor cores.
//
// double rows are always calculated in f64. TF32 and bf16 products are never used; bf16 rows become
// fp16.
#pragma once

#include "spheremix/gpu/pairwise/exact_tile.cuh"
#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/products.cuh"

namespace spheremix::gpu {

enum class Precision { fast, exact };

namespace pairwise {

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

/// Options with that edge where they ask for none and rows of T go through the library (not with
/// Precision::exact). A call and its _bytes take the same products.
template <class T, class Options, class Products>
Options with_block(Options options, const Products& products) {
  if (options.block <= 0 && options.precision == Precision::fast && !std::is_same_v<T, double>)
    options.block = block_of(products);
  return options;
}

/// Calls f.template operator()<Tile>() with the tile type for rows of T and these products, unless
/// f gives a Status and the products cannot be used here. All fast tiles take the same operands.
template <class T, class Products, class F>
auto with_tile(Precision precision, F f) {
  if constexpr (std::is_same_v<T, double>) {
    return f.template operator()<ExactTile<double>>();
  } else {
    using Result = decltype(f.template operator()<ExactTile<T>>());
    if (precision == Precision::exact) return f.template operator()<ExactTile<T>>();
    if constexpr (std::is_same_v<Result, Status> && requires { Products::usable(); })
      if (const Status status = Products::usable(); !status) return status;
    return f.template operator()<typename FastTileOf<Products>::Type>();
  }
}

}  // namespace pairwise
}  // namespace spheremix::gpu
