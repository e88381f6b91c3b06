// Soft targets (formula/targets.hpp) as doubles, some columns of a row at a time: what the loops of
// pairwise/isa_targets.inc take.
#pragma once

#include <algorithm>
#include <type_traits>

#include "spheremix/core/workspace.hpp"
#include "spheremix/formula/targets.hpp"
#include "spheremix/pairwise/isa.hpp"

namespace spheremix::losses::detail {

inline constexpr Index kDenseBlock = 512;  ///< columns at a time

/// No weight is above this.
inline constexpr double kMostWeight = 1e300;

/// Row i of P, columns [j, j + count), count <= kDenseBlock, to `to`, zeros after them up to a
/// multiple of kChunk.
inline void copy_dense(const DenseNumbers& p, Index i, Index j, Index count, double* to) {
  const auto from = [&](const auto* data) {
    const auto* const row = data + i * p.row_step + j * p.col_step;
    if (p.col_step == 1) {
      SPHEREMIX_DISPATCH(to_double<std::remove_cvref_t<decltype(*data)>>)
      (row, count, to);
      return;
    }
    for (Index k = 0; k < count; ++k) to[k] = double(row[k * p.col_step]);
    for (Index k = count; k % pairwise::kChunk; ++k) to[k] = 0;
  };
  if (p.single)
    from(static_cast<const float*>(p.data));
  else
    from(static_cast<const double*>(p.data));
}

/// body(j, count, weights) for the columns [first, last) of row i, kDenseBlock at a time.
template <class Body>
void for_dense_blocks(const DenseNumbers& p, Index i, Index first, Index last, const Body& body) {
  double weight[kDenseBlock];
  for (Index j = first; j < last; j += kDenseBlock) {
    const Index count = (std::min)(kDenseBlock, last - j);
    copy_dense(p, i, j, count, weight);
    body(j, count, static_cast<const double*>(weight));
  }
}

/// What the totals of n x m soft targets are made of: a few parts of the columns, each of all rows.
struct DenseTotals {
  struct Row {
    double sum = 0, most = 0;
    Index pick = -1;  ///< the column of the heaviest, the first among equals

    void add(const Row& later) {
      sum += later.sum;
      if (later.most > most) most = later.most, pick = later.pick;
    }
  };

  Index wide = 1, padded = 0;  ///< columns of a part, of all
  Row* rows = nullptr;         ///< n a part
  double* columns = nullptr;   ///< total, weighted total, heaviest and its row

  DenseTotals() = default;
  DenseTotals(Index n, Index m, bool both, core::Workspace::Frame& frame) {
    constexpr Index unit = kDenseBlock, most = 8;  // parts: some work for each thread
    const auto parts = [](Index count, Index of) { return (count + of - 1) / of; };
    wide = parts(parts(m, most), unit) * unit;
    padded = parts(m, unit) * unit;
    rows = frame.take<Row>(std::size_t(parts(m, wide) * n));
    if (both) columns = frame.take<double>(std::size_t(4 * padded));
  }
};

}  // namespace spheremix::losses::detail
