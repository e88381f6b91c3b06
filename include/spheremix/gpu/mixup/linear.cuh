// Linear mixup of the rows of two matrices on the device, and its gradient.
//
//   m_i = lambda_i x_i + (1 - lambda_i) y_i
//   dx = lambda g,  dy = (1 - lambda) g,  dlambda = g.(x - y)
//
// Shapes   as mixup/geodesic.cuh. Rows of any length.
// Edges    lambda = 0 and 1 give the input's bits. A lambda outside [0, 1] gives NaN in its row;
//          one lambda for all outside [0, 1] is an error. NaN stays in its row.
#pragma once

#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/mixup/geodesic.cuh"

namespace spheremix::gpu::mixup {

namespace detail {

template <class T>
struct LinearRow {
  using A = Arithmetic<T>;
  View<const T> x, y;
  RowScalar<A> lambda;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(x, row, a);
    group.load(y, row, b);
    const A w = 1 - sphere::detail::fraction<sphere::detail::Parameter::lambda>(lambda(row));
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k)
      a[k] = w == 1 ? a[k] : w == 0 ? b[k] : w * a[k] + (1 - w) * b[k];
    group.store(out, row, a);
  }
};

template <class T>
struct LinearRowVjp {
  using A = Arithmetic<T>;
  View<const T> x, y;
  RowScalar<A> lambda;
  View<const T> g;
  View<T> out_x, out_y;
  A* out_lambda;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values c;
    group.load(g, row, c);
    const A w = 1 - sphere::detail::fraction<sphere::detail::Parameter::lambda>(lambda(row));
    if (out_lambda) {
      typename Group::Values a, b;
      group.load(x, row, a);
      group.load(y, row, b);
      A along[1] = {0};
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k) along[0] += c[k] * (a[k] - b[k]);
      group.sum(along);
      if (group.leads()) out_lambda[row] = w == w ? along[0] : w;
    }
    typename Group::Values part;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) part[k] = w * c[k];
    group.store(out_x, row, part);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) part[k] = (1 - w) * c[k];
    group.store(out_y, row, part);
  }
};

}  // namespace detail

/// Enqueues out_i = lambda_i x_i + (1 - lambda_i) y_i.
template <class T>
Status linear(Input<T> x, Input<T> y, std::type_identity_t<RowScalar<Arithmetic<T>>> lambda,
              View<T> out, cudaStream_t stream = nullptr) {
  if (!detail::in_range(lambda)) return invalid("linear: lambda lies outside [0, 1]");
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("linear"), out.rows, out.cols)
      .input(x)
      .input(y)
      .output(out, x, y)
      .template run<T>(detail::LinearRow<T>{x, y, lambda, out}, stream);
}

/// Enqueues the gradients of L through linear for G = dL/dm.
template <class T>
Status linear_vjp(Input<T> x, Input<T> y, std::type_identity_t<RowScalar<Arithmetic<T>>> lambda,
                  Input<T> g, MixupGradient<T> out, cudaStream_t stream = nullptr) {
  if (!detail::in_range(lambda)) return invalid("linear_vjp: lambda lies outside [0, 1]");
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("linear_vjp"), g.rows, g.cols)
      .input(x)
      .input(y)
      .input(g)
      .output(out.x, x, y, g)
      .output(out.y, x, y, g)
      .apart(out.x, out.y)
      .template run<T>(detail::LinearRowVjp<T>{x, y, lambda, g, out.x, out.y, out.lambda}, stream);
}

}  // namespace spheremix::gpu::mixup
