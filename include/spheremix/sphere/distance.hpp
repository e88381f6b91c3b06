// The angle between unit vectors (their geodesic distance), and its gradient.
//
//   theta = 2 atan2(|v - u|, |u + v|)
//   dtheta/du = -(unit direction of v from u),  0 where theta is 0 or pi
//
// with the shorter of difference and sum made orthogonal to the longer (math/arc.hpp): full
// relative accuracy from 0 to pi, where acos(u.v) loses half the digits.
// d(u, v) = d(v, u) bit for bit.
//
// Shapes   u, v: d numbers, rows or columns. U, V: n x d. g: n numbers. Result: a number, or n.
// Accuracy 8 eps relative over 1e-12 .. pi - 1e-12, times max(1, d/64).
// Errors   std::invalid_argument: sizes; single points that are not unit (|u|^2 further than 1e-3
//          from 1; batches are not checked). Antipodal vectors are at distance pi.
//          NaN gives NaN, in its row only.
// [Kahan 2006, "How Futile are Mindless Assessments of Roundoff", section 12]
#pragma once

#include <initializer_list>

#include "spheremix/math/arc_gradients.hpp"
#include "spheremix/sphere/detail/arc_rows.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::sphere {

namespace detail {

template <class T>
void geodesic_distance_rows(core::MatrixView<const T> a, core::MatrixView<const T> b, T* out) {
  over_chunks(a.rows, a.cols, [=](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) out[i] = arc_between(a.row(i), b.row(i), a.cols).theta;
  });
}

template <class T>
void geodesic_distance_rows_vjp(core::MatrixView<const T> a, core::MatrixView<const T> b,
                                const T* g, core::MatrixView<T> out_a, core::MatrixView<T> out_b) {
  const Index d = a.cols;
  over_chunks(a.rows, d, [=](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T *x = a.row(i), *y = b.row(i);
      const math::ArcGradient<T> w = math::arc_distance_vjp(arc_between(x, y, d), g[i]);
      T *to_a = out_a.row(i), *to_b = out_b.row(i);
      over_row<T>(d, [=](auto at) {
        using V = typename decltype(at)::Value;
        V p, q;
        at.get(x, p);
        at.get(y, q);
        const V both = p + q, difference = q - p;
        at.put(to_a, V(w.s_a * both + w.d_a * difference));
        at.put(to_b, V(w.s_b * both + w.d_b * difference));
      });
    }
  });
}

}  // namespace detail

/// The angle between u and v, in [0, pi].
template <class U, class V>
[[nodiscard]] core::Real<U> geodesic_distance(const Eigen::MatrixBase<U>& u,
                                              const Eigen::MatrixBase<V>& v) {
  using T = core::Real<U>;
  const core::InputVector<T> a(u, "geodesic_distance", "u"), b(v, "geodesic_distance", "v");
  detail::expects_same_size("geodesic_distance", "u", a, "v", b);
  detail::expects_unit("geodesic_distance", "u", a);
  detail::expects_unit("geodesic_distance", "v", b);
  return detail::arc_between(a.data(), b.data(), a.size()).theta;
}

/// Entry i: the angle between u_i and v_i.
template <class U, class V, class Out>
requires detail::Writable<Out>
void geodesic_distance_rows(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                            Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "geodesic_distance_rows";
  const core::InputRows<T> a(u), b(v);
  detail::expects_same_shape(name, "U", a.view(), "V", b.view());
  detail::OutputVector angles(name, "out", out, u.rows(), 1);
  core::expects_apart(name, angles.row(), a.view());
  core::expects_apart(name, angles.row(), b.view());
  detail::geodesic_distance_rows(a.view(), b.view(), angles.data());
  angles.commit();
}

template <class U, class V>
[[nodiscard]] Vector<core::Real<U>> geodesic_distance_rows(const Eigen::MatrixBase<U>& u,
                                                           const Eigen::MatrixBase<V>& v) {
  Vector<core::Real<U>> out;
  geodesic_distance_rows(u, v, out);
  return out;
}

/// Gradients of L through geodesic_distance_rows for g_i = dL/dtheta_i (derivation at
/// math::arc_distance_vjp).
template <class U, class V, class G, class Out>
requires detail::WritableGradient<Out>
void geodesic_distance_rows_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                                const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "geodesic_distance_rows_vjp";
  const core::InputRows<T> a(u), b(v);
  const core::InputVector<T> c(g, name, "g");
  detail::expects_same_shape(name, "U", a.view(), "V", b.view());
  core::expects_size(name, "g", c.size(), u.rows());
  core::OutputRows ga(name, "out.u", out.u, u.rows(), u.cols()),
      gb(name, "out.v", out.v, u.rows(), u.cols());
  for (const auto& in : {a.view(), b.view()}) {
    core::expects_in_place_or_apart(name, ga.view(), in);
    core::expects_in_place_or_apart(name, gb.view(), in);
  }
  core::expects_apart(name, ga.view(), gb.view());
  core::expects_apart(name, ga.view(), detail::as_row(c));
  core::expects_apart(name, gb.view(), detail::as_row(c));
  detail::geodesic_distance_rows_vjp(a.view(), b.view(), c.data(), ga.view(), gb.view());
  ga.commit();
  gb.commit();
}

template <class U, class V, class G>
[[nodiscard]] auto geodesic_distance_rows_vjp(const Eigen::MatrixBase<U>& u,
                                              const Eigen::MatrixBase<V>& v,
                                              const Eigen::MatrixBase<G>& g) {
  DistanceGradient<RowMatrix<core::Real<U>>> out;
  geodesic_distance_rows_vjp(u, v, g, out);
  return out;
}

}  // namespace spheremix::sphere

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::sphere::detail {
#define SPHEREMIX_DISTANCE_ROWS(T) \
  void geodesic_distance_rows(core::MatrixView<const T>, core::MatrixView<const T>, T*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_DISTANCE_ROWS)
#define SPHEREMIX_DISTANCE_ROWS_VJP(T)                                                            \
  void geodesic_distance_rows_vjp(core::MatrixView<const T>, core::MatrixView<const T>, const T*, \
                                  core::MatrixView<T>, core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_DISTANCE_ROWS_VJP)
}  // namespace spheremix::sphere::detail
