// Slerp of the rows of U and V, row by row; formula, accuracy and errors as in sphere/slerp.hpp.
//
// Shapes   U, V, G: n x d, any Eigen expression. t: one number, or one a row (n, row or column).
//          n = 0 gives 0 x d. A NaN or infinite row gives a row of NaN, there only.
// Cost     two passes over each row, the second from cache: the time of reading U and V and writing
//          the result.
// Threads  over rows; the bits do not depend on how many.
#pragma once

#include "spheremix/sphere/slerp.hpp"

namespace spheremix::sphere {

/// Row i of the result: slerp(u_i, v_i, t).
template <class U, class V, class Out>
requires detail::Writable<Out>
void slerp_rows(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v, double t, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "slerp_rows";
  const core::InputRows<T> a(u), b(v);
  detail::expects_same_shape(name, "U", a.view(), "V", b.view());
  detail::run_slerp_rows(name, "U", "V", a.view(), b.view(), detail::one_for_all<T>(name, "t", t),
                         out);
}

/// Row i of the result: slerp(u_i, v_i, t_i).
template <class U, class V, class Out>
requires detail::Writable<Out>
void slerp_rows(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                const core::Numbers& t, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "slerp_rows";
  const core::InputRows<T> a(u), b(v);
  const core::InputNumbers<T> each(t, name, "t");
  detail::expects_same_shape(name, "U", a.view(), "V", b.view());
  const auto ts = detail::one_a_row(name, "t", each, a.view().rows);
  detail::run_slerp_rows(name, "U", "V", a.view(), b.view(), ts, out);
}

template <class U, class V>
[[nodiscard]] RowMatrix<core::Real<U>> slerp_rows(const Eigen::MatrixBase<U>& u,
                                                  const Eigen::MatrixBase<V>& v, double t) {
  RowMatrix<core::Real<U>> out;
  slerp_rows(u, v, t, out);
  return out;
}

template <class U, class V>
[[nodiscard]] RowMatrix<core::Real<U>> slerp_rows(const Eigen::MatrixBase<U>& u,
                                                  const Eigen::MatrixBase<V>& v,
                                                  const core::Numbers& t) {
  RowMatrix<core::Real<U>> out;
  slerp_rows(u, v, t, out);
  return out;
}

/// Gradients of L through slerp_rows for G = dL/dslerp_rows; out.t is the sum over rows, in double.
template <class U, class V, class G, class Out>
requires detail::WritableGradient<Out>
void slerp_rows_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v, double t,
                    const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "slerp_rows_vjp";
  const core::InputRows<T> a(u), b(v), c(g);
  detail::expects_same_shape(name, "U", a.view(), "V", b.view());
  detail::expects_same_shape(name, "U", a.view(), "G", c.view());
  double total = 0;
  detail::run_slerp_rows_vjp(name, "U", "V", a.view(), b.view(),
                             detail::one_for_all<T>(name, "t", t), c.view(), out.u, out.v,
                             static_cast<T*>(nullptr), &total);
  out.t = detail::Plain<decltype(out.t)>(total);
}

/// The same with one t a row: out.t has one entry a row.
template <class U, class V, class G, class Out>
requires detail::WritableGradient<Out>
void slerp_rows_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                    const core::Numbers& t, const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "slerp_rows_vjp";
  const core::InputRows<T> a(u), b(v), c(g);
  const core::InputNumbers<T> each(t, name, "t");
  detail::expects_same_shape(name, "U", a.view(), "V", b.view());
  detail::expects_same_shape(name, "U", a.view(), "G", c.view());
  const auto ts = detail::one_a_row(name, "t", each, a.view().rows);
  detail::OutputVector gt(name, "out.t", out.t, a.view().rows, 1);
  detail::run_slerp_rows_vjp(name, "U", "V", a.view(), b.view(), ts, c.view(), out.u, out.v,
                             gt.data(), static_cast<double*>(nullptr));
  gt.commit();
}

template <class U, class V, class G>
[[nodiscard]] auto slerp_rows_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                                  double t, const Eigen::MatrixBase<G>& g) {
  SlerpGradient<RowMatrix<core::Real<U>>> out;
  slerp_rows_vjp(u, v, t, g, out);
  return out;
}

template <class U, class V, class G>
[[nodiscard]] auto slerp_rows_vjp(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                                  const core::Numbers& t, const Eigen::MatrixBase<G>& g) {
  SlerpGradient<RowMatrix<core::Real<U>>, Vector<core::Real<U>>> out;
  slerp_rows_vjp(u, v, t, g, out);
  return out;
}

}  // namespace spheremix::sphere
