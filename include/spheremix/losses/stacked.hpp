// Two views of a batch as one stacked batch [X; Y] of 2 n rows: row i and row i + n are positives
// of each other, everything else is a negative.
#pragma once

#include "spheremix/losses/mixing.hpp"
#include "spheremix/losses/row_outputs.hpp"

namespace spheremix::losses::detail {

/// The stacked rows and room for their two gradients, in a frame.
template <class T>
struct Stacked {
  MatrixView<T> rows{}, dx{}, dy{};

  Stacked(MatrixView<const T> x, MatrixView<const T> y, bool gradients, Workspace::Frame& frame)
      : rows(take_rows<T>(frame, 2 * x.rows, x.cols)) {
    if (gradients) {
      dx = take_rows<T>(frame, 2 * x.rows, x.cols);
      dy = take_rows<T>(frame, 2 * x.rows, x.cols);
    }
    if (frame.counts()) return;
    put_rows<T>(rows.middle_rows(0, x.rows), x, false);
    put_rows<T>(rows.middle_rows(x.rows, x.rows), y, false);
  }

  pairwise::PairGradients<T> gradients() const { return {dx, dy, false, false}; }

  /// dX, dY = the halves of the sum of both.
  void unstack(const pairwise::PairGradients<T>& out) const {
    const Index n = rows.rows / 2;
    for (const bool second : {false, true}) {
      const auto to = second ? out.dy : out.dx;
      put_rows<T>(to, dx.middle_rows(second ? n : 0, n), false);
      put_rows<T>(to, dy.middle_rows(second ? n : 0, n), true);
    }
  }
};

/// Row i's positive among 2 n stacked rows.
inline Index other_view(Index i, Index n) { return i < n ? i + n : i - n; }

/// The doors of losses of two views: run(function, x, y, workspace, out) -> ContrastResult.
template <class X, class Y, class Run>
ContrastResult two_views_value(const char* function, const Eigen::MatrixBase<X>& x,
                               const Eigen::MatrixBase<Y>& y, const Run& run) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows_x(x), rows_y(y);
  core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  core::expects(x.rows() >= 1, function, "X has no rows");
  Workspace workspace;
  return run(function, rows_x.view(), rows_y.view(), workspace, pairwise::PairGradients<T>{});
}

template <class X, class Y, class Run, class Out>
auto two_views_gradient(const char* function, const Eigen::MatrixBase<X>& x,
                        const Eigen::MatrixBase<Y>& y, const Run& run, Workspace& workspace,
                        Out& out) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows_x(x), rows_y(y);
  core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  core::expects(x.rows() >= 1, function, "X has no rows");
  GradientRows<T, decltype(out.x), decltype(out.y)> rows(function, out.x, out.y, rows_x.view(),
                                                         rows_y.view());
  const auto result = run(function, rows_x.view(), rows_y.view(), workspace,
                          pairwise::PairGradients<T>{rows.x.view(), rows.y.view()});
  rows.commit();
  out.loss = result.loss;
  return result;
}

template <class T>
ContrastResult nan_result(const pairwise::PairGradients<T>& out) {
  if (out.dx.data) fill_nan(out.dx), fill_nan(out.dy);
  return {core::nan<double>, core::nan<double>, nullptr};
}

}  // namespace spheremix::losses::detail
