// Products in f32 or f64 without tensor cores.
#pragma once

#include "spheremix/gpu/pairwise/exact_tile.cuh"
#include "spheremix/gpu/pairwise/product_side.cuh"

namespace spheremix::gpu::pairwise {

/// f32 or f64, 64 x 64 outputs.
template <class Input>
struct ExactProduct {
  using Tile = ExactTile<Input>;
  using Side = ProductSide<Tile>;
  using T = typename Tile::Sum;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = 2, kEdge = Tile::kEdge;
  static constexpr std::size_t kShared = Tile::kShared;

  Side side[2];
  Index first_tiles;

  __device__ void operator()() const {
    const bool first = Index(blockIdx.x) < first_tiles;
    const Side& s = side[first ? 0 : 1];
    const Index index = Index(blockIdx.x) - (first ? 0 : first_tiles);
    const Index across = ceil_div(s.out.cols, kEdge), m0 = index / across * kEdge,
                n0 = index % across * kEdge;
    const Index depth = s.b.rows;
    T* const a = reinterpret_cast<T*>(shared_memory());
    T* const b = a + Tile::kDepth * Tile::kPitch;
    const core::MatrixView<const T> g =
        s.transposed ? core::MatrixView<const T>{s.weights, depth, s.out.rows, s.stride}
                     : core::MatrixView<const T>{s.weights, s.out.rows, depth, s.stride};
    Tile tile;
    tile.zero();
    for (Index k = 0; k < depth; k += Tile::kDepth) {
      if (s.transposed)
        Tile::load_rows(a, g, k, m0);
      else
        Tile::load_columns(a, g, m0, k);
      Tile::load_rows(b, s.b, k, n0);
      block_barrier();
      tile.accumulate(a, b);
      block_barrier();
    }
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        const Index i = m0 + Tile::row(r), j = n0 + Tile::col(c);
        if (i >= s.out.rows || j >= s.out.cols) continue;
        T& out = s.out(i, j);
        const T value = s.alpha * tile.sum(r, c);
        out = s.accumulate ? out + value : value;
      }
  }
};

}  // namespace spheremix::gpu::pairwise
