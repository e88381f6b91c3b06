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

#include "spheremix/gpu/core/scratch.cuh"
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

/// Scratch that both sweeps use, one after the other.
template <class Tile>
std::size_t sweep_bytes(const RangeLimits& r, bool rows, bool cols, bool gradient,
                        bool row_sums = false) {
  using Pair = RowPair<typename Tile::Sum>;
  const std::size_t kEdge = Tile::kEdge,
                    size = std::size_t(r.statistics_rows) * std::size_t(r.statistics_cols) / kEdge;
  const std::size_t statistics =
      (rows ? scratch_bytes<Pair>(size) : 0) + (cols ? scratch_bytes<Pair>(size) : 0) +
      (row_sums ? scratch_bytes<typename Tile::Sum>(size) : 0) + kScratchAlignment +
      (kReadsCosines<Tile> && (rows || cols || row_sums) ? scratch_bytes<Half>(size * kEdge) : 0);
  const std::size_t weights = scratch_bytes<typename Tile::Weight>(std::size_t(r.weights_rows) *
                                                                   std::size_t(r.weights_cols));
  return gradient && weights > statistics ? weights : statistics;
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

/// Calls f(range) for the ranges of rows x [col_first, col_first + cols), columns outermost, until
/// one fails.
template <class F>
Status for_ranges(Index rows, Index col_first, Index cols, Index most_rows, Index most_cols, F f) {
  for (Index j = 0; j < cols; j += most_cols)
    for (Index i = 0; i < rows; i += most_rows) {
      const Status status = f(Range{i, rows - i < most_rows ? rows - i : most_rows, col_first + j,
                                    cols - j < most_cols ? cols - j : most_cols});
      if (!status) return status;
    }
  return {};
}

/// What a range's tiles multiply, in *a and *b: x and y, or their cosines, which are enqueued into
/// `strip` (rows of `stride`).
template <class Tile, class Products>
Status operands(const core::MatrixView<const typename Tile::Input>& x,
                const core::MatrixView<const typename Tile::Input>& y, Index y_first,
                const Range& r, typename Tile::Weight* strip, Index stride,
                const Products& products, cudaStream_t stream, typename OperandOf<Tile>::Type* a,
                typename OperandOf<Tile>::Type* b) {
  if constexpr (kReadsCosines<Tile>) {
    const Index j = r.j0 - y_first;
    *a = *b = {strip, stride, r.i0, r.i0 + r.rows, j, j + r.cols};
    return products.cosines(x.middle_rows(r.i0, r.rows), y.middle_rows(j, r.cols), strip, stride,
                            stream);
  } else {
    *a = x;
    *b = y;
    return {};
  }
}

/// Sweep 1 over y's columns. Row statistics go on from what is there unless y_first is 0.
template <class Tile, class Policy, class Products>
Status sweep_statistics(const Table<Tile, Policy>& t, const RangeLimits& limits, Scratch scratch,
                        cudaStream_t stream, const Products& products) {
  using T = typename Tile::Sum;
  constexpr Index kEdge = Tile::kEdge;
  ScratchFrame frame(scratch);
  const std::size_t size =
      std::size_t(limits.statistics_rows) * std::size_t(limits.statistics_cols) / Tile::kEdge;
  RowPair<T>* const by_row = Policy::kRows ? frame.take<RowPair<T>>(size) : nullptr;
  RowPair<T>* const by_col = Policy::kCols ? frame.take<RowPair<T>>(size) : nullptr;
  T* const sums = kWantsRowSums<Policy> ? frame.take<T>(size) : nullptr;
  typename Tile::Weight* strip = nullptr;
  T* positives = t.positives;
  if constexpr (kReadsCosines<Tile>) {
    strip = frame.take<typename Tile::Weight>(size * Tile::kEdge);
    positives = nullptr;  // a loss near 0 shows their rounding: f32, not the strip's fp16
    using Dot = PairDotKernel<typename Tile::Input>;
    if (t.positives) {
      const Status status =
          start(Dot{t.x, t.y.middle_rows(t.positive - t.y_first, t.x.rows), t.positives},
                ceil_div(t.x.rows, Dot::kRowsEach), stream);
      if (!status) return status;
    }
  }
  return for_ranges(
      t.x.rows, t.y_first, t.y.rows, limits.statistics_rows, limits.statistics_cols,
      [&](const Range& r) -> Status {
        const Index tile_rows = ceil_div(r.rows, kEdge), tile_cols = ceil_div(r.cols, kEdge);
        typename OperandOf<Tile>::Type x, y;
        Status status = operands<Tile>(t.x, t.y, t.y_first, r, strip, limits.statistics_cols,
                                       products, stream, &x, &y);
        if (status)
          status =
              start(StatisticsKernel<Tile, Policy>{x, y, t.y_first, r, t.policy, t.excluded,
                                                   t.positive, positives, by_row, by_col, sums},
                    tile_rows * tile_cols, stream);
        if (!status) return status;
        if (sums) {
          const MergeSumsKernel<T, 1> add{{{sums, r.rows, tile_cols, t.row_sums + r.i0}}};
          const Status merged = start(add, add.blocks(), stream);
          if (!merged) return merged;
        }
        MergeKernel<T> merge{};
        if (Policy::kRows)
          merge.side[0] = {by_row, r.rows, tile_cols, t.rows + r.i0, r.j0 == 0 && !t.go_on};
        if (Policy::kCols)
          merge.side[1] = {by_col, r.cols, tile_rows, t.cols + r.j0, r.i0 == 0 && !t.go_on};
        return start(merge, merge.blocks(), stream);
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
Status sweep_gradients(const Table<Tile, Policy>& t, const Gradients<typename Tile::Sum>& out,
                       typename Tile::Sum alpha, const RangeLimits& limits, Scratch scratch,
                       cudaStream_t stream, const Products& products) {
  constexpr Index kEdge = Tile::kEdge;
  ScratchFrame frame(scratch);
  const Index stride = limits.weights_cols;
  auto* const weights = frame.take<typename Tile::Weight>(std::size_t(limits.weights_rows) *
                                                          std::size_t(limits.weights_cols));
  return for_ranges(
      t.x.rows, t.y_first, t.y.rows, limits.weights_rows, limits.weights_cols,
      [&](const Range& r) -> Status {
        typename OperandOf<Tile>::Type x, y;
        Status status =
            operands<Tile>(t.x, t.y, t.y_first, r, weights, stride, products, stream, &x, &y);
        if (status)
          status = start(WeightsKernel<Tile, Policy>{x, y, t.y_first, r, t.policy, t.excluded,
                                                     t.rows, t.cols, weights, stride},
                         ceil_div(r.rows, kEdge) * ceil_div(r.cols, kEdge), stream);
        if (!status) return status;
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
        return products(to_x, to_y, stream);
      });
}

}  // namespace spheremix::gpu::pairwise
