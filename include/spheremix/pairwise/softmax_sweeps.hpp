// The two sweeps of a softmax loss over all pairs of rows of X (n x d) and Y (m x d), tile by tile.
//
//   sweep 1   tiles of S = X Y^T; per row (and column) the largest logit and the sum of
//             e^(logit - largest)
//   between   the loss turns statistics into shift and scale of every row and column (finish)
//   sweep 2   G = dL/dS in place of S, dX = G Y, dY = G^T X
//
// A loss over rows alone needs one strip at a time and both sweeps run strip by strip: 6 n m d
// flops in O(strip) memory. With columns too, strips kept from the first sweep cost 6 n m d in all,
// recomputed ones 8.
//
// Special pairs (positives, masked pairs: at most a few a row) are lifted out of S before the
// statistics, where they count as -infinity, and their entries of G are put in by the loss. So no
// loss subtracts its positive from a sum that it dominates.
#pragma once

#include <cmath>
#include <type_traits>

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/pairwise/pair_gradients.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::pairwise {

/// What few losses do to tiles besides: functions, so that the others do not compile them.
template <class T>
struct TileSteps {
  void* of;
  void (*start)(void* of, SweepMemory<T>& memory);
  /// Cosines of a tile, its special pairs lifted out; `again`: for the second time.
  void (*cosines)(void* of, Index i0, Index j0, core::MatrixView<T> s, bool again);
  void (*strip)(void* of, Index strip);  ///< all tiles of a strip had their first `cosines`
  void (*gradient)(void* of, Index i0, Index j0, core::MatrixView<T> g);  ///< dL/dS of a tile
};

/// The table of pairs of a loss.
template <class T>
struct PairTable {
  core::MatrixView<const T> x, y;
  Index slot_count;              ///< special pairs a row, unless `first` says
  const Index* special;          ///< one after another, row by row: its column, below 0 for none
  const Index* first = nullptr;  ///< n + 1: row i has special[first[i]] to special[first[i + 1]]
  const TileSteps<T>* steps = nullptr;

  Index first_special(Index i) const { return first ? first[i] : i * slot_count; }
  Index last_special(Index i) const { return first ? first[i + 1] : (i + 1) * slot_count; }
};

/// What the first sweep finds. sums are relative to their maximum; special pairs are not in them.
template <class T>
struct SoftmaxStatistics {
  T* row_max;       ///< n
  double* row_sum;  ///< n
  T* col_max;       ///< m
  double* col_sum;  ///< m
  T* special;       ///< of each special pair of the table: its cosine
};

/// What the second sweep needs: weights p = e^(z - row_shift) row_scale, likewise for columns.
template <class T>
struct SoftmaxWeights {
  T* row_shift;
  T* row_scale;
  T* col_shift;
  T* col_scale;
  double* special;  ///< of each special pair of the table: dL/dS
};

namespace detail {

/// Calls body(place, column) for the special pairs of row i with a column in [first, first + count).
template <class T, class Body>
void for_special(const PairTable<T>& table, Index i, Index first, Index count, const Body& body) {
  for (Index k = table.first_special(i); k < table.last_special(i); ++k) {
    const Index j = table.special[k];
    if (j >= first && j < first + count) body(k, j - first);
  }
}

/// One tile of S with its special pairs lifted out. They go to `special` unless that is null.
template <class T, class Products = PlainProducts>
void cosine_tile(const PairTable<T>& table, Index i0, Index j0, core::MatrixView<T> s,
                 std::type_identity_t<T>* special, PackBuffers<T>& pack) {
  Products::template times_transposed<T>(s, table.x.middle_rows(i0, s.rows),
                                         table.y.middle_rows(j0, s.cols), false, pack);
  for (Index i = 0; table.slot_count > 0 && i < s.rows; ++i)
    for_special(table, i0 + i, j0, s.cols, [&](Index k, Index j) {
      if (special) special[k] = s(i, j);
      s(i, j) = -core::infinity<T>;
    });
  if (table.steps) table.steps->cosines(table.steps->of, i0, j0, s, special == nullptr);
}

/// Runs body(row tile, column tile, i, rows, j, cols, thread) over a strip of `rows` rows, column
/// tile by column tile so that a thread's packed block of Y serves several row tiles.
template <class T, class Body>
void for_tiles(const Plan<T>& plan, Index rows, SweepMemory<T>& memory, const Body& body) {
  const Index row_tiles = tiles(rows, plan.row_tile), col_tiles = tiles(plan.m, plan.col_tile);
  for (int t = 0; t < plan.threads; ++t) memory.pack(t).packed = nullptr;
  core::parallel_for(row_tiles * col_tiles, plan.threads, [&](Index task, int thread) {
    const Index r = task % row_tiles, c = task / row_tiles;
    const Index i = r * plan.row_tile, j = c * plan.col_tile;
    body(r, c, i, (std::min)(plan.row_tile, rows - i), j, (std::min)(plan.col_tile, plan.m - j),
         thread);
  });
}

/// The cosines of a strip of fewer tiles than threads, by pieces of its columns: true where that was
/// done. A piece has the bits of its place in the tile (product.hpp).
template <class Products, class T>
bool cosines_in_pieces(const PairTable<T>& table, const Plan<T>& plan, Index first,
                       core::MatrixView<T> strip, SweepMemory<T>& memory, T* special) {
  const Index row_tiles = tiles(strip.rows, plan.row_tile);
  if (plan.threads == 1 || row_tiles * tiles(plan.m, plan.col_tile) >= plan.threads || table.steps)
    return false;
  const Index width = even_tile(plan.m, tiles(plan.m, tiles(plan.threads, row_tiles)), kChunk / 2);
  core::parallel_for(row_tiles * tiles(plan.m, width), plan.threads, [&](Index task, int thread) {
    const Index i = task % row_tiles * plan.row_tile, j = task / row_tiles * width;
    memory.pack(thread).packed = nullptr;
    cosine_tile<T, Products>(table, first + i, j,
                             {strip.row(i) + j, (std::min)(plan.row_tile, strip.rows - i),
                              (std::min)(width, plan.m - j), plan.stride},
                             special, memory.pack(thread));
  });
  return true;
}

/// Statistics of strip s: tiles in parallel, partial results merged in the order of the tiles.
template <class Products, class T, class Policy>
void strip_statistics(const PairTable<T>& table, const Policy& policy, const Plan<T>& plan,
                      Keep keep, Index s, SweepMemory<T>& memory,
                      const SoftmaxStatistics<T>& stats) {
  const Index first = plan.strip_first(s), rows = plan.strip_count(s);
  const Index padded = tiles(plan.m, plan.col_tile) * plan.col_tile;
  const bool has_s =
      keep != Keep::nothing &&
      cosines_in_pieces<Products>(table, plan, first, memory.strip(s), memory, stats.special);
  for_tiles(
      plan, rows, memory,
      [&](Index r, Index c, Index i, Index tile_rows, Index j, Index tile_cols, int thread) {
        core::MatrixView<T> tile =
            keep == Keep::nothing
                ? core::MatrixView<T>{memory.tile(thread), tile_rows, tile_cols, plan.col_tile}
                : core::MatrixView<T>{memory.strip(s).row(i) + j, tile_rows, tile_cols,
                                      plan.stride};
        if (!has_s)
          cosine_tile<T, Products>(table, first + i, j, tile, stats.special, memory.pack(thread));
        SPHEREMIX_DISPATCH(softmax_statistics<T, Policy>)
        (policy, tile, first + i, j, memory.row_max + c * plan.strip_rows + i,
         memory.row_sum + c * plan.strip_rows + i, memory.col_max + r * padded + j,
         memory.col_sum + r * padded + j);
      });
  if (table.steps) table.steps->strip(table.steps->of, s);
  constexpr Index chunk = 512;
  if constexpr (Policy::kRows)
    core::parallel_for(tiles(rows, chunk), plan.threads, [&](Index task, int) {
      for (Index i = task * chunk; i < (std::min)(rows, (task + 1) * chunk); ++i) {
        T top = -core::infinity<T>;
        double sum = 0;
        for (Index c = 0; c < tiles(plan.m, plan.col_tile); ++c)
          formula::merge_softmax(top, sum, memory.row_max[c * plan.strip_rows + i],
                                 double(memory.row_sum[c * plan.strip_rows + i]));
        stats.row_max[first + i] = top;
        stats.row_sum[first + i] = sum;
      }
    });
  if constexpr (Policy::kCols)
    core::parallel_for(tiles(plan.m, chunk), plan.threads, [&](Index task, int) {
      for (Index j = task * chunk; j < (std::min)(plan.m, (task + 1) * chunk); ++j) {
        T top = s == 0 ? -core::infinity<T> : stats.col_max[j];
        double sum = s == 0 ? 0 : stats.col_sum[j];
        for (Index r = 0; r < tiles(rows, plan.row_tile); ++r)
          formula::merge_softmax(top, sum, memory.col_max[r * padded + j],
                                 double(memory.col_sum[r * padded + j]));
        stats.col_max[j] = top;
        stats.col_sum[j] = sum;
      }
    });
}

/// Second sweep over strip s: S again where it was not kept, G in its place, then the products.
/// Returns sum G o S over the pairs that are not special.
template <class Products, class T, class Policy>
double strip_gradient(const PairTable<T>& table, const Policy& policy, const Plan<T>& plan, Index s,
                      bool has_s, SweepMemory<T>& memory, const SoftmaxWeights<T>& weights,
                      const PairGradients<T>& out, bool add_y) {
  const Index first = plan.strip_first(s);
  const core::MatrixView<T> g = memory.strip(s);
  const Index row_tiles = tiles(g.rows, plan.row_tile), col_tiles = tiles(plan.m, plan.col_tile);
  for_tiles(
      plan, g.rows, memory,
      [&](Index tile_row, Index tile_col, Index i, Index rows, Index j, Index cols, int thread) {
        const core::MatrixView<T> tile{g.row(i) + j, rows, cols, g.stride};
        if (!has_s)
          cosine_tile<T, Products>(table, first + i, j, tile, nullptr, memory.pack(thread));
        memory.moment[tile_row * col_tiles + tile_col] =
            SPHEREMIX_DISPATCH(softmax_gradient<T, Policy>)(
                policy, tile, first + i, j, Policy::kRows ? weights.row_shift + first + i : nullptr,
                Policy::kRows ? weights.row_scale + first + i : nullptr,
                Policy::kCols ? weights.col_shift + j : nullptr,
                Policy::kCols ? weights.col_scale + j : nullptr);
        if (table.steps) table.steps->gradient(table.steps->of, first + i, j, tile);
        for (Index r = 0; r < rows; ++r)
          for_special(table, first + i + r, j, cols,
                      [&](Index k, Index c) { tile(r, c) = T(weights.special[k]); });
      });
  pair_gradients<T, Products>(table.x, table.y, plan, g, g, first, memory, out, add_y);
  double moment = 0;
  for (Index t = 0; t < row_tiles * col_tiles; ++t) moment += memory.moment[t];
  return moment;
}

/// Zeros where the gradients of a share have no part.
template <class T>
void clear_others(const Plan<T>& plan, const PairGradients<T>& out) {
  if (out.dx.data && !out.add_x) core::OwnRows(plan.from, plan.to).clear_others(out.dx);
  if (out.dy.data && !out.add_y && plan.strips == 0) out.dy.fill(T(0));
}

/// Of a share, too: no part of a loss where the special pairs are other ranks'.
template <class T>
SPHEREMIX_COLD void clear_others(const Plan<T>& plan, const PairTable<T>& table,
                                 const SoftmaxWeights<T>& weights, const PairGradients<T>& out) {
  clear_others(plan, out);
  for (Index k = 0; weights.special && k < table.first_special(plan.n); ++k)
    if (k < table.first_special(plan.from) || k >= table.first_special(plan.to))
      weights.special[k] = 0;
}

/// The statistics of columns over all shares, and the cosines of all special pairs.
template <class T>
SPHEREMIX_COLD void share_columns(const core::Share& share, const Plan<T>& plan,
                                  const PairTable<T>& table, const SoftmaxStatistics<T>& stats) {
  if (plan.strips == 0) {
    std::fill_n(stats.col_max, plan.m, -core::infinity<T>);
    std::fill_n(stats.col_sum, plan.m, 0.0);
  }
  share.merge(stats.col_max, stats.col_sum, plan.m);
  share.gather(
      stats.special, plan.n,
      [](const void* of, Index row) {
        return std::size_t(static_cast<const PairTable<T>*>(of)->first_special(row)) * sizeof(T);
      },
      &table);
}

}  // namespace detail

/// How much of S the sweeps of a policy want to keep.
template <class Policy>
constexpr Keep keep_for(bool gradients) {
  return !gradients ? Keep::nothing : Policy::kCols ? Keep::all : Keep::strip;
}

/// Runs both sweeps (the first alone without gradients). finish.rows(first, count) is called once
/// for all rows, or strip by strip for a policy without columns; finish.cols(from, to) after it for
/// one with columns, which counts special pairs of rows [from, to): all, or those of the frame's
/// share. They read `stats` and fill `weights`. Returns sum G o S over the pairs that are
/// not special: -dL/d ln(tau) of those. X and Y must be finite. Products: whose matrix products.
template <class Products = PlainProducts, class T, class Policy, class Finish>
double softmax_sweeps(const PairTable<T>& table, const Policy& policy, const Plan<T>& whole,
                      core::Workspace::Frame& frame, const SoftmaxStatistics<T>& stats,
                      const SoftmaxWeights<T>& weights, Finish&& finish,
                      const PairGradients<T>& out) {
  const bool gradients = out.wanted();
  const Keep keep = keep_for<Policy>(gradients);
  const core::Share* const share = frame.share();
  const Plan<T> plan = whole.part(share);
  if (share) detail::clear_others(plan, table, weights, out);
  SweepMemory<T> memory(plan, keep, frame);
  if (table.steps) table.steps->start(table.steps->of, memory);
  bool add_y = out.add_y;
  double moment = 0;
  for (Index s = 0; s < plan.strips; ++s) {
    detail::strip_statistics<Products>(table, policy, plan, keep, s, memory, stats);
    if constexpr (!Policy::kCols) {
      finish.rows(plan.strip_first(s), plan.strip_count(s));
      if (gradients)
        moment += detail::strip_gradient<Products>(table, policy, plan, s, true, memory, weights,
                                                   out, add_y);
      add_y = true;
    }
  }
  if constexpr (Policy::kCols) {
    if constexpr (Policy::kRows) finish.rows(plan.from, plan.to - plan.from);
    if (share) detail::share_columns(*share, plan, table, stats);
    finish.cols(plan.from, plan.to);
    if (!gradients) return 0;
    // Backwards: the strip computed last is still in the shared memory of the strips that were not
    // kept.
    for (Index s = plan.strips - 1; s >= 0; --s) {
      const bool has_s =
          s < plan.kept_strips - 1 || s == plan.strips - 1 || plan.kept_strips == plan.strips;
      moment += detail::strip_gradient<Products>(table, policy, plan, s, has_s, memory, weights,
                                                 out, add_y);
      add_y = true;
    }
  }
  return moment;
}

}  // namespace spheremix::pairwise
