// What the losses of one labelled batch share: the result, the labels, and the run over whole rows.
#pragma once

#include <algorithm>
#include <vector>

#include "spheremix/losses/mixing.hpp"
#include "spheremix/losses/row_outputs.hpp"
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
};

/// Labels in double, one a row, finite.
template <class L>
std::vector<double> labels_of(const char* function, const Eigen::MatrixBase<L>& labels, Index n) {
  core::expects(labels.rows() == 1 || labels.cols() == 1 || labels.size() == 0, function,
                "labels are ", labels.rows(), " x ", labels.cols(), ", not a vector");
  core::expects_size(function, "labels", labels.size(), n);
  std::vector<double> all(static_cast<std::size_t>(n));
  const auto plain = labels.derived().eval();
  for (Index i = 0; i < n; ++i) {
    const double y = double(labels.rows() == 1 ? plain(0, i) : plain(i, 0));
    core::expects(std::isfinite(y), function, "labels[", i, "] is ", y);
    all[std::size_t(i)] = y;
  }
  return all;
}

/// For every row the range of others that count as equal, in the order of the labels.
struct LabelOrder {
  std::vector<Index> place;        ///< row of each place
  std::vector<double> label;       ///< ascending
  std::vector<Index> first, last;  ///< of each place: places [first, last) have an equal label

  LabelOrder(const std::vector<double>& labels, double tolerance)
      : place(labels.size()), label(labels.size()), first(labels.size()), last(labels.size()) {
    for (std::size_t i = 0; i < labels.size(); ++i) place[i] = Index(i);
    std::stable_sort(place.begin(), place.end(), [&](Index a, Index b) {
      return labels[std::size_t(a)] < labels[std::size_t(b)];
    });
    for (std::size_t i = 0; i < labels.size(); ++i) label[i] = labels[std::size_t(place[i])];
    std::size_t low = 0, high = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      while (label[i] - label[low] > tolerance) ++low;
      while (high < labels.size() && label[high] - label[i] <= tolerance) ++high;
      first[i] = Index(low);
      last[i] = Index(high);
    }
  }
};

inline void expects_tolerance(const char* function, double tolerance) {
  core::expects(tolerance >= 0 && std::isfinite(tolerance), function, "label_tolerance is ",
                tolerance, ", not a finite number >= 0");
}

/// The rows of X in the order of the labels.
template <class T>
void gather_rows(MatrixView<const T> x, const std::vector<Index>& place, MatrixView<T> to) {
  for (Index i = 0; i < x.rows; ++i) std::copy_n(x.row(place[std::size_t(i)]), x.cols, to.row(i));
}

/// out row place[i] = a_i + b_i.
template <class T>
void scatter_sum(MatrixView<const T> a, MatrixView<const T> b, const std::vector<Index>& place,
                 MatrixView<T> out) {
  for (Index i = 0; i < a.rows; ++i)
    for (Index k = 0; k < a.cols; ++k) out(place[std::size_t(i)], k) = a(i, k) + b(i, k);
}

/// Loss or, with `out`, gradients of run(x view, labels, workspace, dx view).
template <class X, class L, class Run>
SupervisedResult supervised_value(const char* function, const Eigen::MatrixBase<X>& x,
                                  const Eigen::MatrixBase<L>& labels, const Run& run) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows(x);
  core::expects(x.rows() >= 1, function, "X has no rows");
  Workspace workspace;
  return run(rows.view(), labels_of(function, labels, x.rows()), workspace, MatrixView<T>{});
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
  const SupervisedResult result =
      run(rows.view(), labels_of(function, labels, x.rows()), workspace, dx.view());
  dx.commit();
  out.loss = result.loss;
  out.log_temperature = result.log_temperature;
  out.skipped = result.skipped;
}

}  // namespace detail
}  // namespace spheremix::losses
