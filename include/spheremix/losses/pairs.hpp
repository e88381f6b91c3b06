// info_nce and clip from views: row i of X belongs to row i of Y, in one direction or in both.
#pragma once

#include "spheremix/losses/contrastive.hpp"

namespace spheremix::losses::detail {

template <class T>
struct PairArrays {
  Index* diagonal;
  ContrastArrays<T> contrast;

  PairArrays(Index n, bool both, bool gradients, Workspace::Frame& frame)
      : diagonal(frame.take<Index>(std::size_t(n))), contrast(n, n, 1, both, gradients, frame) {}
};

/// Plan, memory and run of the table X Y^T with its diagonal as targets. Both: columns as well as
/// rows.
template <bool Both, class T, class Products = pairwise::PlainProducts>
ContrastResult pair_loss_on_views(const char* function, MatrixView<const T> x,
                                  MatrixView<const T> y, double temperature, std::size_t budget,
                                  Workspace& workspace, const pairwise::PairGradients<T>& out) {
  core::expects_same_shape(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  core::expects(x.rows >= 1, function, "X has no rows");
  expects_temperature<T>(function, "temperature", temperature);
  const bool gradients = out.dx.data != nullptr;
  const Index n = x.rows;
  const auto plan = pairwise::make_plan<T>(
      function, n, n, x.cols, pairwise::keep_for<math::SoftmaxPair<T, true, Both>>(gradients),
      budget, core::bytes_of<PairArrays<T>>(n, Both, gradients));
  if (!computable(x, y, temperature)) {
    if (gradients) fill_nan(out.dx), fill_nan(out.dy);
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const PairArrays<T> arrays(n, Both, gradients, frame);
  for (Index i = 0; i < n; ++i) arrays.diagonal[i] = i;
  const Contrast<T> contrast{x, y, temperature, Both ? 0.5 : 1.0, 1, arrays.diagonal};
  return run_contrast<T, Both, Products>(contrast, arrays.contrast, plan, frame, out);
}

template <bool Both, class Products = pairwise::PlainProducts, class X, class Y>
double pair_loss(const char* function, const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                 double temperature, std::size_t budget, Workspace& workspace) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows_x(x), rows_y(y);
  return pair_loss_on_views<Both, T, Products>(function, rows_x.view(), rows_y.view(), temperature,
                                               budget, workspace, {})
      .loss;
}

template <bool Both, class Products = pairwise::PlainProducts, class X, class Y, class Out>
void pair_loss_with_gradient(const char* function, const Eigen::MatrixBase<X>& x,
                             const Eigen::MatrixBase<Y>& y, double temperature, std::size_t budget,
                             Workspace& workspace, Out& out) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: embeddings are float or double");
  const core::InputRows<T> rows_x(x), rows_y(y);
  core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  GradientRows<T, decltype(out.x), decltype(out.y)> rows(function, out.x, out.y, rows_x.view(),
                                                         rows_y.view());
  const auto result =
      pair_loss_on_views<Both, T, Products>(function, rows_x.view(), rows_y.view(), temperature,
                                            budget, workspace, {rows.x.view(), rows.y.view()});
  rows.commit();
  out.loss = result.loss;
  out.log_temperature = result.log_temperature;
}

}  // namespace spheremix::losses::detail
