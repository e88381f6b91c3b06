// The sum over triplets and its gradient, and triplet_of: over lists of rows of the caller's.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/core/numbers.hpp"
#include "spheremix/formula/triplet.hpp"
#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses::detail {

using core::Numbers;

struct TripletResult {
  double loss = 0;
  Index active = 0, skipped = 0;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.active = active;
    out.skipped = skipped;
  }
};

inline void expects_triplet(const char* function, const TripletOptions& o) {
  core::expects(o.margin >= 0 && std::isfinite(o.margin), function, "margin is ", o.margin,
                ", not a finite number >= 0");
}

/// Sums over triplets, and dL/dX in double (n x d, or null).
template <class T>
struct TripletSum {
  MatrixView<const T> x;
  const TripletOptions& options;
  double each;  ///< one over how many there are
  double* gradient;
  TripletResult result{};

  void add(Index a, Index positive, Index negative) {
    const double to_positive = distance(a, positive), to_negative = distance(a, negative);
    const formula::TripletTerm term = formula::triplet_term(to_positive, to_negative, options);
    if (!(term.value > 0)) return;
    ++result.active;
    result.loss += each * term.value;
    if (!gradient) return;
    pull(a, positive, each * term.slope * formula::triplet_factor(to_positive, options));
    pull(a, negative, -(each * term.slope) * formula::triplet_factor(to_negative, options));
  }

 private:
  double distance(Index a, Index b) const {
    return options.distance == TripletDistance::squared
               ? metrics::detail::squared_distance(x.row(a), x.row(b), x.cols)
               : metrics::detail::row_distance(x.row(a), x.row(b), x.cols);
  }
  void pull(Index a, Index b, double factor) {
    if (factor == 0) return;
    for (Index k = 0; k < x.cols; ++k) {
      const double g = factor * (double(x(a, k)) - double(x(b, k)));
      gradient[a * x.cols + k] += g;
      gradient[b * x.cols + k] -= g;
    }
  }
};

template <class T>
void put_rounded(const double* from, MatrixView<T> to) {
  if (!to.data) return;
  for (Index i = 0; i < to.rows; ++i)
    for (Index k = 0; k < to.cols; ++k) to(i, k) = T(from[i * to.cols + k]);
}

/// Lists of rows: anchors, positives, negatives.
struct TripletLists {
  const Numbers &anchors, &positives, &negatives;
};

struct ListedGradient {
  double* rows;
  ListedGradient(Index size, Workspace::Frame& frame)
      : rows(frame.take<double>(std::size_t(size))) {}
};

template <class T>
TripletResult triplet_of_views(const char* function, MatrixView<const T> x,
                               const TripletLists& lists, const TripletOptions& o,
                               Workspace& workspace, MatrixView<T> dx) {
  expects_triplet(function, o);
  const Index n = x.rows, count = lists.anchors.size();
  core::expects(count >= 1, function, "there are no triplets");
  lists.anchors.expects_classes(function, "anchors", count, n);
  lists.positives.expects_classes(function, "positives", count, n);
  lists.negatives.expects_classes(function, "negatives", count, n);
  if (!computable(x, x, 1.0)) {
    if (dx.data) fill_nan(dx);
    return {core::nan<double>, 0, 0};
  }
  const Index size = dx.data ? n * x.cols : 0;
  const std::size_t needed = core::bytes_of<ListedGradient>(size);
  core::expects(needed <= o.memory_budget, function, "memory_budget is ", o.memory_budget,
                " bytes, but ", needed, " are needed");
  Workspace::Frame frame = workspace.frame(needed);
  const ListedGradient gradient(size, frame);
  std::fill_n(gradient.rows, size, 0.0);
  TripletSum<T> sum{x, o, 1 / double(count), dx.data ? gradient.rows : nullptr, {}};
  for (Index t = 0; t < count; ++t)
    sum.add(lists.anchors.index(t), lists.positives.index(t), lists.negatives.index(t));
  put_rounded(gradient.rows, dx);
  return sum.result;
}

}  // namespace spheremix::losses::detail

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_TRIPLET_OF(T)                                                         \
  TripletResult triplet_of_views(const char*, MatrixView<const T>, const TripletLists&, \
                                 const TripletOptions&, Workspace&, MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_TRIPLET_OF)
}  // namespace spheremix::losses::detail
