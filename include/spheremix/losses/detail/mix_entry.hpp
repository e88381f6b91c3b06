// The way in and out of the losses that mix: Eigen arguments and lambda to views, gradients back to where
// they belong.
#pragma once

#include "spheremix/losses/detail/mixing.hpp"

namespace spheremix::losses::detail {

/// What a loss that mixes hands back besides dX and dY. lambda: n numbers in the workspace, or null
/// for NaN.
struct MixResult {
  double* lambda = nullptr;
  double loss = 0;
  double log_temperature = 0;
  double log_mix_temperature = 0;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.log_temperature = log_temperature;
    if constexpr (requires { out.log_mix_temperature; })
      out.log_mix_temperature = log_mix_temperature;
  }
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

/// Throws unless X and Y are pairs of rows: before lambda is looked at.
template <class X, class Y>
void expects_pairs(const char* function, const Eigen::MatrixBase<X>& x,
                   const Eigen::MatrixBase<Y>& y) {
  core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  core::expects(x.rows() >= 1, function, "X has no rows");
}

/// A loss of X, Y and lambda as entry.hpp runs it. Loss:
/// operator()(function, x, y, lambda, workspace, out) -> MixResult.
template <class T, class Loss>
struct Mixing : OfTwoBatches {
  const Loss& loss;
  RowParameter<T> lambda;

  struct Result : MixResult {
    const char* function;
    Index n;

    template <class Out>
    void put(Out& out) const {
      MixResult::put(out);
      put_lambda_gradient(function, MixResult::lambda, n, out.lambda);
    }
  };

  Result operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                    const Outputs<T, 2>& out) const {
    return {
        loss(function, in[0], in[1], lambda, workspace, pairwise::PairGradients<T>{out[0], out[1]}),
        function, in[0].rows};
  }
};

template <class Loss, class X, class Y, class L>
double mix_value(const char* function, const Loss& loss, const Eigen::MatrixBase<X>& x,
                 const Eigen::MatrixBase<Y>& y, const L& lambda, Local here = {}) {
  using T = core::Real<X>;
  expects_pairs(function, x, y);
  const LambdaArgument<T, L> weights(function, "lambda", lambda, x.rows());
  return value(function, Mixing<T, Loss>{{}, loss, weights.value()}, here, x, y).loss;
}

/// Loss, dX, dY and dL/dlambda into `out`.
template <class Loss, class Out, class X, class Y, class L>
void mix_into(const char* function, const Loss& loss, Workspace& workspace, Out& out,
              const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, const L& lambda) {
  using T = core::Real<X>;
  static_assert(std::is_arithmetic_v<L> == std::is_arithmetic_v<decltype(out.lambda)>,
                "spheremix: out.lambda is a number for one lambda and a vector for one a row");
  expects_pairs(function, x, y);
  const LambdaArgument<T, L> weights(function, "lambda", lambda, x.rows());
  into(function, Mixing<T, Loss>{{}, loss, weights.value()}, workspace, out, x, y);
}

}  // namespace spheremix::losses::detail
