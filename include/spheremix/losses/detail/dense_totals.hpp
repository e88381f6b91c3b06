// What total_lines (pair_code.hpp) finds of other targets, of soft ones: in one pass over P, which is
// larger than the caches, a part of the columns of all rows after another. Whether all are numbers
// of at least 0 is seen on the way.
#pragma once

#include <atomic>

#include "spheremix/losses/detail/dense_blocks.hpp"
#include "spheremix/losses/detail/target_table.hpp"

namespace spheremix::losses::detail {

/// Totals and heaviest targets of the rows and, if `both`, of the columns, with the weights of these:
/// the mean row weight of their targets.
inline void total_dense(TargetTable& table, bool both, bool weighted, const TargetPicks& picks) {
  const DenseNumbers& p = table.targets.from->soft;
  const LineWeights &rows = table.rows, &cols = table.cols;
  const Index n = table.n, m = table.m;
  const DenseTotals& at = picks.dense;
  const double largest = *std::max_element(rows.weight, rows.weight + n);
  for (Index i = 0; largest > 0 && i < n; ++i) rows.weight[i] /= largest;  // sums stay finite
  std::atomic<bool> within = true;
  core::parallel_chunks(m, at.wide, [&](Index from, Index count) {
    const auto column = [&](int k) { return at.columns + k * at.padded; };
    DenseTotals::Row* const part = at.rows + from / at.wide * n;
    bool fine = true;
    for (int k = 0; both && k < 4; ++k)
      std::fill_n(column(k) + from, (std::min)(at.wide, at.padded - from), k == 3 ? -1.0 : 0.0);
    for (Index i = 0; i < n; ++i) {
      DenseTotals::Row row;
      for_dense_blocks(p, i, from, from + count, [&](Index j, Index block, const double* w) {
        const double before = row.most;
        fine &= SPHEREMIX_DISPATCH(weights_within<double>)(w, block, kMostWeight);
        row.sum += SPHEREMIX_DISPATCH(weights_sum<double>)(w, block, row.most);
        if (row.most > before) row.pick = j + (std::find(w, w + block, row.most) - w);
        if (!both) return;
        SPHEREMIX_DISPATCH(weights_to_columns<double>)
        (w, block, double(i), rows.weight[i], column(0) + j, column(1) + j, column(2) + j,
         column(3) + j);
      });
      part[i] = row;
    }
    if (!fine) within = false;
  });
  table.within = within;
  for (Index i = 0; i < n; ++i) {
    DenseTotals::Row row;
    for (Index k = 0; k * at.wide < m; ++k) row.add(at.rows[k * n + i]);
    rows.total[i] = row.sum;
    picks.row[i] = row.pick;
  }
  table.rows.normalise(n);
  if (!both) return;
  for (Index j = 0; j < m; ++j) {
    const double *total = at.columns + j, *weight = total + at.padded,
                 *pick = weight + 2 * at.padded;
    cols.total[j] = *total;
    cols.weight[j] = weighted && *total > 0 ? *weight / *total : 1;
    picks.col[j] = Index(*pick);
  }
  table.cols.normalise(m);
}

}  // namespace spheremix::losses::detail
