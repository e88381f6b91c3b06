// How a sweep over all pairs is cut up: tiles, strips, threads and memory, from the shapes and the
// budget.
//
//   tile    the unit of work: at most 504 x 512 pairs
//   strip   504 rows of the N x M table (or all of them when the whole table fits): what is in
//           memory at once
//
// Strips that fit into the budget are kept from the first sweep for the second; the others are
// computed again. Only the number of threads depends on the machine, and no result depends on it.
#pragma once

#include <algorithm>
#include <cstddef>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/parallel.hpp"
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
  std::size_t bytes;  ///< temporary memory in all

  Index strip_first(Index s) const { return s * strip_rows; }
  Index strip_count(Index s) const { return (std::min)(strip_rows, n - s * strip_rows); }
};

/// What each thread of a sweep has of its own. `tile` is null where strips are kept.
template <class T>
struct ThreadMemory {
  PackBuffers<T> pack;
  T* tile;
};

namespace detail {

template <class T>
std::size_t thread_bytes(const Plan<T>& p, Keep keep) {
  using core::Workspace;
  return Workspace::bytes_for<ThreadMemory<T>>(1) +
         Workspace::bytes_for<T>(std::size_t(kPackA<T>)) +
         Workspace::bytes_for<T>(std::size_t(kPackB<T>)) +
         (keep == Keep::nothing ? Workspace::bytes_for<T>(std::size_t(p.row_tile * p.col_tile))
                                : 0);
}

template <class T>
std::size_t strip_bytes(const Plan<T>& p) {
  return core::Workspace::bytes_for<T>(std::size_t(p.strip_rows * p.stride));
}

/// Partial statistics of one strip: (max, sum) of each row in each column tile and the reverse.
template <class T>
std::size_t partial_bytes(const Plan<T>& p) {
  using core::Workspace;
  return 2 * Workspace::bytes_for<T>(std::size_t(p.strip_rows * tiles(p.m, p.col_tile))) +
         2 * Workspace::bytes_for<T>(std::size_t(tiles(p.strip_rows, p.row_tile) *
                                                 (tiles(p.m, p.col_tile) * p.col_tile))) +
         Workspace::bytes_for<double>(
             std::size_t(tiles(p.strip_rows, p.row_tile) * tiles(p.m, p.col_tile)));
}

}  // namespace detail

/// Plans a sweep whose caller needs `other_bytes` of the budget itself. Throws when the budget is
/// below the least that the sweep can work with, naming that.
template <class T>
Plan<T> make_plan(const char* function, Index n, Index m, Index depth, Keep keep,
                  std::size_t budget, std::size_t other_bytes) {
  Plan<T> p{};
  p.n = n;
  p.m = m;
  p.depth = depth;
  // Small tables are cut finer, so that every thread has work: 4 pieces are enough for what fits a
  // cache. Even pieces: 64 rows four times, not 84 three times and 4.
  const bool fine = n < 1024;
  p.row_tile = fine ? even_tile(n, std::max<Index>(84, (n + 3) / 4), n < 512 ? 32 : 28)
                     : even_tile(n, 504, 84);
  p.col_tile = even_tile(m, 512, kChunk);
  p.stride = (m + 15) / 16 * 16 + 16;
  // What is kept must not depend on the threads at hand: a nominal number of them has its memory
  // set aside.
  const std::size_t each = detail::thread_bytes(p, keep);
  const auto total = [&] {
    return other_bytes + std::size_t(p.threads) * each + detail::partial_bytes(p) +
           (keep == Keep::nothing ? 0 : std::size_t(p.kept_strips) * detail::strip_bytes(p));
  };
  p.threads = int(std::clamp<std::size_t>(budget / 4 / each, 1, 16));
  p.strip_rows = n;
  p.strips = p.kept_strips = 1;
  if (total() > budget || keep == Keep::nothing || (keep == Keep::strip && n > p.row_tile)) {
    p.strip_rows = p.row_tile;
    p.strips = tiles(n, p.strip_rows);
    if (total() > budget) p.threads = 1;
    core::expects(total() <= budget, function, "memory_budget is ", budget, " bytes, but at least ",
                  total(), " are needed for ", n, " x ", m, " pairs of length ", depth);
    if (keep == Keep::all) {
      const std::size_t left = budget - total();
      p.kept_strips = std::min<Index>(p.strips, 1 + Index(left / detail::strip_bytes(p)));
    }
  }
  const std::size_t room = (budget - total()) / each + std::size_t(p.threads);
  const double flops = 2.0 * double(n) * double(m) * double(depth);
  const int wanted = flops < 4e6 ? 1 : core::max_threads();
  p.threads = int(std::min<std::size_t>(room, std::size_t(wanted)));
  // Every product tile packs the whole other side once: few and large ones, four a thread.
  p.product_tile = even_tile(n, std::clamp<Index>(n / (2 * p.threads), 84, 2016), 84);
  p.bytes = total();
  return p;
}

}  // namespace spheremix::pairwise
