// The targets of one call: lists of rows, totals of lines, and the pairs that are set apart. All in a
// frame: O(n + m), and the entries of a list of pairs.
#pragma once

#include <algorithm>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/formula/targets.hpp"

// What is not run for every pair need not be fast, but is compiled with every loss that takes targets.
#if defined(__GNUC__)
#define SPHEREMIX_COLD __attribute__((cold, noinline))
#define SPHEREMIX_APART __attribute__((noinline))
#else
#define SPHEREMIX_COLD
#define SPHEREMIX_APART
#endif

namespace spheremix::losses::detail {

using core::Workspace;

/// A set of pairs with weights: each row's columns in ascending order. `from` null: the diagonal.
struct PairSet {
  const TargetParts* from;
  Index n, m;
  Index *first = nullptr, *last = nullptr;          ///< n: places of a row's columns; null for soft
  Index* column = nullptr;                          ///< of a place
  double* weight = nullptr;                         ///< of a place, or null: 1
  Index *col_first = nullptr, *col_last = nullptr;  ///< m: of ids, the same by columns
  Index* row = nullptr;

  SPHEREMIX_COLD PairSet(const Targets* targets, Index rows, Index cols, Workspace::Frame& frame)
      : from(targets ? &targets->parts() : nullptr), n(rows), m(cols) {
    if (dense()) return;
    first = frame.take<Index>(std::size_t(n));
    last = frame.take<Index>(std::size_t(n));
    if (!from) {
      column = frame.take<Index>(std::size_t(n));
      if (frame.counts()) return;
      for (Index i = 0; i < n; ++i) column[i] = first[i] = i, last[i] = i + 1;
    } else if (from->kind == TargetKind::ids) {
      take_ids(frame);
    } else {
      take_pairs(frame);
    }
  }

  bool dense() const { return from && from->kind == TargetKind::soft; }
  bool of_ids() const { return from && from->kind == TargetKind::ids; }

  /// A walk over the pairs of a row with j in [j0, j1), of weights above 0: while (set.step(walk)).
  struct Walk {
    Index i, at, end;
    Index j = 0;
    double weight = 1;
  };
  SPHEREMIX_COLD Walk walk(Index i, Index j0, Index j1) const {
    if (dense()) return {i, j0, j1};
    const Index* const begin = column + first[i];
    const auto place = [&](Index count, Index least) {
      return std::lower_bound(begin, begin + count, least) - column;
    };
    const Index at = place(last[i] - first[i], j0);
    return {i, at, place(last[i] - first[i], j1)};
  }
  SPHEREMIX_APART bool step(Walk& w) const {
    for (; w.at < w.end; ++w.at) {
      w.j = w.at;
      if (dense()) {
        if (!((w.weight = from->soft(w.i, w.at)) > 0)) continue;
      } else {
        w.j = column[w.at];
        if (weight) w.weight = weight[w.at];
      }
      ++w.at;
      return true;
    }
    return false;
  }
  /// Has row i a pair?
  bool any(Index i) const {
    Walk w = walk(i, 0, m);
    return step(w);
  }
  /// The weight of a pair, 0 for one that is not there.
  double at(Index i, Index j) const {
    Walk w = walk(i, j, j + 1);
    return step(w) ? w.weight : 0;
  }

 private:
  /// The places of ids in the order of (id, position), and for each position of the other side the
  /// places of its id.
  SPHEREMIX_COLD void take_ids(Workspace::Frame& frame) {
    const auto take = [&]<class U>(U*& array, Index count) {
      array = frame.take<U>(std::size_t(count));
    };
    Id *a = nullptr, *b = nullptr;
    take(column, m);
    take(row, n);
    take(col_first, m);
    take(col_last, m);
    take(a, n);
    take(b, m);
    if (frame.counts()) return;
    for (Index i = 0; i < n; ++i) a[i] = from->a[i];
    for (Index j = 0; j < m; ++j) b[j] = from->b[j];
    sort_ids(a, row, n);
    sort_ids(b, column, m);
    for (Index i = 0; i < n; ++i) first[i] = last[i] = 0;
    for (Index j = 0; j < m; ++j) col_first[j] = col_last[j] = 0;
    for (Index r = 0, c = 0; r < n && c < m;) {
      const Id& x = a[row[r]];
      const Id& y = b[column[c]];
      if (x < y) {
        ++r;
      } else if (y < x) {
        ++c;
      } else {
        Index r1 = r, c1 = c;
        while (r1 < n && a[row[r1]] == x) ++r1;
        while (c1 < m && b[column[c1]] == x) ++c1;
        for (Index k = r; k < r1; ++k) first[row[k]] = c, last[row[k]] = c1;
        for (Index k = c; k < c1; ++k) col_first[column[k]] = r, col_last[column[k]] = r1;
        r = r1;
        c = c1;
      }
    }
  }

  static void sort_ids(const Id* id, Index* order, Index count) {
    for (Index i = 0; i < count; ++i) order[i] = i;
    std::sort(order, order + count,
              [id](Index i, Index j) { return id[i] < id[j] || (id[i] == id[j] && i < j); });
  }

  /// Pairs in the order of rows and columns, those named twice as one, those of weight 0 left out.
  SPHEREMIX_COLD void take_pairs(Workspace::Frame& frame) {
    const Index count = from->a.size;
    Id* const key = frame.take<Id>(std::size_t(count));  // row m + column
    Index* const order = frame.take<Index>(std::size_t(count));
    column = frame.take<Index>(std::size_t(count));
    weight = frame.take<double>(std::size_t(count));
    if (frame.counts()) return;
    for (Index k = 0; k < count; ++k)
      key[k] = {false, from->a[k].bits * std::uint64_t(m) + from->b[k].bits};
    sort_ids(key, order, count);
    Index place = 0, k = 0;
    for (Index i = 0; i < n; ++i) {
      first[i] = place;
      for (; k < count && Index(key[order[k]].bits) < (i + 1) * m; ++k) {
        const double w = from->weights.data ? from->weights[order[k]] : 1.0;
        const Index j = Index(key[order[k]].bits) - i * m;
        if (!(w > 0)) continue;
        if (place == first[i] || column[place - 1] != j) column[place] = j, weight[place++] = 0;
        weight[place - 1] += w;
      }
      last[i] = place;
    }
  }
};

/// Throws where the arguments of ids, pairs or soft do not fit a table of n x m pairs.
SPHEREMIX_COLD inline void expects_pairs(const char* function, const char* what,
                                         const Targets& targets, Index n, Index m) {
  const TargetParts& t = targets.parts();
  if (t.kind == TargetKind::soft) {
    core::expects(t.soft.rows == n && t.soft.cols == m, function, what, " are ", t.soft.rows, " x ",
                  t.soft.cols, " but the table of X and Y is ", n, " x ", m);
    return;  // the numbers: TargetTable
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
      core::fail(function, ": ", what, "' pair ", k, " is (", r.negative ? "-" : "",
                 std::size_t(r.negative ? 0 - r.bits : r.bits), ", ", c.negative ? "-" : "",
                 std::size_t(c.negative ? 0 - c.bits : c.bits), ") in a table of ", n, " x ", m);
    }
    if (const double w = t.weights.data ? t.weights[k] : 1.0; !(w >= 0 && w <= 1e300)) [[unlikely]]
      core::fail(function, ": ", what, "' weight ", k, " is ", w,
                 ", not a finite number of at least 0");
  }
}

/// Throws unless every number of P is in [0, most].
SPHEREMIX_COLD inline void expects_soft(const char* function, const char* what,
                                        const DenseNumbers& p, double most) {
  constexpr Index chunk = 16;
  core::parallel_chunks(p.rows, chunk, [&](Index from, Index count) {
    for (Index i = from; i < from + count; ++i)
      for (Index j = 0; j < p.cols; ++j)
        if (const double w = p(i, j); !(w >= 0 && w <= most)) [[unlikely]]
          core::fail(function, ": ", what, "(", i, ", ", j, ") is ", w,
                     most == 1 ? ", not in [0, 1]" : ", not a finite number of at least 0");
  });
}

/// What a call says besides X, Y and the temperature. Null: as without.
struct TargetOptions {
  const Targets* targets = nullptr;
  const Targets* exclude = nullptr;
  const std::vector<double>* row_weights = nullptr;
  double smoothing = 0;

  template <class Options>
  explicit TargetOptions(const Options& options, const Targets* of = nullptr)
      : targets(of),
        exclude(options.exclude ? &*options.exclude : nullptr),
        row_weights(options.row_weights.empty() ? nullptr : &options.row_weights) {
    if constexpr (requires { options.label_smoothing; }) smoothing = options.label_smoothing;
  }

  /// Is the diagonal all there is?
  bool plain() const { return !targets && !exclude && !row_weights && smoothing == 0; }

  SPHEREMIX_COLD void expect(const char* function, Index n, Index m, double most) const {
    core::expects(smoothing >= 0 && smoothing <= 1, function, "label_smoothing is ", smoothing,
                  ", not in [0, 1]");
    if (targets) {
      expects_pairs(function, "targets", *targets, n, m);
      if (targets->parts().kind == TargetKind::soft)
        expects_soft(function, "targets", targets->parts().soft, most);
    }
    if (exclude) {
      expects_pairs(function, "exclude", *exclude, n, m);
      if (exclude->parts().kind == TargetKind::soft)
        expects_soft(function, "exclude", exclude->parts().soft, 1e300);
    }
    if (!row_weights) return;
    core::expects_size(function, "row_weights", Index(row_weights->size()), n);
    for (Index i = 0; i < n; ++i) {
      const double w = (*row_weights)[std::size_t(i)];
      core::expects(w >= 0 && w <= 1e300, function, "row_weights[", i, "] is ", w,
                    ", not a finite number of at least 0");
    }
  }
};

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
    const auto add_block = [&](Index from, Index count) {
      for (Index i = 0; i < n; ++i)
        for (PairSet::Walk w = targets.walk(i, from, from + count); targets.step(w);)
          add(i, w.j, w.weight);
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
      core::parallel_chunks(m, 64, add_block);
    } else {
      add_block(0, m);
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
