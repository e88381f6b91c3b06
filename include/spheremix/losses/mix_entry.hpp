// The doors of the losses that mix: Eigen arguments and lambda to views, gradients back to where
// they belong.
#pragma once

#include "spheremix/losses/mixing.hpp"

namespace spheremix::losses::detail {

/// What a loss that mixes hands back besides dX and dY. lambda: n numbers in the workspace, or null
/// for NaN.
struct MixResult {
  double* lambda = nullptr;
  double loss = 0;
  double log_temperature = 0;
  double log_mix_temperature = 0;
};

/// dL/dlambda of n rows, from 0.
struct LambdaSlopes {
  double* each;

  LambdaSlopes(Index n, Workspace::Frame& frame) : each(frame.take<double>(std::size_t(n))) {
    if (!frame.counts()) std::fill_n(each, n, 0.0);
  }
};

/// The result where an input is not finite.
template <class T>
MixResult not_a_number(const pairwise::PairGradients<T>& out) {
  if (out.dx.data) fill_nan(out.dx), fill_nan(out.dy);
  return {nullptr, core::nan<double>, core::nan<double>, core::nan<double>};
}

template <class X, class Y>
void expects_pairs(const char* function, const Eigen::MatrixBase<X>& x,
                   const Eigen::MatrixBase<Y>& y) {
  static_assert(core::is_real<typename X::Scalar>, "spheremix: embeddings are float or double");
  core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  core::expects(x.rows() >= 1, function, "X has no rows");
}

/// Value of run(x, y, lambda, workspace, no gradients).
template <class X, class Y, class L, class Run>
double mix_value(const char* function, const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                 const L& lambda, const Run& run) {
  using T = typename X::Scalar;
  expects_pairs(function, x, y);
  const core::InputRows<T> rows_x(x), rows_y(y);
  const LambdaArgument<T, L> weights(function, "lambda", lambda, x.rows());
  Workspace workspace;
  return run.template operator()<T>(rows_x.view(), rows_y.view(), weights.value(), workspace, {})
      .loss;
}

/// Loss, dX, dY and dL/dlambda of run into `out`.
template <class X, class Y, class L, class Run, class Out>
MixResult mix_gradient(const char* function, const Eigen::MatrixBase<X>& x,
                       const Eigen::MatrixBase<Y>& y, const L& lambda, const Run& run,
                       Workspace& workspace, Out& out) {
  using T = typename X::Scalar;
  static_assert(std::is_arithmetic_v<L> == std::is_arithmetic_v<decltype(out.lambda)>,
                "spheremix: out.lambda is a number for one lambda and a vector for one a row");
  expects_pairs(function, x, y);
  const core::InputRows<T> rows_x(x), rows_y(y);
  const LambdaArgument<T, L> weights(function, "lambda", lambda, x.rows());
  GradientRows<T, decltype(out.x), decltype(out.y)> rows(function, out.x, out.y, rows_x.view(),
                                                         rows_y.view());
  const MixResult result = run.template operator()<T>(rows_x.view(), rows_y.view(), weights.value(),
                                                      workspace, {rows.x.view(), rows.y.view()});
  rows.commit();
  out.loss = result.loss;
  put_lambda_gradient(function, result.lambda, x.rows(), out.lambda);
  return result;
}

}  // namespace spheremix::losses::detail
