// Spherical interpolation of the rows of two matrices on the device, and its gradient.
//
//   m_i = slerp(u_i, v_i, t_i)       frame and formulas: math/arc.hpp, math/arc_maps.hpp
//
// Shapes   U, V, G and the results: n x d of one storage type (float, double, Half, Bfloat16),
//          d <= 16384. t: one number, or n in device memory. Gradients are tangent; dL/dt is one
//          number a row.
// Inputs   unit rows; rows of 16-bit numbers are made unit in f32 first.
// Edges    t = 0, t = 1 and u = v give the input's bits. Antipodal rows and NaN give NaN in that
//          row only.
// Memory   each row is read and written once; the results may be the inputs' memory.
#pragma once

#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/sphere/row_arc.cuh"
#include "spheremix/math/arc_gradients.hpp"

namespace spheremix::gpu::sphere {

/// Where slerp_rows_vjp writes. t may be null: not wanted.
template <class T>
using SlerpGradient = spheremix::sphere::SlerpGradient<View<T>, Arithmetic<T>*>;

namespace detail {

/// Which number a row is mixed with: t as it is, or 1 - lambda with lambda in [0, 1] (NaN outside).
enum class Parameter { t, lambda };

template <Parameter P, class A>
__device__ A fraction(A x) {
  if constexpr (P == Parameter::t) return x;
  return x >= 0 && x <= 1 ? 1 - x : core::nan<A>;
}

template <class T, Parameter P>
struct SlerpRow {
  using A = Arithmetic<T>;
  View<const T> u, v;
  RowScalar<A> t;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b;
    group.load(u, row, a);
    group.load(v, row, b);
    const A ti = fraction<P>(t(row));
    make_unit<T>(group, a);
    make_unit<T>(group, b);
    const math::Arc<A> arc = row_arc(group, a, b);
    if (arc.theta == arc.theta && !arc.antipodal && (ti == 0 || ti == 1 || arc.coincident)) {
      group.load(ti == 1 && !arc.coincident ? v : u, row, a);  // the input's bits
      group.store(out, row, a);
      return;
    }
    math::ArcVector<A> m = math::arc_slerp(arc, ti);
    if (arc.antipodal) m.s = core::nan<A>;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) a[k] = m.s * (a[k] + b[k]) + m.d * (b[k] - a[k]);
    group.store(out, row, a);
  }
};

template <class T, Parameter P>
struct SlerpRowVjp {
  using A = Arithmetic<T>;
  View<const T> u, v;
  RowScalar<A> t;
  View<const T> g;
  View<T> out_u, out_v;
  A* out_t;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a, b, c;
    group.load(u, row, a);
    group.load(v, row, b);
    group.load(g, row, c);
    const A ti = fraction<P>(t(row));
    make_unit<T>(group, a);
    make_unit<T>(group, b);
    const ArcAndProjections<A> found = row_arc(group, a, b, c);
    math::ArcGradient<A> w = math::arc_slerp_vjp(found.arc, ti, found.on_sum, found.on_difference);
    if (found.arc.antipodal) w.g_a = w.g_b = w.t = core::nan<A>;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) {
      const A s = a[k] + b[k], d = b[k] - a[k];
      a[k] = w.g_a * c[k] + w.s_a * s + w.d_a * d;
      b[k] = w.g_b * c[k] + w.s_b * s + w.d_b * d;
    }
    group.store(out_u, row, a);
    group.store(out_v, row, b);
    if (out_t && group.leads()) out_t[row] = P == Parameter::t ? w.t : -w.t;
  }
};

template <Parameter P, class T>
Status slerp(gpu::detail::RowTexts texts, View<const T> u, View<const T> v,
             RowScalar<Arithmetic<T>> t, View<T> out, cudaStream_t stream) {
  return gpu::detail::RowCheck(texts, out.rows, out.cols)
      .input(u)
      .input(v)
      .output(out, u, v)
      .template run<T>(SlerpRow<T, P>{u, v, t, out}, stream);
}

template <Parameter P, class T>
Status slerp_vjp(gpu::detail::RowTexts texts, View<const T> u, View<const T> v,
                 RowScalar<Arithmetic<T>> t, View<const T> g, View<T> out_u, View<T> out_v,
                 Arithmetic<T>* out_t, cudaStream_t stream) {
  return gpu::detail::RowCheck(texts, g.rows, g.cols)
      .input(u)
      .input(v)
      .input(g)
      .output(out_u, u, v, g)
      .output(out_v, u, v, g)
      .apart(out_u, out_v)
      .template run<T>(SlerpRowVjp<T, P>{u, v, t, g, out_u, out_v, out_t}, stream);
}

}  // namespace detail

/// Enqueues out_i = slerp(u_i, v_i, t_i).
template <class T>
Status slerp_rows(Input<T> u, Input<T> v, std::type_identity_t<RowScalar<Arithmetic<T>>> t,
                  View<T> out, cudaStream_t stream = nullptr) {
  return detail::slerp<detail::Parameter::t, T>(SPHEREMIX_ROW_TEXTS("slerp_rows"), u, v, t, out,
                                                stream);
}

/// Enqueues the gradients of L through slerp_rows for G = dL/dm (derivation at
/// math::arc_slerp_vjp).
template <class T>
Status slerp_rows_vjp(Input<T> u, Input<T> v, std::type_identity_t<RowScalar<Arithmetic<T>>> t,
                      Input<T> g, SlerpGradient<T> out, cudaStream_t stream = nullptr) {
  return detail::slerp_vjp<detail::Parameter::t, T>(SPHEREMIX_ROW_TEXTS("slerp_rows_vjp"), u, v, t,
                                                    g, out.u, out.v, out.t, stream);
}

}  // namespace spheremix::gpu::sphere
