// The second sweep's first half: G = dL/dS of a range of the table, from cosines formed anew and
// the row and column log-sum-exps of the first sweep. Excluded pairs get 0; what they weigh is
// added in f32 by rows.cuh.
//
//   p_ij = 2^(z_ij - lse_row_i),  q_ij = 2^(z_ij - lse_col_j)
//   G_ij = policy.gradient(s_ij, p_ij, q_ij)
//
// One exponential a pair where the tile's log-sum-exps lie within 60 of each other:
// e = 2^(z - rho), rho the least of them, p = e 2^(rho - lse_i). e cannot overflow, because no
// logit exceeds its own log-sum-exp, and the factors are at least 2^-60. Elsewhere two
// exponentials.
//
// G goes out in the tile's Weight type, in rows of `stride`, whole tiles (0 outside the range), 16
// bytes a store.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// Writes a tile of weights through shared memory: to[row][column], whole 16-byte chunks.
template <class Tile, class Value>
__device__ __forceinline__ void store_weights(typename Tile::Weight* to, Index stride,
                                              unsigned char* shared, Value value) {
  using Weight = typename Tile::Weight;
  constexpr unsigned kChunk = 16 / sizeof(Weight), kPitch = Tile::kEdge + kChunk;
  static_assert(Tile::kEdge * kPitch * sizeof(Weight) <= Tile::kShared);
  Weight* const stage = reinterpret_cast<Weight*>(shared);
#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Tile::kCols; ++c)
      stage[Tile::row(r) * kPitch + Tile::col(c)] = narrow<Weight>(value(r, c));
  block_barrier();
  constexpr unsigned kChunks = Tile::kEdge / kChunk;
  for (unsigned q = threadIdx.x; q < Tile::kEdge * kChunks; q += Tile::kThreads) {
    const unsigned r = q / kChunks, chunk = q % kChunks;
    store16(to + Index(r) * stride + chunk * kChunk, load16(stage + r * kPitch + chunk * kChunk));
  }
}

template <class Tile, class Policy>
struct WeightsKernel {
  using T = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr unsigned kEdge = Tile::kEdge;
  static constexpr std::size_t kShared = Tile::kShared;

  typename OperandOf<Tile>::Type x, y;
  Index y_first;  ///< the column of the table that y's row 0 stands for
  Range range;
  Policy policy;
  Excluded excluded;
  const RowPair<T>* rows;  ///< (log-sum-exp, ) by row of x
  const RowPair<T>* cols;  ///< by row of y
  Weight* weights;
  Index stride;

  __device__ void operator()() const {
    const TilePlace place = tile_place(blockIdx.x, unsigned(ceil_div(range.rows, kEdge)),
                                       unsigned(ceil_div(range.cols, kEdge)));
    const Index i0 = range.i0 + Index(place.row) * kEdge, j0 = range.j0 + Index(place.col) * kEdge;
    const Index height = smaller<Index>(kEdge, range.i0 + range.rows - i0);
    const Index width = smaller<Index>(kEdge, range.j0 + range.cols - j0);
    unsigned char* const shared = shared_memory();
    Tile tile;
    tile.multiply(x, y, i0, j0 - y_first, shared);

    T* const row_lse = reinterpret_cast<T*>(shared);
    T* const col_lse = row_lse + kEdge;
    T* const warp_part = col_lse + kEdge;  // [warp](least, largest)
    T low = core::infinity<T>, high = -core::infinity<T>;
    for (unsigned k = threadIdx.x; k < kEdge; k += kThreads) {
      if (Policy::kRows)
        note(row_lse, k, Index(k) < height ? rows[i0 + k].a : core::nan<T>, low, high);
      if (Policy::kCols)
        note(col_lse, k, Index(k) < width ? cols[j0 + k].a : core::nan<T>, low, high);
    }
    low = -warp_max(-low);
    high = warp_max(high);
    if (Tile::lane() == 0)
      warp_part[threadIdx.x / kWarp * 2] = low, warp_part[threadIdx.x / kWarp * 2 + 1] = high;
    block_barrier();
    for (unsigned w = 0; w < kThreads / kWarp; ++w) {
      low = smaller(low, warp_part[2 * w]);
      high = larger(high, warp_part[2 * w + 1]);
    }
    const bool together = high - low <= T(60);
    T of_row[Tile::kRows] = {}, of_col[Tile::kCols] = {};
    if (Policy::kRows)
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) of_row[r] = row_lse[Tile::row(r)];
    if (Policy::kCols)
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) of_col[c] = col_lse[Tile::col(c)];
    block_barrier();
    if (together) {
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) of_row[r] = pair_exp2(low - of_row[r]);
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) of_col[c] = pair_exp2(low - of_col[c]);
    }
    const bool plain =
        height == Index(kEdge) && width == Index(kEdge) && !excluded.touches(i0, j0, kEdge);
    const Index col0 = Index(place.col) * kEdge;
    store_weights<Tile>(
        weights + Index(place.row) * kEdge * stride + col0, stride, shared, [&](int r, int c) {
          const Index i = i0 + Tile::row(r), j = j0 + Tile::col(c);
          if (!plain) {  // a policy may read what belongs to row i and column j: they exist
            const bool inside = Index(Tile::row(r)) < height && Index(Tile::col(c)) < width;
            if (!inside || excluded.pair(i, j)) return T(0);
          }
          const T s = tile.sum(r, c), z = policy.logit(s, i, j);
          T p = 0, q = 0;
          if (together) {
            const T e = pair_exp2(z - low);
            if (Policy::kRows) p = e * of_row[r];
            if (Policy::kCols) q = e * of_col[c];
          } else {
            if (Policy::kRows) p = pair_exp2(z - of_row[r]);
            if (Policy::kCols) q = pair_exp2(z - of_col[c]);
          }
          return policy.gradient(s, p, q, i, j);
        });
  }

 private:
  __device__ static void note(T* to, unsigned k, T lse, T& low, T& high) {
    to[k] = lse;
    low = smaller(low, lse);
    high = larger(high, lse);
  }
};

}  // namespace spheremix::gpu::pairwise
