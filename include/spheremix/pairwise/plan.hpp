// How a sweep over all pairs is cut up: tiles, strips, threads and memory, from the shapes and the
// budget.
//
//   tile    the unit of work: at most kStripRows x kPackCols pairs
//   strip   kStripRows rows of the N x M table (or all of them when the whole table fits): what is
//           in memory at once
//
// Strips that fit into the budget are kept from the first sweep for the second; the others are
// computed again. Only the number of threads depends on the machine, and no result depends on it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/compiled.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/share.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::pairwise {

/// `parts` equal pieces of n, each a multiple of `unit` and at most `most`.
inline Index even_tile(Index n, Index most, Index unit) {
  const Index parts = std::max<Index>(1, (n + most - 1) / most);
  const Index piece = (n + parts - 1) / parts;
  return (std::max)(unit, (piece + unit - 1) / unit * unit);
}

inline Index tiles(Index n, Index tile) { return (n + tile - 1) / tile; }

/// Distance between rows of m numbers in a strip: whole vectors, and rows apart in the cache.
inline Index row_stride(Index m) { return (m + 15) / 16 * 16 + 16; }

/// Rows of a strip: half a thousand.
inline constexpr Index kStripRows = 6 * kRowUnit;

/// Rows of a gradient that one task computes: between these, because every task packs the whole
/// other side.
inline constexpr Index kLeastProductRows = kRowUnit, kMostProductRows = 24 * kRowUnit;

/// Which memory a sweep needs besides its inputs and outputs.
enum class Keep {
  nothing,  ///< tiles are used at once: one tile a thread
  strip,    ///< one strip at a time is enough
  all,      ///< a second sweep wants all strips again: keep as many as fit
};

/// The cut of an n x m table of pairs of rows of length d.
template <class T>
struct Plan {
  Index n, m, depth;
  Index row_tile, col_tile;  ///< of the table
  Index product_tile;        ///< rows of a gradient that one task computes
  Index strip_rows;
  Index strips;       ///< strips in the table
  Index kept_strips;  ///< strips with memory of their own, at least 1 unless Keep::nothing
  Index stride;       ///< of a strip
  int threads;
  std::size_t bytes;       ///< temporary memory in all
  std::size_t part_bytes;  ///< of what a loss sums up itself of a line of one tile

  Index from, to;  ///< rows that are computed: all, or a share

  Index strip_first(Index s) const { return from + s * strip_rows; }
  Index strip_count(Index s) const { return (std::min)(strip_rows, to - strip_first(s)); }

  /// The same cut of the rows of a share, which may have none; null: itself.
  Plan part(const core::Share* share) const {
    Plan p = *this;
    if (!share) return p;
    const core::OwnRows own(share, n);
    p.from = own.from;
    p.to = own.to;
    p.strips = tiles(own.count(), strip_rows);
    p.kept_strips = (std::max)(Index(1), (std::min)(kept_strips, p.strips));
    return p;
  }
};

/// What each thread of a sweep has of its own. `tile` is null where strips are kept.
template <class T>
struct ThreadMemory {
  PackBuffers<T> pack;
  T* tile;

  ThreadMemory(const Plan<T>& plan, Keep keep, core::Workspace::Frame& frame)
      : pack(take_pack<T>(frame)),
        tile(keep == Keep::nothing ? frame.take<T>(std::size_t(plan.row_tile * plan.col_tile))
                                   : nullptr) {}
};

/// The memory of one sweep, handed out of a frame.
template <class T>
class SweepMemory {
 public:
  SweepMemory(const Plan<T>& plan, Keep keep, core::Workspace::Frame& frame) : plan_(plan) {
    threads_ = frame.take<ThreadMemory<T>>(std::size_t(plan.threads));
    for (int t = 0; t < plan.threads; ++t) {
      const ThreadMemory<T> mine(plan, keep, frame);
      if (!frame.counts()) new (threads_ + t) ThreadMemory<T>(mine);
    }
    const std::size_t row_tiles = std::size_t(tiles(plan.strip_rows, plan.row_tile)),
                      col_tiles = std::size_t(tiles(plan.m, plan.col_tile));
    row_max = frame.take<T>(std::size_t(plan.strip_rows) * col_tiles);
    row_sum = frame.take<T>(std::size_t(plan.strip_rows) * col_tiles);
    col_max = frame.take<T>(row_tiles * col_tiles * std::size_t(plan.col_tile));
    col_sum = frame.take<T>(row_tiles * col_tiles * std::size_t(plan.col_tile));
    moment = frame.take<double>(row_tiles * col_tiles);
    row_part = frame.take<std::byte>(plan.part_bytes * std::size_t(plan.strip_rows) * col_tiles);
    col_part = frame.take<std::byte>(plan.part_bytes * row_tiles * std::size_t(plan.m));
    if (keep != Keep::nothing)
      strips_ = frame.take<T>(std::size_t(plan.strip_rows * plan.stride * plan.kept_strips));
  }

  PackBuffers<T>& pack(int thread) { return threads_[thread].pack; }
  T* tile(int thread) { return threads_[thread].tile; }

  /// Strip s of S: its own memory or, past the kept ones, the last strip's.
  core::MatrixView<T> strip(Index s) const {
    const Index place = (std::min)(s, plan_.kept_strips - 1);
    return {strips_ + place * plan_.strip_rows * plan_.stride, plan_.strip_count(s), plan_.m,
            plan_.stride};
  }

  T *row_max, *row_sum, *col_max, *col_sum;  ///< partial statistics, tile after tile
  double* moment;                            ///< sum G o S of each tile of a strip
  std::byte *row_part, *col_part;            ///< of a loss's own sums, likewise

 private:
  const Plan<T>& plan_;
  ThreadMemory<T>* threads_ = nullptr;
  T* strips_ = nullptr;
};

/// Plans a sweep whose caller needs `other_bytes` of the budget itself, and `part_bytes` for a line of
/// every tile. Throws when the budget is below the least that the sweep can work with, naming that.
template <class T>
Plan<T> make_plan(const char* function, Index n, Index m, Index depth, Keep keep,
                  std::size_t budget, std::size_t other_bytes, std::size_t part_bytes = 0) {
  Plan<T> p{};
  p.part_bytes = part_bytes;
  p.n = p.to = n;
  p.m = m;
  p.depth = depth;
  // Small tables are cut finer, so that every thread has work: 4 pieces are enough for what fits a
  // cache. Even pieces: 64 rows four times, not kRowUnit three times and 4.
  const bool fine = n < 1024;
  p.row_tile = fine ? even_tile(n, (std::max)(kRowUnit, (n + 3) / 4), n < 512 ? 32 : kRowUnit / 3)
                    : even_tile(n, kStripRows, kRowUnit);
  p.col_tile = even_tile(m, kPackCols, kChunk);
  p.stride = row_stride(m);
  const auto total = [&] { return other_bytes + core::bytes_of<SweepMemory<T>>(p, keep); };
  // What is kept must not depend on the threads at hand: a nominal number of them has its memory
  // set aside.
  p.threads =
      int(std::clamp<std::size_t>(budget / 4 / core::bytes_of<ThreadMemory<T>>(p, keep), 1, 16));
  p.strip_rows = n;
  p.strips = p.kept_strips = 1;
  if (total() > budget || keep == Keep::nothing || (keep == Keep::strip && n > p.row_tile)) {
    p.strip_rows = p.row_tile;
    p.strips = tiles(n, p.strip_rows);
    if (total() > budget) p.threads = 1;
    const std::size_t least = total();
    core::expects(least <= budget, function, "memory_budget is ", budget, " bytes, but at least ",
                  least, " are needed for ", n, " x ", m, " pairs of length ", depth);
    if (keep == Keep::all) {
      p.kept_strips = 2;
      const std::size_t strip = total() - least;
      p.kept_strips = std::min<Index>(p.strips, 1 + Index((budget - least) / strip));
    }
  }
  const double flops = 2.0 * double(n) * double(m) * double(depth);
  for (p.threads = flops < 4e6 ? 1 : core::max_threads(); p.threads > 1 && total() > budget;)
    --p.threads;
  // Every product tile packs the whole other side once: few and large ones, four a thread.
  p.product_tile = even_tile(
      n, std::clamp<Index>(n / (2 * p.threads), kLeastProductRows, kMostProductRows), kRowUnit);
  p.bytes = total();
  return p;
}

}  // namespace spheremix::pairwise

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::pairwise {
#define SPHEREMIX_MAKE_PLAN(T) \
  Plan<T> make_plan(const char*, Index, Index, Index, Keep, std::size_t, std::size_t, std::size_t)
SPHEREMIX_ELSEWHERE(SPHEREMIX_MAKE_PLAN)
}  // namespace spheremix::pairwise
