// Whole rows of X Y^T, a block at a time: for metrics that sort or select within a row.
#pragma once

#include "spheremix/metrics/detail/tiles.hpp"

namespace spheremix::metrics::detail {

/// Runs body(i, s) over the rows of X Y^T (of a share: over its own), s the M products of row i, in
/// any order; s may be written to. Memory: kRowUnit / 3 rows of M numbers a thread.
template <class T, class Body>
void for_whole_rows(core::MatrixView<const T> x, core::MatrixView<const T> y, const Body& body,
                    const core::Share* share = nullptr) {
  constexpr Index block = pairwise::kRowUnit / 3;
  const int threads = threads_for(x.rows, y.rows, x.cols);
  core::Owned<TileMemory<T>> memory(threads, false);
  std::vector<std::vector<T>> buffer(static_cast<std::size_t>(threads));
  for (auto& b : buffer) b.resize(std::size_t((std::min)(block, x.rows) * y.rows));
  const core::OwnRows own(share, x.rows);
  core::parallel_for(parts(own.count(), block), threads, [&](Index task, int thread) {
    const Index i = own.from + task * block, rows = (std::min)(block, own.to - i);
    const core::MatrixView<T> s{buffer[std::size_t(thread)].data(), rows, y.rows, y.rows};
    for (Index j = 0; j < y.rows; j += kTileCols) {
      const Index cols = (std::min)(kTileCols, y.rows - j);
      auto& pack = (*memory).pack(thread);
      pack.packed = nullptr;
      pairwise::times_transposed<T>({s.data + j, rows, cols, s.stride}, x.middle_rows(i, rows),
                                    y.middle_rows(j, cols), false, pack);
    }
    for (Index r = 0; r < rows; ++r) body(i + r, s.row(r));
  });
}

}  // namespace spheremix::metrics::detail
