// What the processes of one run put together; nothing to do where there is one, whose share is null.
//
// Every process runs the same analysis of the same files. What is of order N d or N^2 d is cut: rows
// of a file, tiles of a table of pairs; the parts are put together here, in a fixed order of the
// processes, so that all go on with the same numbers. What is small, every one computes for itself.
#pragma once

#include "common.hpp"
#include "spheremix/core/share.hpp"

namespace analyze {

using spheremix::core::leads;
using spheremix::core::OwnRows;
using spheremix::core::Share;

inline int team_size(const Share* share) { return share ? share->size() : 1; }

/// values = their sums over the processes.
inline void add_up(const Share* share, double* values, Index count) {
  if (share) share->add(values, count);
}
inline void add_up(const Share* share, std::vector<double>& values) {
  add_up(share, values.data(), Index(values.size()));
}
/// Integers, below 2^53.
template <class N>
void add_up(const Share* share, N* values, Index count) {
  if (!share) return;
  std::vector<Index> wide(values, values + count);
  share->add(wide.data(), count);
  for (Index i = 0; i < count; ++i) values[i] = N(wide[at(i)]);
}
template <class N>
void add_up(const Share* share, std::vector<N>& values) {
  add_up(share, values.data(), Index(values.size()));
}

/// take(i, row i of another process), for every other process and row: `mine` has as many rows of
/// `cols` numbers on all.
template <class N, class Take>
void from_others(const Share* share, const N* mine, Index rows, Index cols, const Take& take) {
  if (!share || cols == 0) return;
  const Index size = share->size(),
              block = std::max<Index>(1, (Index(1) << 24) / (cols * Index(sizeof(N))));
  std::vector<N> all;
  for (Index first = 0; first < rows; first += block) {
    const Index count = std::min(block, rows - first) * cols;
    all.resize(at(size * count));
    std::copy_n(mine + first * cols, count, all.data() + share->rank() * count);
    share->gather(all.data(), size, count);
    for (Index r = 0; r < size; ++r)
      for (Index i = 0; i < count && r != share->rank(); i += cols)
        take(first + i / cols, all.data() + r * count + i);
  }
}

}  // namespace analyze
