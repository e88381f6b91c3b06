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
  bool more = false;  ///< are there targets besides those set apart?
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
    Index* const row_pick = frame.take<Index>(std::size_t(n));
    Index* const col_pick = frame.take<Index>(std::size_t(both ? m : 0));
    double* const heaviest = frame.take<double>(std::size_t(both ? m : 0));
    if (frame.counts()) return;
    for (Index i = 0; i < n; ++i)
      rows.weight[i] = o.row_weights ? (*o.row_weights)[std::size_t(i)] : 1;
    total_rows(row_pick);
    rows.normalise(n);
    if (both) {
      total_cols(o.row_weights != nullptr, col_pick, heaviest);
      cols.normalise(m);
    }
    set_apart(both, row_pick, col_pick);
    Index entries = 0;
    if (!targets.dense())
      for (Index i = 0; i < n; ++i) entries += targets.last[i] - targets.first[i];
    more = targets.dense() || entries > first[n];
  }

  /// Throws where no line counts.
  SPHEREMIX_COLD void expects_lines(const char* function, bool both) const {
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
      core::expects(total[i] == 0 || (total[i] >= 1e-300 && total[i] <= 1e300), function,
                    "the weights of ", what, i, "'s targets add up to ", total[i]);
    }
    core::expects(with > 0, function, "no row has a target in a table of ", n, " x ", m);
  }

  /// row_pick: the column of the heaviest, the first among equals; -1 for none.
  void total_rows(Index* row_pick) {
    core::parallel_chunks(n, targets.dense() ? 16 : 4096, [&](Index from, Index count) {
      for (Index i = from; i < from + count; ++i) {
        double sum = 0, most = 0;
        Index pick = -1;
        if (targets.of_ids()) {  // one id for all is no reason to look at n x m pairs
          sum = double(targets.last[i] - targets.first[i]);
          if (sum > 0) pick = targets.column[targets.first[i]];
        } else if (targets.dense()) {
          targets.from->soft.blocks(i, 0, m, [&](Index j, Index block, const double* w) {
            for (Index k = 0; k < block; ++k) {
              sum += w[k];
              if (w[k] > most) most = w[k], pick = j + k;
            }
          });
        } else {
          for (PairSet::Walk w = targets.walk(i, 0, m); targets.step(w);) {
            sum += w.weight;
            if (w.weight > most) most = w.weight, pick = w.j;
          }
        }
        rows.total[i] = sum;
        row_pick[i] = pick;
      }
    });
  }

  /// The same of columns, and the weights of their losses: the mean row weight of their targets.
  void total_cols(bool weighted, Index* col_pick, double* most) {
    for (Index j = 0; j < m; ++j) cols.total[j] = cols.weight[j] = most[j] = 0, col_pick[j] = -1;
    const auto add = [&](Index i, Index j, double w) {
      cols.total[j] += w;
      cols.weight[j] += w * rows.weight[i];
      if (w > most[j]) most[j] = w, col_pick[j] = i;
    };
    if (targets.of_ids()) {
      // columns of one id are neighbours in the order of ids and have the same sums
      for (Index c = 0; c < m; ++c) {
        const Index j = targets.column[c], from = targets.col_first[j], to = targets.col_last[j];
        const Index before = c > 0 ? targets.column[c - 1] : j;
        if (c > 0 && from < to && targets.col_first[before] == from &&
            targets.col_last[before] == to) {
          cols.total[j] = cols.total[before];
          cols.weight[j] = cols.weight[before];
          col_pick[j] = col_pick[before];
        } else {
          for (Index r = from; r < to; ++r) add(targets.row[r], j, 1);
        }
      }
    } else if (targets.dense()) {
      core::parallel_chunks(m, 64, [&](Index from, Index count) {
        for (Index i = 0; i < n; ++i)
          targets.from->soft.blocks(i, from, from + count,
                                    [&](Index j, Index block, const double* w) {
                                      for (Index k = 0; k < block; ++k) add(i, j + k, w[k]);
                                    });
      });
    } else {
      for (Index i = 0; i < n; ++i)
        for (PairSet::Walk w = targets.walk(i, 0, m); targets.step(w);) add(i, w.j, w.weight);
    }
    for (Index j = 0; j < m; ++j)
      cols.weight[j] = weighted && cols.total[j] > 0 ? cols.weight[j] / cols.total[j] : 1;
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
