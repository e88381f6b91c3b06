// The second sweep's first half: G = dL/dS of a range of the table, from cosines formed anew and
// the row and column log-sum-exps of the first sweep. Excluded pairs get 0; what they weigh is
// added in f32 by rows.cuh.
//
//   p_ij = 2^(z_ij - lse_row_i),  q_ij = 2^(z_ij - lse_col_j)
//   G_ij = row_unit p_ij + col_unit q_ij, or policy.gradient of them (epilogue.cuh)
//
// One exponential a pair where the tile's log-sum-exps lie within 60 of each other:
// e = 2^(z - rho), rho the least of them, p = e 2^(rho - lse_i). e cannot overflow, because no
// logit exceeds its own log-sum-exp, and the factors, which carry the units, are at least 2^-60 of
// them. Elsewhere two exponentials.
//
// G goes out in the tile's Weight type, in rows of `stride`, whole tiles (0 outside the range), 16
// bytes a store.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/left_out.cuh"
#include "spheremix/gpu/pairwise/weight_stage.cuh"

namespace spheremix::gpu::pairwise {

template <class Tile, class Policy>
struct WeightsKernel {
  using T = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr unsigned kEdge = Tile::kEdge;
  static constexpr std::size_t kOwnShared = WeightStage<Tile>::kBytes +
                                            Lines<Tile, Policy>::kBytes +
                                            (2 * kEdge + 2 * kThreads / kWarp) * sizeof(T);
  static constexpr std::size_t kShared = Tile::kShared > kOwnShared ? Tile::kShared : kOwnShared;

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

    SharedPieces pieces{shared};
    const WeightStage<Tile> stage(pieces);
    const Lines<Tile, Policy> lines(pieces);
    T* const of_rows = pieces.take<T>(kEdge);
    T* const of_cols = pieces.take<T>(kEdge);
    T* const warp_part = pieces.take<T>(2 * kThreads / kWarp);  // [warp](least, largest)
    const bool out = leaves_out<Tile>(excluded, i0, j0, height, width);
    const unsigned k = threadIdx.x;
    // Lines out of the range weigh nothing; what stands in their places is cleared.
    T row = core::infinity<T>, col = core::infinity<T>;
    if (Policy::kRows && k < kEdge && Index(k) < height) row = rows[i0 + k].a;
    if (Policy::kCols && k < kEdge && Index(k) < width) col = cols[j0 + k].a;
    lines.fetch(policy, i0, j0, height, width);
    T low = core::infinity<T>, high = -core::infinity<T>;
    note(row, low, high);
    note(col, low, high);
    low = -warp_max(-low);
    high = warp_max(high);
    if (Tile::lane() == 0) warp_part[k / kWarp * 2] = low, warp_part[k / kWarp * 2 + 1] = high;
    block_barrier();  // every warp's least and largest are there
    for (unsigned w = 0; w < kThreads / kWarp; ++w) {
      low = smaller(low, warp_part[2 * w]);
      high = larger(high, warp_part[2 * w + 1]);
    }
    const bool together = !(high - low > T(60));
    if (!(low <= high)) low = 0;
    const T row_unit = policy.row_unit(), col_unit = policy.col_unit();
    if (k < kEdge) {
      of_rows[k] = together ? row_unit * pair_exp2(low - row) : row;
      of_cols[k] = together ? col_unit * pair_exp2(low - col) : col;
    }
    block_barrier();  // the lines are there
    if (together)
      weigh<true>(tile, lines, of_rows, of_cols, low, row_unit, col_unit, stage);
    else
      weigh<false>(tile, lines, of_rows, of_cols, low, row_unit, col_unit, stage);
    block_barrier();  // the weights are there
    if (out) {
      stage.clear(excluded, i0, j0, height, width);
      block_barrier();  // and those without a part are cleared
    }
    stage.write(weights + Index(place.row) * kEdge * stride + Index(place.col) * kEdge, stride);
  }

 private:
  static constexpr int kEach = kColumnsEach<Tile>, kFew = 4;
  static constexpr bool kHasGradient = requires(const Policy p) {
    p.gradient(T(0), T(0), T(0), RowOf<Policy>{}, ColOf<Policy>{});
  };

  __device__ static void note(T lse, T& low, T& high) {
    if (lse - lse != 0) return;  // +infinity weighs nothing, -infinity has no pairs
    low = smaller(low, lse);
    high = larger(high, lse);
  }

  /// Pairs with one exponential: of_rows, of_cols are units times factors; or with two: log-sum-exps.
  template <bool Together>
  __device__ __forceinline__ void weigh(Tile& tile, const Lines<Tile, Policy>& lines,
                                        const T* of_rows, const T* of_cols, T low, T row_unit,
                                        T col_unit, const WeightStage<Tile>& stage) const {
    RowOf<Policy> row[Tile::kRows];
    T of_row[Tile::kRows];
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      row[r] = lines.row(r);
      of_row[r] = of_rows[Tile::row(r)];
    }
    constexpr int kGroup = Together ? Tile::kCols : kFew;  // the rare loop: short code
#pragma unroll 1
    for (int c0 = 0; c0 < Tile::kCols; c0 += kGroup) {
#pragma unroll
      for (int c = 0; c < kGroup; c += kEach) {
        ColOf<Policy> col[kEach];
        T of_col[kEach];
#pragma unroll
        for (int e = 0; e < kEach; ++e) {
          col[e] = lines.col(c0 + c + e);
          of_col[e] = of_cols[Tile::col(c0 + c + e)];
        }
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r) {
          T g[kEach];
#pragma unroll
          for (int e = 0; e < kEach; ++e)
            g[e] = weight<Together>(tile.sum(r, c + e), of_row[r], of_col[e], low, row_unit,
                                    col_unit, row[r], col[e]);
          stage.put(r, c0 + c, g);
        }
      }
      if (!Together) shift_columns<kGroup>(tile);
    }
  }

  template <bool Together>
  __device__ __forceinline__ T weight(T s, T of_row, T of_col, T low, T row_unit, T col_unit,
                                      const RowOf<Policy>& row, const ColOf<Policy>& col) const {
    T p = 0, q = 0;
    if constexpr (Together) {
      const T e = pair_exp2(multiply_add(policy.scale, s, -low));
      if constexpr (!kHasGradient)
        return e * ((Policy::kRows ? of_row : T(0)) + (Policy::kCols ? of_col : T(0)));
      if (Policy::kRows) p = e * of_row;
      if (Policy::kCols) q = e * of_col;
    } else {
      if (Policy::kRows) p = row_unit * pair_exp2(multiply_add(policy.scale, s, -of_row));
      if (Policy::kCols) q = col_unit * pair_exp2(multiply_add(policy.scale, s, -of_col));
    }
    if constexpr (kHasGradient)
      return policy.gradient(s, p, q, row, col);
    else
      return p + q;
  }
};

}  // namespace spheremix::gpu::pairwise
