// Spherical linear interpolation of two unit vectors: value and gradient.
//
//   slerp(u, v, t) = [ sin((1-t) theta) u + sin(t theta) v ] / sin(theta),   theta = angle(u, v)
//
// computed in the midpoint frame (math/arc_maps.hpp), without a threshold on theta. t = 0 and 1
// return the bits of u and v; u = v returns u. Any finite t is taken: the curve goes on along the
// great circle.
//
// Shapes   u, v, g: d numbers, rows or columns; the result is shaped as u. Batches: slerp_rows.hpp.
// Accuracy 8 eps per component; gradients 16 eps |g| max(1, 1/sin theta); times max(1, d/64).
//          Rows a few units in the last place from equal or antipodal, most of that along the
//          radius: near pi times |h| / |h'|, h the shorter of v - u and u + v, h' its part across.
//          Closer to pi than 1e-19 (float) or 1e-154 (double) the gradients, of size 1/sin theta,
//          may be infinite or NaN: their coefficients go with its square.
// Errors   std::invalid_argument: sizes, t not finite, u or v not unit (|u|^2 further than 1e-3
//          from 1; batches are not checked), antipodal points (no unique arc).
//          NaN or infinity gives NaN. Writing in place is right, any other overlap of out and
//          inputs is an error. After an error the contents of out are unspecified.
// [Shoemake 1985, "Animating rotation with quaternion curves"]
#pragma once

#include <initializer_list>

#include "spheremix/math/arc_gradients.hpp"
#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/detail/slerp_passes.hpp"

namespace spheremix::sphere {

/// The point a fraction t of the way from u to v.
template <class U, class V, class Out>
requires detail::Writable<Out>
void slerp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v, double t, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "slerp";
  const core::InputVector<T> a(u, name, "u"), b(v, name, "v");
  detail::expects_same_size(name, "u", a, "v", b);
  detail::expects_unit(name, "u", a);
  detail::expects_unit(name, "v", b);
  const auto ts = detail::one_for_all<T>(name, "t", t);
  detail::OutputVector<detail::Plain<Out>> m(name, "out", out, u.rows(), u.cols());
  core::expects_in_place_or_apart(name, m.row(), detail::as_row(a));
  core::expects_in_place_or_apart(name, m.row(), detail::as_row(b));
  detail::expects_not_antipodal(
      name, "u", "v", detail::slerp_rows(detail::as_row(a), detail::as_row(b), ts, m.row()));
  m.commit();
}

template <class U, class V>
[[nodiscard]] auto slerp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v, double t)
    -> core::RealPlain<U> {
  core::RealPlain<U> out;
  slerp(u, v, t, out);
  return out;
}

/// Gradient of L through slerp(u, v, t) for g = dL/dslerp (derivation at math::arc_slerp_vjp).
template <class U, class V, class G, class Out>
requires detail::WritableGradient<Out>
void slerp_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v, double t,
               const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "slerp_vjp";
  const core::InputVector<T> a(u, name, "u"), b(v, name, "v"), c(g, name, "g");
  detail::expects_same_size(name, "u", a, "v", b);
  detail::expects_same_size(name, "u", a, "g", c);
  detail::expects_unit(name, "u", a);
  detail::expects_unit(name, "v", b);
  const auto ts = detail::one_for_all<T>(name, "t", t);
  detail::OutputVector ga(name, "out.u", out.u, u.rows(), u.cols()),
      gb(name, "out.v", out.v, u.rows(), u.cols());
  for (const auto& in : {detail::as_row(a), detail::as_row(b), detail::as_row(c)}) {
    core::expects_in_place_or_apart(name, ga.row(), in);
    core::expects_in_place_or_apart(name, gb.row(), in);
  }
  core::expects_apart(name, ga.row(), gb.row());
  double total = 0;
  detail::expects_not_antipodal(
      name, "u", "v",
      detail::slerp_rows_vjp(detail::as_row(a), detail::as_row(b), ts, detail::as_row(c), ga.row(),
                             gb.row(), static_cast<T*>(nullptr), &total));
  ga.commit();
  gb.commit();
  out.t = detail::Plain<decltype(out.t)>(total);
}

template <class U, class V, class G>
[[nodiscard]] auto slerp_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v, double t,
                             const Eigen::MatrixBase<G>& g) -> SlerpGradient<core::RealPlain<U>> {
  SlerpGradient<core::RealPlain<U>> out;
  slerp_vjp(u, v, t, g, out);
  return out;
}

}  // namespace spheremix::sphere
