// Tangent vectors and the sphere: projection, exponential, logarithm, parallel transport.
//
//   tangent(x, g)   = g - (x.g) x
//   exp_x(v)        = cos|v| x + sinc(|v|) v
//   log_x(y)        = theta * (unit direction of y from x), |log| = theta; exp_x(log_x(y)) = y
//   transport of v along x -> y:  v - 2 (e.v) e,  e = (x + y)/|x + y|, an isometry
//
// exp and transport project v on the tangent space at x first. log and transport use the midpoint
// frame (math/arc.hpp): right from equal to nearly antipodal points.
//
// Shapes   x, y, v, g: d numbers, rows or columns, mixed as you like; the result is shaped as x.
// Accuracy exp 8 eps max(1, |v|); log 8 eps relative; transport 8 eps |v| max(1, 1/sin theta);
//          all times max(1, d/64).
// Errors   std::invalid_argument: sizes; x or y not unit (|x|^2 further than 1e-3 from 1);
//          antipodal x, y in log and transport (no direction is distinguished). NaN gives NaN. In place is right, any other overlap an error.
#pragma once

#include <initializer_list>

#include "spheremix/sphere/detail/arc_rows.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::sphere {

namespace detail {

template <class T>
T dot(const T* a, const T* b, Index d) {
  return row_sums<1, T>(d, [=](auto at, auto* sum) {
    typename decltype(at)::Value x, y;
    at.get(a, x);
    at.get(b, y);
    sum[0] += x * y;
  })[0];
}

template <class T>
void tangent(const T* x, const T* g, T* out, Index d) {
  const T along = dot(x, g, d);
  over_row<T>(d, [=](auto at) {
    using V = typename decltype(at)::Value;
    V p, z;
    at.get(x, p);
    at.get(g, z);
    at.put(out, V(z - along * p));
  });
}

template <class T>
void exp_map(const T* x, const T* v, T* out, Index d) {
  const T along = dot(x, v, d);
  const T squares = row_sums<1, T>(d, [=](auto at, auto* sum) {
    using V = typename decltype(at)::Value;
    V p, w;
    at.get(x, p);
    at.get(v, w);
    w -= along * p;
    sum[0] += w * w;
  })[0];
  const T length =
      std::sqrt(squares);  // squares below the smallest number: length 0 and sinc 1 are exact then
  const T c = std::cos(length), s = length == 0 ? T(1) : std::sin(length) / length;
  over_row<T>(d, [=](auto at) {
    using V = typename decltype(at)::Value;
    V p, w;
    at.get(x, p);
    at.get(v, w);
    at.put(out, V(c * p + s * (w - along * p)));
  });
}

/// False where x and y are antipodal.
template <class T>
[[nodiscard]] bool log_map(const T* x, const T* y, T* out, Index d) {
  const math::Arc<T> arc = arc_between(x, y, d);
  if (arc.antipodal) return false;
  write_arc_vector(math::arc_log(arc), x, y, out, d);
  return true;
}

/// False where x and y are antipodal.
template <class T>
[[nodiscard]] bool parallel_transport(const T* x, const T* y, const T* v, T* out, Index d) {
  const math::Arc<T> arc = arc_between(x, y, d);
  if (arc.antipodal) return false;
  const T along = dot(x, v, d);
  const T s = arc.e1_s, t = arc.e1_d;
  const T twice = 2 * row_sums<1, T>(d, [=](auto at, auto* sum) {
                    using V = typename decltype(at)::Value;
                    V p, q, w;
                    at.get(x, p);
                    at.get(y, q);
                    at.get(v, w);
                    const V e = s * (p + q) + t * (q - p);
                    sum[0] += (w - along * p) * e;
                  })[0];
  over_row<T>(d, [=](auto at) {
    using V = typename decltype(at)::Value;
    V p, q, w;
    at.get(x, p);
    at.get(y, q);
    at.get(v, w);
    const V e = s * (p + q) + t * (q - p);
    at.put(out, V((w - along * p) - twice * e));
  });
  return true;
}

}  // namespace detail

/// The part of g tangent to the sphere at x.
template <class X, class G, class Out>
requires detail::Writable<Out>
void tangent(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<X>;
  const core::InputVector<T> a(x, "tangent", "x"), b(g, "tangent", "g");
  detail::expects_same_size("tangent", "x", a, "g", b);
  detail::expects_unit("tangent", "x", a);
  detail::OutputVector y("tangent", "out", out, x.rows(), x.cols());
  for (const auto& in : {detail::as_row(a), detail::as_row(b)})
    core::expects_in_place_or_apart("tangent", y.row(), in);
  detail::tangent(a.data(), b.data(), y.data(), a.size());
  y.commit();
}

template <class X, class G>
[[nodiscard]] auto tangent(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<G>& g)
    -> core::RealPlain<X> {
  core::RealPlain<X> out;
  tangent(x, g, out);
  return out;
}

/// The point reached from x along the tangent vector v in unit time.
template <class X, class V, class Out>
requires detail::Writable<Out>
void exp_map(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<V>& v, Out&& out) {
  using T = core::Real<X>;
  const core::InputVector<T> a(x, "exp_map", "x"), b(v, "exp_map", "v");
  detail::expects_same_size("exp_map", "x", a, "v", b);
  detail::expects_unit("exp_map", "x", a);
  detail::OutputVector y("exp_map", "out", out, x.rows(), x.cols());
  for (const auto& in : {detail::as_row(a), detail::as_row(b)})
    core::expects_in_place_or_apart("exp_map", y.row(), in);
  detail::exp_map(a.data(), b.data(), y.data(), a.size());
  y.commit();
}

template <class X, class V>
[[nodiscard]] auto exp_map(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<V>& v)
    -> core::RealPlain<X> {
  core::RealPlain<X> out;
  exp_map(x, v, out);
  return out;
}

/// The tangent vector at x that leads to y: its length is the angle.
template <class X, class Y, class Out>
requires detail::Writable<Out>
void log_map(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, Out&& out) {
  using T = core::Real<X>;
  const core::InputVector<T> a(x, "log_map", "x"), b(y, "log_map", "y");
  detail::expects_same_size("log_map", "x", a, "y", b);
  detail::expects_unit("log_map", "x", a);
  detail::expects_unit("log_map", "y", b);
  detail::OutputVector v("log_map", "out", out, x.rows(), x.cols());
  for (const auto& in : {detail::as_row(a), detail::as_row(b)})
    core::expects_in_place_or_apart("log_map", v.row(), in);
  core::expects(detail::log_map(a.data(), b.data(), v.data(), a.size()), "log_map",
                "y is antipodal to x: no direction leads to it more than another");
  v.commit();
}

template <class X, class Y>
[[nodiscard]] auto log_map(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y)
    -> core::RealPlain<X> {
  core::RealPlain<X> out;
  log_map(x, y, out);
  return out;
}

/// The tangent vector v at x, carried to y along the arc.
template <class X, class Y, class V, class Out>
requires detail::Writable<Out>
void parallel_transport(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                        const Eigen::MatrixBase<V>& v, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "parallel_transport";
  const core::InputVector<T> a(x, name, "x"), b(y, name, "y"), c(v, name, "v");
  detail::expects_same_size(name, "x", a, "y", b);
  detail::expects_same_size(name, "x", a, "v", c);
  detail::expects_unit(name, "x", a);
  detail::expects_unit(name, "y", b);
  detail::OutputVector w(name, "out", out, x.rows(), x.cols());
  for (const auto& in : {detail::as_row(a), detail::as_row(b), detail::as_row(c)})
    core::expects_in_place_or_apart(name, w.row(), in);
  core::expects(detail::parallel_transport(a.data(), b.data(), c.data(), w.data(), a.size()), name,
                "y is antipodal to x: no unique arc joins them");
  w.commit();
}

template <class X, class Y, class V>
[[nodiscard]] auto parallel_transport(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const Eigen::MatrixBase<V>& v) -> core::RealPlain<X> {
  core::RealPlain<X> out;
  parallel_transport(x, y, v, out);
  return out;
}

}  // namespace spheremix::sphere
