// The pairwise engine on the device: an N x M table of cosines, walked in ranges that fit the
// scratch, twice.
//
//   sweep 1   statistics of each range (statistics.cuh), merged into one (maximum, sum) a row and a
//             column
//   sweep 2   weights G of each range (weights.cuh), then dX += G Y and dY += G^T X (products.cuh)
//
// Tiles form their cosines themselves, or read those of a range that a library's GEMM wrote before
// (stored_cosines.cuh): then sweep 1's ranges are sweep 2's, and need 2 R C bytes.
//
// The table itself never exists: 8 N M D flops in all, and memory for one range. Ranges of sweep 1
// are bounded by their partial results (R C / 16 to R C / 8 bytes), those of sweep 2 by G (2 R C
// bytes at 16 bit): 32 MiB by default, which an H100's L2 cache (50 MiB) holds. Order of ranges and
// merges is fixed; nothing depends on timing.
#pragma once

#include "spheremix/gpu/pairwise/merge.cuh"
#include "spheremix/gpu/pairwise/pair_dot.cuh"
#include "spheremix/gpu/pairwise/products.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"
#include "spheremix/gpu/pairwise/statistics.cuh"
#include "spheremix/gpu/pairwise/weights.cuh"

namespace spheremix::gpu::pairwise {

/// The largest ranges of the two sweeps, multiples of the tile's edge.
struct RangeLimits {
  Index statistics_rows, statistics_cols, weights_rows, weights_cols;
};

/// For a table of rows x cols. `block` > 0 overrides both (rounded up to whole tiles).
template <class Tile>
RangeLimits range_limits(Index rows, Index cols, Index block) {
  constexpr Index kEdge = Tile::kEdge, kWeights = sizeof(typename Tile::Weight) == 2 ? 4096 : 2048;
  const auto limit = [&](Index size, Index most) {
    const Index whole = round_up(size > 0 ? size : 1, kEdge),
                asked = block > 0 ? round_up(block, kEdge) : most;
    return whole < asked ? whole : asked;
  };
  const Index weights_rows = limit(rows, kWeights), weights_cols = limit(cols, kWeights);
  if (kReadsCosines<Tile>) return {weights_rows, weights_cols, weights_rows, weights_cols};
  return {limit(rows, 8192), limit(cols, 16384), weights_rows, weights_cols};
}

/// One table: x's rows against y's rows, what counts, and where its statistics are.
template <class Tile, class Policy>
struct Table {
  using T = typename Tile::Sum;
  using Input = typename Tile::Input;
  core::MatrixView<const Input> x, y;
  Index y_first = 0;  ///< the column that y's row 0 stands for
  Policy policy;
  Excluded excluded;
  Index positive = 0;
  T* positives = nullptr;
  RowPair<T>* rows = nullptr;
  RowPair<T>* cols = nullptr;
  bool go_on = false;     ///< the statistics hold those of other tables already: add to them
  T* row_sums = nullptr;  ///< where Policy::kRowSums: those of a row's pairs are added here
};

/// Calls f(range) for the ranges of rows x [col_first, col_first + cols), columns outermost.
template <class F>
void for_ranges(Index rows, Index col_first, Index cols, Index most_rows, Index most_cols,
                const F& f) {
  for (Index j = 0; j < cols; j += most_cols)
    for (Index i = 0; i < rows; i += most_rows)
      f(Range{i, rows - i < most_rows ? rows - i : most_rows, col_first + j,
              cols - j < most_cols ? cols - j : most_cols});
}

/// What a range's tiles multiply, in *a and *b: x and y, or their cosines, which are enqueued into
/// `strip` (rows of `stride`).
template <class Tile, class Products>
void operands(Work& work, const core::MatrixView<const typename Tile::Input>& x,
              const core::MatrixView<const typename Tile::Input>& y, Index y_first, const Range& r,
              typename Tile::Weight* strip, Index stride, const Products& how,
              typename OperandOf<Tile>::Type* a, typename OperandOf<Tile>::Type* b) {
  if constexpr (kReadsCosines<Tile>) {
    const Index j = r.j0 - y_first;
    *a = *b = {strip, stride, r.i0, r.i0 + r.rows, j, j + r.cols};
    work.then([&](cudaStream_t stream) {
      return how.cosines(x.middle_rows(r.i0, r.rows), y.middle_rows(j, r.cols), strip, stride,
                         stream);
    });
  } else {
    *a = x;
    *b = y;
  }
}

/// Sweep 1 over y's columns. Row statistics go on from what is there unless y_first is 0.
template <class Tile, class Policy, class Products>
void sweep_statistics(Work& work, const Table<Tile, Policy>& t, const RangeLimits& limits,
                      const Products& how) {
  using T = typename Tile::Sum;
  constexpr Index kEdge = Tile::kEdge;
  const Work::Part part(work);
  const Index size = limits.statistics_rows * limits.statistics_cols / kEdge;
  RowPair<T>* const by_row = Policy::kRows ? work.take<RowPair<T>>(size) : nullptr;
  RowPair<T>* const by_col = Policy::kCols ? work.take<RowPair<T>>(size) : nullptr;
  T* const sums = kWantsRowSums<Policy> ? work.take<T>(size) : nullptr;
  typename Tile::Weight* strip = nullptr;
  T* positives = t.positives;
  if constexpr (kReadsCosines<Tile>) {
    strip = work.take<typename Tile::Weight>(size * kEdge);
    positives = nullptr;  // a loss near 0 shows their rounding: f32, not the strip's fp16
    using Dot = PairDotKernel<typename Tile::Input>;
    if (t.positives)
      start(work, Dot{t.x, t.y.middle_rows(t.positive - t.y_first, t.x.rows), t.positives},
            ceil_div(t.x.rows, Dot::kRowsEach));
  }
  for_ranges(t.x.rows, t.y_first, t.y.rows, limits.statistics_rows, limits.statistics_cols,
             [&](const Range& r) {
               const Index tile_rows = ceil_div(r.rows, kEdge), tile_cols = ceil_div(r.cols, kEdge);
               typename OperandOf<Tile>::Type x, y;
               operands<Tile>(work, t.x, t.y, t.y_first, r, strip, limits.statistics_cols, how, &x,
                              &y);
               start(work,
                     StatisticsKernel<Tile, Policy>{x, y, t.y_first, r, t.policy, t.excluded,
                                                    t.positive, positives, by_row, by_col, sums},
                     tile_rows * tile_cols);
               if (sums) {
                 const MergeSumsKernel<T, 1> add{{{sums, r.rows, tile_cols, t.row_sums + r.i0}}};
                 start(work, add, add.blocks());
               }
               MergeKernel<T> merge{};
               if (Policy::kRows)
                 merge.side[0] = {by_row, r.rows, tile_cols, t.rows + r.i0, r.j0 == 0 && !t.go_on};
               if (Policy::kCols)
                 merge.side[1] = {by_col, r.cols, tile_rows, t.cols + r.j0, r.i0 == 0 && !t.go_on};
               start(work, merge, merge.blocks());
             });
}

/// Where sweep 2 adds: dx (rows of x), dy (rows of y, none without data), f32 or f64. The first
/// range of a row or column overwrites unless `add` says otherwise.
template <class T>
struct Gradients {
  core::MatrixView<T> dx, dy;
  bool add_dx = false, add_dy = false;
};

/// Sweep 2 over y's columns: dx += alpha G y, dy += alpha G^T x.
template <class Tile, class Policy, class Products>
void sweep_gradients(Work& work, const Table<Tile, Policy>& t,
                     const Gradients<typename Tile::Sum>& out, typename Tile::Sum alpha,
                     const RangeLimits& limits, const Products& how) {
  constexpr Index kEdge = Tile::kEdge;
  const Work::Part part(work);
  const Index stride = limits.weights_cols;
  auto* const weights = work.take<typename Tile::Weight>(limits.weights_rows * stride);
  for_ranges(
      t.x.rows, t.y_first, t.y.rows, limits.weights_rows, limits.weights_cols, [&](const Range& r) {
        typename OperandOf<Tile>::Type x, y;
        operands<Tile>(work, t.x, t.y, t.y_first, r, weights, stride, how, &x, &y);
        start(work,
              WeightsKernel<Tile, Policy>{x, y, t.y_first, r, t.policy, t.excluded, t.rows, t.cols,
                                          weights, stride},
              ceil_div(r.rows, kEdge) * ceil_div(r.cols, kEdge));
        const Index j = r.j0 - t.y_first;
        const ProductSide<Tile> to_x{weights,
                                     stride,
                                     false,
                                     t.y.middle_rows(j, r.cols),
                                     out.dx.middle_rows(r.i0, r.rows),
                                     alpha,
                                     out.add_dx || r.j0 > 0};
        const ProductSide<Tile> to_y{
            weights,
            stride,
            true,
            t.x.middle_rows(r.i0, r.rows),
            out.dy.data ? out.dy.middle_rows(j, r.cols) : core::MatrixView<typename Tile::Sum>{},
            alpha,
            out.add_dy || r.i0 > 0};
        multiply(work, how, to_x, to_y);
      });
}

}  // namespace spheremix::gpu::pairwise
