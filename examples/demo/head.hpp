// A head: one linear layer, then the sphere.
//
//   u_i = W x_i + b,   y_i = u_i / |u_i|
//   dU = normalize_rows_vjp(U, dY),   dW = dU^T X,   db = sum_i dU_i
//
// W and b start uniform on +-1/sqrt(inputs), as torch.nn.Linear does.
#pragma once

#include <cmath>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace demo {

using spheremix::Index;
using Rows = spheremix::RowMatrix<float>;
using Column = spheremix::Vector<float>;

struct Head {
  Rows weight, weight_gradient;  ///< outputs x inputs
  Column bias, bias_gradient;

  Head(Index inputs, Index outputs, spheremix::core::Philox& rng)
      : weight(outputs, inputs),
        weight_gradient(Rows::Zero(outputs, inputs)),
        bias(outputs),
        bias_gradient(Column::Zero(outputs)) {
    const float bound = 1 / std::sqrt(float(inputs));
    fill(weight.data(), weight.size(), bound, rng);
    fill(bias.data(), bias.size(), bound, rng);
  }

  /// The unit rows for x; keeps what backward() needs.
  const Rows& forward(const Rows& x) {
    linear_.noalias() = x * weight.transpose();
    linear_.rowwise() += bias.transpose();
    spheremix::sphere::normalize_rows(linear_, output_);
    return output_;
  }

  /// The gradients of weight and bias, given x of the last forward() and dL/d(output).
  void backward(const Rows& x, const Rows& output_gradient) {
    spheremix::sphere::normalize_rows_vjp(linear_, output_gradient, linear_gradient_);
    weight_gradient.noalias() = linear_gradient_.transpose() * x;
    bias_gradient.noalias() = linear_gradient_.colwise().sum().transpose();
  }

  /// dL/dX of the last backward().
  Rows input_gradient() const { return linear_gradient_ * weight; }

 private:
  static void fill(float* out, Index n, float bound, spheremix::core::Philox& rng) {
    const auto step = rng.take_step();
    for (Index i = 0; i < n; ++i)
      out[i] = bound * (2 * rng.stream(step, std::uint64_t(i)).uniform<float>() - 1);
  }

  Rows linear_, output_, linear_gradient_;
};

}  // namespace demo
