// One linear map onto the sphere under SGD with momentum: what the small examples train.
#pragma once

#include "spheremix/core/philox.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/sampling.hpp"

struct LinearHead {
  using Matrix = spheremix::RowMatrix<float>;
  Matrix weight, momentum, x, u;  // in x out; x and u of the last forward()

  LinearHead(spheremix::Index in, spheremix::Index out, spheremix::core::Philox& rng)
      : weight(spheremix::sphere::sample_uniform<float>(in, out, rng)),
        momentum(Matrix::Zero(in, out)) {}

  Matrix operator()(const Matrix& input) const {
    return spheremix::sphere::normalize_rows(input * weight);
  }
  Matrix forward(const Matrix& input) {
    x = input;
    u = x * weight;
    return spheremix::sphere::normalize_rows(u);
  }
  void backward(const Matrix& dy, float rate) {
    momentum = 0.9f * momentum + x.transpose() * spheremix::sphere::normalize_rows_vjp(u, dy);
    weight -= rate * momentum;
  }
};
