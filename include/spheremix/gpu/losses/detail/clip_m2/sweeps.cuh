// The sweeps of CLIP + m2-Mix over shared tiles: one triangle of the cosines of [X; Y] with itself,
// twice, in ranges of pairs.
//
//   sweep 1   4 N^2 D flops: the four lines' statistics (statistics.cuh), merged
//   sweep 2   4 N^2 D: H = dL/d(cosines) (weights.cuh), then 8 N^2 D: the products
//             dX += H_xx X + H_xy Y,  dY += H_yx X + H_yy Y, and the mirror images
//
// 16 N^2 D in all, for both losses; as four tables of their own they are 24. Ranges, merges and
// products have one order.
#pragma once

#include "spheremix/gpu/losses/detail/clip_m2/statistics.cuh"
#include "spheremix/gpu/losses/detail/clip_m2/weights.cuh"
#include "spheremix/gpu/pairwise/engine.cuh"

namespace spheremix::gpu::losses::detail::clip_m2 {

using namespace pairwise;

/// The largest ranges of the two sweeps in pairs, multiples of the tile's edge.
struct MixLimits {
  Index statistics, weights;

  Index weights_tiles(Index edge) const { return 2 * weights / edge; }
};

template <class Tile>
MixLimits mix_limits(Index n, Index block) {
  const RangeLimits r = range_limits<Tile>(n, n, block);
  const auto limit = [&](Index most) { return r.weights_rows < most ? r.weights_rows : most; };
  constexpr Index kMost = sizeof(typename Tile::Weight) == 2 ? 2048 : 1024;
  return {limit(2 * kMost), limit(kMost)};
}

/// Everything about the pairs that both sweeps know.
template <class Tile>
struct MixTables {
  using T = typename Tile::Sum;
  core::MatrixView<const typename Tile::Input> x, y;
  MixScales<T> scale;
  const RowPair<T>* weights;     ///< (a, b) by pair
  RowPair<T>* lines[kMixLines];  ///< by pair: (maximum, sum), between the sweeps (log-sum-exp, ...)
};

/// Calls f(range) for the ranges on and above the diagonal of n pairs.
template <class F>
void for_upper_ranges(Index n, Index edge, const F& f) {
  for_ranges(n, 0, n, edge, edge, [&](const Range& r) {
    if (r.i0 <= r.j0) f(r);
  });
}

template <class Tile>
void mix_statistics(Work& work, const MixTables<Tile>& t, const MixLimits& limits) {
  using T = typename Tile::Sum;
  using Kernel = MixStatisticsKernel<Tile>;
  constexpr Index kPairs = Kernel::kPairs;
  const Work::Part part(work);
  const Index size = 2 * kMixLines * limits.statistics * limits.statistics / Tile::kEdge;
  auto* const by_row = work.take<RowPair<T>>(size);
  auto* const by_col = work.take<RowPair<T>>(size);
  for_upper_ranges(t.x.rows, limits.statistics, [&](const Range& r) {
    const bool diagonal = r.i0 == r.j0;
    const Index tile_rows = ceil_div(r.rows, kPairs), tile_cols = ceil_div(r.cols, kPairs);
    start(work, Kernel{{t.x, t.y}, r, t.scale, t.weights, by_row, diagonal ? by_row : by_col},
          tile_rows * tile_cols);
    MergeKernel<T, 2 * kMixLines> merge{};
    for (int l = 0; l < kMixLines; ++l) {
      merge.side[2 * l] = {by_row + l * tile_cols * r.rows, r.rows, tile_cols, t.lines[l] + r.i0,
                           r.j0 == 0};
      if (!diagonal)
        merge.side[2 * l + 1] = {by_col + l * tile_rows * r.cols, r.cols, tile_rows,
                                 t.lines[l] + r.j0, r.i0 == 0};
    }
    start(work, merge, merge.blocks());
  });
}

/// Where sweep 2 puts its results. dx and dy are overwritten; da and db (dL/d weights over alpha) by
/// pair; moments, one a tile of the largest range, add up to CLIP's sum of dL/d(cosine) times cosine.
template <class T>
struct MixOutputs {
  core::MatrixView<T> dx, dy;
  T *da, *db;
  double* moments;
};

/// `unit` as in weights.cuh; dx = alpha H ...
template <class Tile, class Products>
void mix_gradients(Work& work, const MixTables<Tile>& t, const MixScales<typename Tile::Sum>& unit,
                   typename Tile::Sum alpha, const MixOutputs<typename Tile::Sum>& out,
                   const MixLimits& limits, const Products& how) {
  using T = typename Tile::Sum;
  using Kernel = MixWeightsKernel<Tile>;
  const Work::Part part(work);
  const Index stride = limits.weights, size = stride * stride, partials = 4 * size / Tile::kEdge;
  auto* const h = work.take<typename Tile::Weight>(4 * size);
  T* const by_row = work.take<T>(partials);
  T* const by_col = work.take<T>(partials);
  for_upper_ranges(t.x.rows, limits.weights, [&](const Range& r) {
    const bool diagonal = r.i0 == r.j0;
    const Index tile_rows = Kernel::tiles(r.rows), tile_cols = Kernel::tiles(r.cols);
    start(work,
          Kernel{{t.x, t.y},
                 r,
                 t.scale,
                 unit,
                 t.weights,
                 {t.lines[0], t.lines[1], t.lines[2], t.lines[3]},
                 h,
                 stride,
                 size,
                 by_row,
                 diagonal ? by_row : by_col,
                 out.moments,
                 r.j0 == 0,
                 double(alpha)},
          tile_rows * tile_cols);
    MergeSumsKernel<T, 4> merge{};
    T* const sums[2] = {out.da, out.db};
    for (int k = 0; k < 2; ++k) {
      merge.side[2 * k] = {by_row + k * tile_cols * r.rows, r.rows, tile_cols, sums[k] + r.i0,
                           r.j0 == 0};
      if (!diagonal)
        merge.side[2 * k + 1] = {by_col + k * tile_rows * r.cols, r.cols, tile_rows, sums[k] + r.j0,
                                 r.i0 == 0};
    }
    start(work, merge, merge.blocks());
    // Two launches a direction: what X's rows weigh, then what Y's rows weigh.
    const auto add = [&](bool transposed, const Range& to) {
      for (int key = 0; key < 2; ++key) {
        const auto b = (key ? t.y : t.x).middle_rows(to.j0, to.cols);
        const auto side = [&](int anchor, const core::MatrixView<T>& d) {
          const int which = transposed ? 2 * key + anchor : 2 * anchor + key;
          return ProductSide<Tile>{
              h + which * size,    stride, transposed, b, d.middle_rows(to.i0, to.rows), alpha,
              key > 0 || to.j0 > 0};
        };
        multiply(work, how, side(0, out.dx), side(1, out.dy));
      }
    };
    add(false, r);
    if (!diagonal) add(true, {r.j0, r.cols, r.i0, r.rows});
  });
}

}  // namespace spheremix::gpu::losses::detail::clip_m2
