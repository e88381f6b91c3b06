// Tangent vectors and the sphere, row by row on the device.
//
//   tangent(x, g) = g - (x.g) x
//   exp_x(v)      = cos|v| x + sinc(|v|) v, v projected on T_x first
//   log_x(y)      = theta (unit direction of y from x)
//   transport of v along x -> y:  v - 2 (e.v) e,  e = (x + y)/|x + y|
//
// Shapes   all n x d of one storage type, d <= 16384.
// Edges    antipodal rows give NaN in log and transport; NaN stays in its row. In place is right.
#pragma once

#include <cmath>

#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/sphere/row_arc.cuh"

namespace spheremix::gpu::sphere {

namespace detail {

template <class Group>
__device__ typename Group::A row_dot(const Group& group, const typename Group::Values& a,
                                     const typename Group::Values& b) {
  typename Group::A sum[1] = {0};
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) sum[0] += a[k] * b[k];
  group.sum(sum);
  return sum[0];
}

/// v becomes its part tangent at x.
template <class Group>
__device__ void project(const Group& group, const typename Group::Values& x,
                        typename Group::Values& v) {
  const typename Group::A along = row_dot(group, x, v);
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) v[k] -= along * x[k];
}

template <class T>
struct TangentRow {
  View<const T> x, g;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(x, row, a);
    group.load(g, row, b);
    make_unit<T>(group, a);
    project(group, a, b);
    group.store(out, row, b);
  }
};

template <class T>
struct ExpRow {
  using A = Arithmetic<T>;
  View<const T> x, v;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(x, row, a);
    group.load(v, row, b);
    make_unit<T>(group, a);
    project(group, a, b);
    const A length = std::sqrt(row_dot(group, b, b));
    const A c = std::cos(length), s = length == 0 ? A(1) : std::sin(length) / length;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) a[k] = c * a[k] + s * b[k];
    group.store(out, row, a);
  }
};

template <class T>
struct LogRow {
  using A = Arithmetic<T>;
  View<const T> x, y;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(x, row, a);
    group.load(y, row, b);
    make_unit<T>(group, a);
    make_unit<T>(group, b);
    const math::Arc<A> arc = row_arc(group, a, b);
    math::ArcVector<A> m = math::arc_log(arc);
    if (arc.antipodal) m.s = core::nan<A>;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) a[k] = m.s * (a[k] + b[k]) + m.d * (b[k] - a[k]);
    group.store(out, row, a);
  }
};

template <class T>
struct TransportRow {
  using A = Arithmetic<T>;
  View<const T> x, y, v;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b, c;
    group.load(x, row, a);
    group.load(y, row, b);
    group.load(v, row, c);
    make_unit<T>(group, a);
    make_unit<T>(group, b);
    const math::Arc<A> arc = row_arc(group, a, b);
    project(group, a, c);
    const A s = arc.antipodal ? core::nan<A> : arc.e1_s, d = arc.e1_d;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) a[k] = s * (a[k] + b[k]) + d * (b[k] - a[k]);  // e
    const A twice = 2 * row_dot(group, a, c);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) c[k] -= twice * a[k];
    group.store(out, row, c);
  }
};

}  // namespace detail

/// Enqueues out_i = the part of g_i tangent at x_i.
template <class T>
Status tangent_rows(Input<T> x, Input<T> g, View<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("tangent_rows"), out.rows, out.cols)
      .input(x)
      .input(g)
      .output(out, x, g)
      .template run<T>(detail::TangentRow<T>{x, g, out}, stream);
}

/// Enqueues out_i = exp_{x_i}(v_i).
template <class T>
Status exp_map_rows(Input<T> x, Input<T> v, View<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("exp_map_rows"), out.rows, out.cols)
      .input(x)
      .input(v)
      .output(out, x, v)
      .template run<T>(detail::ExpRow<T>{x, v, out}, stream);
}

/// Enqueues out_i = log_{x_i}(y_i).
template <class T>
Status log_map_rows(Input<T> x, Input<T> y, View<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("log_map_rows"), out.rows, out.cols)
      .input(x)
      .input(y)
      .output(out, x, y)
      .template run<T>(detail::LogRow<T>{x, y, out}, stream);
}

/// Enqueues out_i = v_i carried from x_i to y_i along the arc between them.
template <class T>
Status parallel_transport_rows(Input<T> x, Input<T> y, Input<T> v, View<T> out,
                               cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("parallel_transport_rows"), out.rows, out.cols)
      .input(x)
      .input(y)
      .input(v)
      .output(out, x, y, v)
      .template run<T>(detail::TransportRow<T>{x, y, v, out}, stream);
}

}  // namespace spheremix::gpu::sphere
