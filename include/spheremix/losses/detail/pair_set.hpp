// A set of pairs of rows of X and Y, from ids, a list or a matrix: for each row its columns in
// ascending order, in a frame. O(n + m), and the entries of a list; a matrix is read where it lies.
#pragma once

#include <algorithm>

#include "spheremix/core/parallel.hpp"
#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/losses/detail/dense_blocks.hpp"

namespace spheremix::losses::detail {

struct TargetTable;

/// Of the targets of a row its heaviest, of a column likewise, -1 for none; of columns its weight.
struct TargetPicks {
  Index *row, *col;
  double* heaviest;
  DenseTotals dense;
};

/// A set of pairs with weights: each row's columns in ascending order. `from` null: the diagonal.
struct PairSet {
  const TargetParts* from;
  Index n, m;
  Index *first = nullptr, *last = nullptr;          ///< n: places of a row's columns; of lists
  Index* column = nullptr;                          ///< of a place
  double* weight = nullptr;                         ///< of a place, or null: 1
  Index *col_first = nullptr, *col_last = nullptr;  ///< m: of ids, the same by columns
  Index* row = nullptr;
  Index own = 0;  ///< of the diagonal: the column of row 0

  PairSet(const Targets* targets, Index rows, Index cols, Workspace::Frame& frame)
      : from(targets ? &targets->parts() : nullptr), n(rows), m(cols) {
    take(frame);
  }

  bool dense() const { return from && from->kind == TargetKind::soft; }
  bool of_ids() const { return from && from->kind == TargetKind::ids; }

  /// A walk over the pairs of a row with j in [j0, j1), of weights above 0: while (set.step(walk)).
  struct Walk {
    Index i, at, end;
    Index j = 0;
    double weight = 1;
  };
  Walk walk(Index i, Index j0, Index j1) const;
  bool step(Walk& w) const;
  void take(Workspace::Frame& frame);
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
};

/// What a set of pairs that is not the diagonal does. A program that makes no targets has no such code,
/// so that it compiles none: the sets know it by Targets.
struct PairCode {
  void (*take)(PairSet& set, Workspace::Frame& frame);
  PairSet::Walk (*walk)(const PairSet& set, Index i, Index j0, Index j1);
  bool (*step)(const PairSet& set, PairSet::Walk& w);
  /// Throws where the arguments of ids, pairs or soft do not fit n x m pairs; most: of soft targets,
  /// 0: their numbers are not looked at here.
  void (*expects)(const char* function, const char* what, const TargetParts& t, Index n, Index m,
                  double most);
  void (*totals)(TargetTable& table, bool both, bool weighted, const TargetPicks& picks);
};

inline void PairSet::take(Workspace::Frame& frame) {
  if (from) from->code->take(*this, frame);
}
inline PairSet::Walk PairSet::walk(Index i, Index j0, Index j1) const {
  if (from) return from->code->walk(*this, i, j0, j1);
  return {i, (std::max)(own + i, j0), (std::min)(own + i + 1, j1)};
}
inline bool PairSet::step(Walk& w) const {
  if (from) return from->code->step(*this, w);
  w.j = w.at;
  return w.at++ < w.end;
}

/// Throws where what a call says of its targets does not fit n x m pairs. most: of soft targets, 0
/// where TargetTable looks at them.
SPHEREMIX_COLD inline void expects_targets(const char* function, const TargetOptions& o, Index n,
                                           Index m, double most) {
  core::expects(o.smoothing >= 0 && o.smoothing <= 1, function, "label_smoothing is ", o.smoothing,
                ", not in [0, 1]");
  for (const Targets* t : {o.targets, o.exclude}) {
    if (!t) continue;
    const char* const what = t == o.targets ? "targets" : "exclude";
    t->parts().code->expects(function, what, t->parts(), n, m, t == o.targets ? most : kMostWeight);
  }
  if (!o.row_weights) return;
  core::expects_size(function, "row_weights", Index(o.row_weights->size()), n);
  for (Index i = 0; i < n; ++i) {
    const double w = (*o.row_weights)[std::size_t(i)];
    core::expects(w >= 0 && w <= kMostWeight, function, "row_weights[", i, "] is ", w,
                  ", not a finite number of at least 0");
  }
}

/// Row weights over their largest, all 1 where there are none. Returns their sum, 0 where all are 0.
inline double weights_over_largest(const std::vector<double>* from, Index n, double* to) {
  double largest = 0, sum = 0;
  for (Index i = 0; i < n; ++i) {
    to[i] = from ? (*from)[std::size_t(i)] : 1;
    largest = (std::max)(largest, to[i]);
  }
  for (Index i = 0; largest > 0 && i < n; ++i) sum += to[i] /= largest;
  return sum;
}

}  // namespace spheremix::losses::detail
