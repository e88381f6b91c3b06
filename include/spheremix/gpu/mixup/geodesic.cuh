// Geodesic mixup of the rows of two matrices on the device, and its gradient.
//
//   m_i = slerp(x_i, y_i, 1 - lambda_i)        lambda is the weight of X: 1 gives x_i
//
// Shapes   X, Y, G and the results: n x d of one storage type, d <= 16384. lambda: one number in
//          [0, 1], or n in device memory. Gradients are tangent; dL/dlambda is one number a row.
// Edges    lambda = 0, 1 and x = y give the input's bits. A lambda outside [0, 1], antipodal rows
//          and NaN give NaN in that row only; one lambda for all outside [0, 1] is an error.
// [Oh et al. 2023, "Geodesic Multi-Modal Mixup for Robust Fine-Tuning", arXiv 2203.03897]
#pragma once

#include "spheremix/gpu/sphere/slerp.cuh"

namespace spheremix::gpu::mixup {

/// Where geodesic_vjp and linear_vjp write. lambda may be null: not wanted.
template <class T>
using MixupGradient = spheremix::mixup::MixGradient<View<T>, Arithmetic<T>*>;

namespace detail {
template <class A>
bool in_range(const RowScalar<A>& lambda) {
  return lambda.each || (lambda.all >= 0 && lambda.all <= 1);
}
}  // namespace detail

/// Enqueues out_i = slerp(x_i, y_i, 1 - lambda_i).
template <class T>
Status geodesic(Input<T> x, Input<T> y, std::type_identity_t<RowScalar<Arithmetic<T>>> lambda,
                View<T> out, cudaStream_t stream = nullptr) {
  if (!detail::in_range(lambda)) return invalid("geodesic: lambda lies outside [0, 1]");
  return sphere::detail::slerp<sphere::detail::Parameter::lambda, T>(
      SPHEREMIX_ROW_TEXTS("geodesic"), x, y, lambda, out, stream);
}

/// Enqueues the gradients of L through geodesic for G = dL/dm (derivation at math::arc_slerp_vjp).
template <class T>
Status geodesic_vjp(Input<T> x, Input<T> y, std::type_identity_t<RowScalar<Arithmetic<T>>> lambda,
                    Input<T> g, MixupGradient<T> out, cudaStream_t stream = nullptr) {
  if (!detail::in_range(lambda)) return invalid("geodesic_vjp: lambda lies outside [0, 1]");
  return sphere::detail::slerp_vjp<sphere::detail::Parameter::lambda, T>(
      SPHEREMIX_ROW_TEXTS("geodesic_vjp"), x, y, lambda, g, out.x, out.y, out.lambda, stream);
}

}  // namespace spheremix::gpu::mixup
