// What the losses of one labelled batch share: the result, the labels, and the run over whole rows.
#pragma once

#include <algorithm>
#include <type_traits>

#include "spheremix/losses/detail/mixing.hpp"
#include "spheremix/losses/detail/row_outputs.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

/// Loss and gradient of a loss of one labelled batch.
template <class Matrix>
struct SupervisedGradient {
  double loss;
  Matrix x;                ///< dL/dX
  double log_temperature;  ///< dL/d ln(tau)
  Index skipped;           ///< anchors without a positive: they have no part in the mean
};

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

/// Labels, one a row, in double whatever they are; read where they lie.
struct LabelView {
  const void* from;
  double (*read)(const void*, Index);
  Index size;

  double operator[](Index i) const { return read(from, i); }
};

/// The caller's labels: a vector of any numbers, finite; copied only where an expression has to be
/// computed.
template <class L>
class LabelArgument {
 public:
  LabelArgument(const char* function, const Eigen::MatrixBase<L>& labels, Index n)
      : plain_(labels.derived()) {
    core::expects(labels.rows() == 1 || labels.cols() == 1 || labels.size() == 0, function,
                  "labels are ", labels.rows(), " x ", labels.cols(), ", not a vector");
    core::expects_size(function, "labels", labels.size(), n);
    for (Index i = 0; i < n; ++i)
      core::expects(std::isfinite(read(&plain_, i)), function, "labels[", i, "] is ",
                    read(&plain_, i));
  }
  LabelArgument(const LabelArgument&) = delete;

  LabelView view() const { return {&plain_, read, plain_.size()}; }

 private:
  using Plain = Eigen::Matrix<typename L::Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  using Held = std::conditional_t<bool(L::Flags& Eigen::DirectAccessBit), const L&, const Plain>;

  static double read(const void* from, Index i) {
    const auto& y = *static_cast<const std::remove_reference_t<Held>*>(from);
    return double(y.rows() == 1 ? y(0, i) : y(i, 0));
  }

  Held plain_;
};

/// For every row the range of others that count as equal, in the order of the labels. In a frame.
struct LabelOrder {
  Index n;
  Index* place;         ///< row of each place
  double* label;        ///< ascending
  Index *first, *last;  ///< of each place: places [first, last) have an equal label

  LabelOrder(const LabelView& labels, double tolerance, Workspace::Frame& frame)
      : n(labels.size),
        place(frame.take<Index>(std::size_t(n))),
        label(frame.take<double>(std::size_t(n))),
        first(frame.take<Index>(std::size_t(n))),
        last(frame.take<Index>(std::size_t(n))) {
    if (frame.counts()) return;
    for (Index i = 0; i < n; ++i) place[i] = i;
    std::sort(place, place + n, [&](Index a, Index b) {  // equal labels in the order of the rows
      const double x = labels[a], y = labels[b];
      return x < y || (x == y && a < b);
    });
    for (Index i = 0; i < n; ++i) label[i] = labels[place[i]];
    Index low = 0, high = 0;
    for (Index i = 0; i < n; ++i) {
      while (label[i] - label[low] > tolerance) ++low;
      while (high < n && label[high] - label[i] <= tolerance) ++high;
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
  SupervisedArrays(const LabelView& labels, const Options& options, Index d, bool gradients,
                   Workspace::Frame& frame)
      : order(labels, options, frame),
        lines(labels.size, frame),
        sorted(labels.size, d, gradients, frame) {}
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

/// Loss or, with `out`, gradients of run(x view, labels, workspace, dx view).
template <class X, class L, class Run>
auto supervised_value(const char* function, const Eigen::MatrixBase<X>& x,
                      const Eigen::MatrixBase<L>& labels, const Run& run) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows(x);
  core::expects(x.rows() >= 1, function, "X has no rows");
  const LabelArgument<L> y(function, labels, x.rows());
  Workspace workspace;
  return run(rows.view(), y.view(), workspace, MatrixView<T>{});
}

template <class X, class L, class Run, class Out>
void supervised_gradient(const char* function, const Eigen::MatrixBase<X>& x,
                         const Eigen::MatrixBase<L>& labels, const Run& run, Workspace& workspace,
                         Out& out) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows(x);
  core::expects(x.rows() >= 1, function, "X has no rows");
  core::OutputRows dx(function, "out.x", out.x, x.rows(), x.cols());
  core::expects_apart(function, dx.view(), rows.view());
  const LabelArgument<L> y(function, labels, x.rows());
  const auto result = run(rows.view(), y.view(), workspace, dx.view());
  dx.commit();
  result.put(out);
}

}  // namespace detail
}  // namespace spheremix::losses
