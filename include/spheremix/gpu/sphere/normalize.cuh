// Unit rows from any non-zero ones on the device, and the gradient through that.
//
//   y_i = x_i / |x_i|,     vjp: (g - (g.y) y) / |x|
//
// Shapes   X, G and the results: n x d of one storage type, d <= 16384.
// Edges    right for every finite non-zero row: rows whose squares would overflow or underflow are
//          scaled by a power of two first. A zero row and a row with NaN or infinity give NaN, in
//          that row only. In place is right.
#pragma once

#include <cmath>

#include "spheremix/gpu/core/rows.cuh"

namespace spheremix::gpu::sphere {

namespace detail {

/// |x| = norm / scale, and x scaled so that its squares keep all digits.
template <class A>
struct RowNorm {
  A norm, scale;
};

/// True when a sum of squares is neither near underflow nor overflowed nor NaN.
template <class A>
__device__ bool keeps_all_digits(A squares) {
  return squares >= core::smallest_normal<A> / (core::epsilon<A> * core::epsilon<A>)&&squares <=
         core::largest<A>;
}

template <class Group>
__device__ typename Group::A row_squares(const Group& group, const typename Group::Values& x) {
  typename Group::A squares[1] = {0};
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) squares[0] += x[k] * x[k];
  group.sum(squares);
  return squares[0];
}

/// Scales x in place where its squares need it. The norm is NaN for a zero row and for one that is
/// not finite.
template <class Group>
__device__ RowNorm<typename Group::A> row_norm(const Group& group, typename Group::Values& x) {
  using A = typename Group::A;
  A squares = row_squares(group, x);
  A scale = 1;
  if (!keeps_all_digits(squares)) {  // the same in every thread
    A top = 0;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) top = top < std::abs(x[k]) ? std::abs(x[k]) : top;
    top = group.largest(top);
    constexpr int most = sizeof(A) == 4 ? 126 : 1022;
    const int exponent = top > 0 && top <= core::largest<A> ? std::ilogb(top) : 0;
    scale = std::ldexp(A(1), exponent < -most ? most : exponent > most ? -most : -exponent);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) x[k] *= scale;
    squares = row_squares(group, x);
  }
  const A norm = std::sqrt(squares);
  return {norm > 0 && norm <= core::largest<A> ? norm : core::nan<A>, scale};
}

template <class T>
struct NormalizeRow {
  View<const T> x;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a;
    group.load(x, row, a);
    const Arithmetic<T> inverse = 1 / row_norm(group, a).norm;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) a[k] *= inverse;
    group.store(out, row, a);
  }
};

template <class T>
struct NormalizeRowVjp {
  using A = Arithmetic<T>;
  View<const T> x, g;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(x, row, a);
    group.load(g, row, b);
    const RowNorm<A> length = row_norm(group, a);
    const A inverse = 1 / length.norm;
    A along[1] = {0};
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) {
      a[k] *= inverse;
      along[0] += a[k] * b[k];
    }
    group.sum(along);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k)
      a[k] = ((b[k] - along[0] * a[k]) * inverse) * length.scale;
    group.store(out, row, a);
  }
};

}  // namespace detail

/// Enqueues out_i = x_i / |x_i|.
template <class T>
Status normalize_rows(Input<T> x, View<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("normalize_rows"), out.rows, out.cols)
      .input(x)
      .output(out, x)
      .template run<T>(detail::NormalizeRow<T>{x, out}, stream);
}

/// Enqueues out_i = (g_i - (g_i.y_i) y_i) / |x_i|: the differential of x/|x| is symmetric.
template <class T>
Status normalize_rows_vjp(Input<T> x, Input<T> g, View<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("normalize_rows_vjp"), out.rows, out.cols)
      .input(x)
      .input(g)
      .output(out, x, g)
      .template run<T>(detail::NormalizeRowVjp<T>{x, g, out}, stream);
}

}  // namespace spheremix::gpu::sphere
