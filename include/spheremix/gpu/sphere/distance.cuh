// The angle between rows on the device (their geodesic distance), and its gradient.
//
//   theta_i = 2 atan2(|v_i - u_i|, |u_i + v_i|)      frame and accuracy: math/arc.hpp
//   dtheta/du = -(unit direction of v from u), 0 where theta is 0 or pi
//
// Shapes   U, V and the gradients: n x d of one storage type, d <= 16384. The angles and g: n
//          numbers of Arithmetic<T>, in device memory.
// Inputs   unit rows; rows of 16-bit numbers are made unit in f32 first. NaN gives NaN in its row
//          only.
#pragma once

#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/sphere/row_arc.cuh"
#include "spheremix/math/arc_gradients.hpp"

namespace spheremix::gpu::sphere {

/// Where geodesic_distance_rows_vjp writes.
template <class T>
using DistanceGradient = spheremix::sphere::DistanceGradient<View<T>>;

namespace detail {

template <class T>
struct DistanceRow {
  View<const T> u, v;
  Arithmetic<T>* out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(u, row, a);
    group.load(v, row, b);
    make_unit<T>(group, a);
    make_unit<T>(group, b);
    const Arithmetic<T> theta = row_arc(group, a, b).theta;
    if (group.leads()) out[row] = theta;
  }
};

template <class T>
struct DistanceRowVjp {
  using A = Arithmetic<T>;
  View<const T> u, v;
  const A* g;
  View<T> out_u, out_v;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(u, row, a);
    group.load(v, row, b);
    make_unit<T>(group, a);
    make_unit<T>(group, b);
    const math::ArcGradient<A> w = math::arc_distance_vjp(row_arc(group, a, b), g[row]);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) {
      const A s = a[k] + b[k], d = b[k] - a[k];
      a[k] = w.s_a * s + w.d_a * d;
      b[k] = w.s_b * s + w.d_b * d;
    }
    group.store(out_u, row, a);
    group.store(out_v, row, b);
  }
};

}  // namespace detail

/// Enqueues out[i] = the angle between u_i and v_i.
template <class E>
Status geodesic_distance_rows(View<E> u, Input<std::remove_const_t<E>> v,
                              Arithmetic<std::remove_const_t<E>>* out,
                              cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("geodesic_distance_rows"), u.rows, u.cols)
      .input(u)
      .input(v)
      .vector(out)
      .template run<T>(detail::DistanceRow<T>{u, v, out}, stream);
}

/// Enqueues the gradients of L for g[i] = dL/dtheta_i (derivation at math::arc_distance_vjp).
template <class T>
Status geodesic_distance_rows_vjp(Input<T> u, Input<T> v, const Arithmetic<T>* g,
                                  DistanceGradient<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("geodesic_distance_rows_vjp"), out.u.rows,
                               out.u.cols)
      .input(u)
      .input(v)
      .vector(g)
      .output(out.u, u, v)
      .output(out.v, u, v)
      .apart(out.u, out.v)
      .template run<T>(detail::DistanceRowVjp<T>{u, v, g, out.u, out.v}, stream);
}

}  // namespace spheremix::gpu::sphere
