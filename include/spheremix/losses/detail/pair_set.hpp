// A set of pairs of rows of X and Y, from ids, a list or a matrix: for each row its columns in
// ascending order, in a frame. O(n + m), and the entries of a list; a matrix is read where it lies.
#pragma once

#include <algorithm>

#include "spheremix/core/parallel.hpp"
#include "spheremix/losses/detail/contrastive.hpp"

// What is not run for every pair need not be fast, but is compiled with every loss that takes targets.
#if defined(__GNUC__)
#define SPHEREMIX_COLD __attribute__((cold, noinline))
#define SPHEREMIX_APART __attribute__((noinline))
#else
#define SPHEREMIX_COLD
#define SPHEREMIX_APART
#endif

namespace spheremix::losses::detail {

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
      p.blocks(i, 0, p.cols, [&](Index j, Index block, const double* w) {
        for (Index k = 0; k < block; ++k)
          if (!(w[k] >= 0 && w[k] <= most)) [[unlikely]]
            core::fail(function, ": ", what, "(", i, ", ", j + k, ") is ", w[k],
                       most == 1 ? ", not in [0, 1]" : ", not a finite number of at least 0");
      });
  });
}

/// Throws where what a call says of its targets does not fit n x m pairs. most: of soft targets.
SPHEREMIX_COLD inline void expects_targets(const char* function, const TargetOptions& o, Index n,
                                           Index m, double most) {
  core::expects(o.smoothing >= 0 && o.smoothing <= 1, function, "label_smoothing is ", o.smoothing,
                ", not in [0, 1]");
  for (const Targets* t : {o.targets, o.exclude}) {
    if (!t) continue;
    const char* const what = t == o.targets ? "targets" : "exclude";
    expects_pairs(function, what, *t, n, m);
    if (t->parts().kind == TargetKind::soft)
      expects_soft(function, what, t->parts().soft, t == o.targets ? most : 1e300);
  }
  if (!o.row_weights) return;
  core::expects_size(function, "row_weights", Index(o.row_weights->size()), n);
  for (Index i = 0; i < n; ++i) {
    const double w = (*o.row_weights)[std::size_t(i)];
    core::expects(w >= 0 && w <= 1e300, function, "row_weights[", i, "] is ", w,
                  ", not a finite number of at least 0");
  }
}

}  // namespace spheremix::losses::detail
