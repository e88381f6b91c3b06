// What the losses of one labelled batch share: the result, the labels (core/numbers.hpp) in their
// order, and the run over whole rows.
#pragma once

#include <algorithm>

#include "spheremix/core/numbers.hpp"
#include "spheremix/formula/label_distance.hpp"
#include "spheremix/losses/detail/mixing.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

namespace detail {

struct SupervisedResult {
  double loss = 0, log_temperature = 0;
  Index skipped = 0;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.log_temperature = log_temperature;
    out.skipped = skipped;
  }
};

using core::ExactNumber;
using core::Numbers;
using formula::LabelDistance;

/// For every row the range of others that count as equal, in the order of the labels. In a frame.
struct LabelOrder {
  Index n;
  LabelDistance distance;
  Index* place;         ///< row of each place
  ExactNumber* label;   ///< ascending
  Index *first, *last;  ///< of each place: places [first, last) have an equal label

  LabelOrder(const Numbers& labels, double tolerance, Workspace::Frame& frame)
      : n(labels.size()),
        distance{labels.resolution()},
        place(frame.take<Index>(std::size_t(n))),
        label(frame.take<ExactNumber>(std::size_t(n))),
        first(frame.take<Index>(std::size_t(n))),
        last(frame.take<Index>(std::size_t(n))) {
    if (frame.counts()) return;
    for (Index i = 0; i < n; ++i) place[i] = i;
    std::sort(place, place + n, [&](Index a, Index b) {  // equal labels in the order of the rows
      const ExactNumber x = labels[a], y = labels[b];
      return x < y || (x == y && a < b);
    });
    for (Index i = 0; i < n; ++i) label[i] = labels[place[i]];
    Index low = 0, high = 0;
    for (Index i = 0; i < n; ++i) {
      while (!distance.equal(label[low], label[i], tolerance)) ++low;
      while (high < n && distance.equal(label[i], label[high], tolerance)) ++high;
      first[i] = low;
      last[i] = high;
    }
  }
};

/// The rows of X in the order of their labels and room for their two gradients.
template <class T>
struct SortedRows {
  MatrixView<T> rows, dx{}, dy{};

  SortedRows(Index n, Index d, bool gradients, Workspace::Frame& frame)
      : rows(take_rows<T>(frame, n, d)) {
    if (!gradients) return;
    dx = take_rows<T>(frame, n, d);
    dy = take_rows<T>(frame, n, d);
  }
  pairwise::PairGradients<T> gradients() const { return {dx, dy, false, false}; }
};

/// Labels in order (Order: LabelOrder or RemixRows), results a row, and the rows in their order.
template <class T, class Order>
struct SupervisedArrays {
  Order order;
  LineResults lines;
  SortedRows<T> sorted;

  template <class Options>
  SupervisedArrays(const Numbers& labels, const Options& options, Index d, bool gradients,
                   Workspace::Frame& frame)
      : order(labels, options, frame),
        lines(labels.size(), frame),
        sorted(labels.size(), d, gradients, frame) {}
};

inline void expects_tolerance(const char* function, double tolerance) {
  core::expects(tolerance >= 0 && std::isfinite(tolerance), function, "label_tolerance is ",
                tolerance, ", not a finite number >= 0");
}

/// The rows of X in the order of the labels.
template <class T>
void gather_rows(MatrixView<const T> x, const Index* place, MatrixView<T> to) {
  for (Index i = 0; i < x.rows; ++i) std::copy_n(x.row(place[i]), x.cols, to.row(i));
}

/// out row place[i] = a_i + b_i.
template <class T>
void scatter_sum(MatrixView<const T> a, MatrixView<const T> b, const Index* place,
                 MatrixView<T> out) {
  for (Index i = 0; i < a.rows; ++i)
    for (Index k = 0; k < a.cols; ++k) out(place[i], k) = a(i, k) + b(i, k);
}

inline void expects_labels(const char* function, const Numbers& labels, Index n) {
  labels.expects_vector(function, "labels", n);
}
/// Something else in the place of labels: a table of distances is checked here, lists where they
/// are used.
template <class Other>
void expects_labels(const char* function, const Other& other, Index n) {
  if constexpr (requires { other.size(); }) core::expects_size(function, "labels", other.size(), n);
}

/// Loss or, with `out`, gradients of run(x view, labels, workspace, dx view).
template <class X, class Labels, class Run>
auto supervised_value(const char* function, const Eigen::MatrixBase<X>& x, const Labels& labels,
                      const Run& run, Local here = {}) {
  return with_rows(
      [&]<class T>(MatrixView<const T> rows) {
        core::expects(rows.rows >= 1, function, "X has no rows");
        expects_labels(function, labels, rows.rows);
        Workspace workspace;
        workspace.work_on(here.share);
        return run(rows, labels, workspace, MatrixView<T>{});
      },
      x);
}

template <class X, class Labels, class Run, class Out>
void supervised_gradient(const char* function, const Eigen::MatrixBase<X>& x, const Labels& labels,
                         const Run& run, Workspace& workspace, Out& out) {
  with_rows(
      [&]<class T>(MatrixView<const T> rows) {
        core::expects(rows.rows >= 1, function, "X has no rows");
        core::OutputRows dx(function, "out.x", out.x, rows.rows, rows.cols);
        core::expects_apart(function, dx.view(), rows);
        expects_labels(function, labels, rows.rows);
        const auto result = run(rows, labels, workspace, dx.view());
        dx.commit();
        result.put(out);
      },
      x);
}

}  // namespace detail
}  // namespace spheremix::losses
