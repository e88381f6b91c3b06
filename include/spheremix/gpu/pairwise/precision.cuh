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

/// Calls f.template operator()<Tile>() with the tile type for rows of T and these products. All
/// fast tiles take the same operands and the same scratch.
template <class T, class Products = void, class F>
auto with_tile(Precision precision, F f) {
  if constexpr (std::is_same_v<T, double>) {
    return f.template operator()<ExactTile<double>>();
  } else {
    if (precision == Precision::exact) return f.template operator()<ExactTile<T>>();
    return f.template operator()<typename FastTileOf<Products>::Type>();
  }
}

}  // namespace pairwise
}  // namespace spheremix::gpu
