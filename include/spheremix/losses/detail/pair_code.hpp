// Sets of pairs that are not the diagonal: how they are built, walked and added up (PairCode). Compiled
// where targets are made.
#pragma once

#include "spheremix/losses/detail/dense_totals.hpp"

namespace spheremix::losses::detail {

inline void sort_ids(const Id* id, Index* order, Index count) {
  for (Index i = 0; i < count; ++i) order[i] = i;
  std::sort(order, order + count,
            [id](Index i, Index j) { return id[i] < id[j] || (id[i] == id[j] && i < j); });
}

/// The places of ids in the order of (id, position), and for each position of the other side the
/// places of its id.
inline void take_ids(PairSet& set, Workspace::Frame& frame) {
  const Index n = set.n, m = set.m;
  const auto take = [&]<class U>(U*& array, Index count) {
    array = frame.take<U>(std::size_t(count));
  };
  Id *a = nullptr, *b = nullptr;
  take(set.column, m);
  take(set.row, n);
  take(set.col_first, m);
  take(set.col_last, m);
  take(a, n);
  take(b, m);
  if (frame.counts()) return;
  for (Index i = 0; i < n; ++i) a[i] = set.from->a[i], set.first[i] = set.last[i] = 0;
  for (Index j = 0; j < m; ++j) b[j] = set.from->b[j], set.col_first[j] = set.col_last[j] = 0;
  sort_ids(a, set.row, n);
  sort_ids(b, set.column, m);
  for (Index r = 0, c = 0; r < n && c < m;) {
    const Id& x = a[set.row[r]];
    const Id& y = b[set.column[c]];
    if (x < y) {
      ++r;
    } else if (y < x) {
      ++c;
    } else {
      Index r1 = r, c1 = c;
      while (r1 < n && a[set.row[r1]] == x) ++r1;
      while (c1 < m && b[set.column[c1]] == x) ++c1;
      for (Index k = r; k < r1; ++k) set.first[set.row[k]] = c, set.last[set.row[k]] = c1;
      for (Index k = c; k < c1; ++k)
        set.col_first[set.column[k]] = r, set.col_last[set.column[k]] = r1;
      r = r1;
      c = c1;
    }
  }
}

/// Pairs in the order of rows and columns, those named twice as one, those of weight 0 left out.
inline void take_pairs(PairSet& set, Workspace::Frame& frame) {
  const TargetParts& from = *set.from;
  const Index count = from.a.size, m = set.m;
  Id* const key = frame.take<Id>(std::size_t(count));  // row m + column
  Index* const order = frame.take<Index>(std::size_t(count));
  set.column = frame.take<Index>(std::size_t(count));
  set.weight = frame.take<double>(std::size_t(count));
  if (frame.counts()) return;
  for (Index k = 0; k < count; ++k)
    key[k] = {false, from.a[k].bits * std::uint64_t(m) + from.b[k].bits};
  sort_ids(key, order, count);
  Index place = 0, k = 0;
  for (Index i = 0; i < set.n; ++i) {
    set.first[i] = place;
    for (; k < count && Index(key[order[k]].bits) < (i + 1) * m; ++k) {
      const double w = from.weights.data ? from.weights[order[k]] : 1.0;
      const Index j = Index(key[order[k]].bits) - i * m;
      if (!(w > 0)) continue;
      if (place == set.first[i] || set.column[place - 1] != j)
        set.column[place] = j, set.weight[place++] = 0;
      set.weight[place - 1] += w;
    }
    set.last[i] = place;
  }
}

inline void take_set(PairSet& set, Workspace::Frame& frame) {
  if (set.dense()) return;
  set.first = frame.take<Index>(std::size_t(set.n));
  set.last = frame.take<Index>(std::size_t(set.n));
  set.of_ids() ? take_ids(set, frame) : take_pairs(set, frame);
}

inline PairSet::Walk walk_set(const PairSet& set, Index i, Index j0, Index j1) {
  if (set.dense()) return {i, j0, j1};
  const auto place = [&](Index least) {
    return std::lower_bound(set.column + set.first[i], set.column + set.last[i], least) -
           set.column;
  };
  return {i, place(j0), place(j1)};
}

inline bool step_set(const PairSet& set, PairSet::Walk& w) {
  for (; w.at < w.end; ++w.at) {
    w.j = w.at;
    if (set.dense()) {
      if (!((w.weight = set.from->soft(w.i, w.at)) > 0)) continue;
    } else {
      w.j = set.column[w.at];
      if (set.weight) w.weight = set.weight[w.at];
    }
    ++w.at;
    return true;
  }
  return false;
}

/// Throws unless every number of P is in [0, most].
inline void expects_soft(const char* function, const char* what, const DenseNumbers& p,
                         double most) {
  constexpr Index chunk = 16;
  core::parallel_chunks(p.rows, chunk, [&](Index from, Index count) {
    for (Index i = from; i < from + count; ++i)
      for_dense_blocks(p, i, 0, p.cols, [&](Index j, Index block, const double* w) {
        if (SPHEREMIX_DISPATCH(weights_within<double>)(w, block, most)) return;
        for (Index k = 0; k < block; ++k)
          if (!(w[k] >= 0 && w[k] <= most)) [[unlikely]]
            core::fail(function, ": ", what, "(", i, ", ", j + k, ") is ", w[k],
                       most == 1 ? ", not in [0, 1]" : ", not a finite number of at least 0");
      });
  });
}

inline void expects_pairs(const char* function, const char* what, const TargetParts& t, Index n,
                          Index m, double most) {
  if (t.kind == TargetKind::soft) {
    core::expects(t.soft.rows == n && t.soft.cols == m, function, what, " are ", t.soft.rows, " x ",
                  t.soft.cols, " but the table of X and Y is ", n, " x ", m);
    if (most > 0) expects_soft(function, what, t.soft, most);
    return;
  }
  if (t.kind == TargetKind::ids) {
    core::expects(t.a.size == n && t.b.size == m, function, what, " have ", t.a.size, " and ",
                  t.b.size, " ids but X has ", n, " rows and Y has ", m);
    return;
  }
  const Index count = t.a.size;
  core::expects(t.b.size == count && (!t.weights.data || t.weights.size == count), function, what,
                " have ", count, " rows, ", t.b.size, " columns and ",
                t.weights.data ? t.weights.size : count, " weights");
  for (Index k = 0; k < count; ++k) {
    const auto inside = [](const Id& id, Index size) {
      return !id.negative && id.bits < std::uint64_t(size);
    };
    if (!inside(t.a[k], n) || !inside(t.b[k], m)) [[unlikely]] {
      const Id r = t.a[k], c = t.b[k];
      const std::size_t row = r.negative ? 0 - r.bits : r.bits,
                        col = c.negative ? 0 - c.bits : c.bits;
      core::fail(function, ": ", what, "' pair ", k, " is (", r.negative ? "-" : "", row, ", ",
                 c.negative ? "-" : "", col, ") in a table of ", n, " x ", m);
    }
    if (const double w = t.weights.data ? t.weights[k] : 1.0; !(w >= 0 && w <= kMostWeight))
        [[unlikely]]
      core::fail(function, ": ", what, "' weight ", k, " is ", w,
                 ", not a finite number of at least 0");
  }
}

/// Totals of the rows and the column of the heaviest of each, the first among equals.
inline void total_rows(TargetTable& table, Index* row_pick) {
  const PairSet& targets = table.targets;
  core::parallel_chunks(table.n, 4096, [&](Index from, Index count) {
    for (Index i = from; i < from + count; ++i) {
      double sum = 0, most = 0;
      Index pick = -1;
      if (targets.of_ids()) {  // one id for all is no reason to look at n x m pairs
        sum = double(targets.last[i] - targets.first[i]);
        if (sum > 0) pick = targets.column[targets.first[i]];
      } else {
        for (PairSet::Walk w = targets.walk(i, 0, table.m); targets.step(w);) {
          sum += w.weight;
          if (w.weight > most) most = w.weight, pick = w.j;
        }
      }
      table.rows.total[i] = sum;
      row_pick[i] = pick;
    }
  });
}

/// The same of columns, and the weights of their losses: the mean row weight of their targets.
inline void total_cols(TargetTable& table, bool weighted, const TargetPicks& picks) {
  const PairSet& targets = table.targets;
  const LineWeights &rows = table.rows, &cols = table.cols;
  const Index n = table.n, m = table.m;
  Index* const col_pick = picks.col;
  double* const most = picks.heaviest;
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
  } else {
    for (Index i = 0; i < n; ++i)
      for (PairSet::Walk w = targets.walk(i, 0, m); targets.step(w);) add(i, w.j, w.weight);
  }
  for (Index j = 0; j < m; ++j)
    cols.weight[j] = weighted && cols.total[j] > 0 ? cols.weight[j] / cols.total[j] : 1;
}

inline void total_lines(TargetTable& table, bool both, bool weighted, const TargetPicks& picks) {
  if (table.targets.dense()) return total_dense(table, both, weighted, picks);
  total_rows(table, picks.row);
  table.rows.normalise(table.n);
  if (!both) return;
  total_cols(table, weighted, picks);
  table.cols.normalise(table.m);
}

inline constexpr PairCode pair_code{take_set, walk_set, step_set, expects_pairs, total_lines};

}  // namespace spheremix::losses::detail
