// The targets of one call of a softmax loss: totals and weights of lines, and the pairs that are set
// apart.
#pragma once

#include "spheremix/losses/detail/pair_set.hpp"

namespace spheremix::losses::detail {

/// Lines of one direction: the total of their targets, and the weight of their loss, at most 1.
struct LineWeights {
  double* total;    ///< 0: a line without a target
  double* weight;   ///< of the line's loss, over the largest
  double unit = 0;  ///< weight * unit is dL/d(loss of the line) of a mean

  LineWeights(Index count, Workspace::Frame& frame)
      : total(frame.take<double>(std::size_t(count))),
        weight(frame.take<double>(std::size_t(count))) {}

  /// Weights over their largest, 0 without a target. unit stays 0 where they add up to 0.
  void normalise(Index count) {
    double largest = 0, sum = 0;
    for (Index i = 0; i < count; ++i) {
      if (!(total[i] > 0)) weight[i] = 0;
      largest = (std::max)(largest, weight[i]);
    }
    if (!(largest > 0)) return;
    for (Index i = 0; i < count; ++i) sum += weight[i] /= largest;
    unit = 1 / sum;
  }
};

/// The targets of a softmax loss of n x m pairs over rows, and over columns if `both`.
struct TargetTable {
  Index n, m;
  PairSet targets, excluded;
  bool excludes;
  LineWeights rows, cols;
  bool more = false;   ///< are there targets besides those set apart?
  bool within = true;  ///< are all soft targets weights?
  /// Pairs set apart: the heaviest target of every row, and of every column if `both`.
  Index* first;         ///< n + 1: places of a row's pairs
  Index *row, *column;  ///< of a place
  double* weight;       ///< of a place

  SPHEREMIX_COLD TargetTable(const TargetOptions& o, Index n_, Index m_, bool both,
                             Workspace::Frame& frame)
      : n(n_),
        m(m_),
        targets(o.targets, n, m, frame),
        excluded(o.exclude, o.exclude ? n : 0, m, frame),
        excludes(o.exclude != nullptr),
        rows(n, frame),
        cols(both ? m : 0, frame),
        first(frame.take<Index>(std::size_t(n + 1))),
        row(frame.take<Index>(std::size_t(both ? n + m : n))),
        column(frame.take<Index>(std::size_t(both ? n + m : n))),
        weight(frame.take<double>(std::size_t(both ? n + m : n))) {
    const TargetPicks picks{frame.take<Index>(std::size_t(n)),
                            frame.take<Index>(std::size_t(both ? m : 0)),
                            frame.take<double>(std::size_t(both ? m : 0)),
                            targets.dense() ? DenseTotals(n, m, both, frame) : DenseTotals()};
    if (frame.counts()) return;
    for (Index i = 0; i < n; ++i)
      rows.weight[i] = o.row_weights ? (*o.row_weights)[std::size_t(i)] : 1;
    if (targets.from) {
      targets.from->code->totals(*this, both, o.row_weights != nullptr, picks);
    } else {
      for (Index i = 0; i < n; ++i) rows.total[i] = 1, picks.row[i] = i;
      rows.normalise(n);
      for (Index j = 0; both && j < m; ++j)
        cols.total[j] = 1, cols.weight[j] = rows.weight[j], picks.col[j] = j;
      if (both) cols.normalise(m);
    }
    set_apart(both, picks.row, picks.col);
    Index entries = 0;
    for (Index i = 0; targets.first && i < n; ++i) entries += targets.last[i] - targets.first[i];
    more = targets.dense() || entries > first[n];
  }

  /// Throws where no line counts, or a soft target is no weight.
  SPHEREMIX_COLD void expects_lines(const char* function, bool both) const {
    if (!within) targets.from->code->expects(function, "targets", *targets.from, n, m, kMostWeight);
    expects_totals(function, "row ", rows.total, n);
    if (both) expects_totals(function, "column ", cols.total, m);
    core::expects(rows.unit > 0, function, "the row_weights of the rows with a target add up to 0");
  }

 private:
  void expects_totals(const char* function, const char* what, const double* total,
                      Index count) const {
    Index with = 0;
    for (Index i = 0; i < count; ++i) {
      with += total[i] > 0;
      core::expects(total[i] == 0 || (total[i] >= 1e-300 && total[i] <= kMostWeight), function,
                    "the weights of ", what, i, "'s targets add up to ", total[i]);
    }
    core::expects(with > 0, function, "no row has a target in a table of ", n, " x ", m);
  }

  SPHEREMIX_COLD void set_apart(bool both, const Index* row_pick, const Index* col_pick) {
    const auto own = [&](Index i) {  // is it no column's?
      return row_pick[i] >= 0 && !(both && col_pick[row_pick[i]] == i);
    };
    first[0] = 0;
    for (Index i = 0; i < n; ++i) first[i + 1] = own(i);
    for (Index j = 0; both && j < m; ++j)
      if (col_pick[j] >= 0) ++first[col_pick[j] + 1];
    for (Index i = 0; i < n; ++i) first[i + 1] += first[i];
    const auto put = [&](Index i, Index j) {  // first[i] is where the next one goes
      weight[first[i]] = targets.at(i, j);
      row[first[i]] = i;
      column[first[i]++] = j;
    };
    for (Index i = 0; i < n; ++i)
      if (own(i)) put(i, row_pick[i]);
    for (Index j = 0; both && j < m; ++j)
      if (col_pick[j] >= 0) put(col_pick[j], j);
    for (Index i = n; i > 0; --i) first[i] = first[i - 1];
    first[0] = 0;
  }
};

}  // namespace spheremix::losses::detail
