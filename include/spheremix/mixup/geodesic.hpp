// Geodesic mixup: row i of the result lies on the arc from y_i to x_i, lambda of the way.
//
//   m_lambda(x, y) = [ sin(lambda theta) x + sin((1 - lambda) theta) y ] / sin(theta)
//                  = slerp(y, x, lambda)
//
// lambda is the weight of the FIRST argument: 1 gives X, bit for bit, and 0 gives Y. Gradients are
// tangent.
//
// Shapes   X, Y, G: n x d unit rows. lambda in [0, 1]: one number, or one a row (row or column).
// Accuracy as sphere/slerp.hpp: 8 eps per component, gradients 16 eps |g| max(1, 1/sin theta).
// Errors   std::invalid_argument: sizes, lambda outside [0, 1], antipodal rows. A row that is its
//          own partner comes back unchanged. NaN rows give NaN rows. In place is right, any other
//          overlap an error.
// [Oh et al. 2023, "Geodesic Multi-Modal Mixup for Robust Fine-Tuning", arXiv 2203.03897]
#pragma once

#include "spheremix/mixup/detail/mix_gradient.hpp"
#include "spheremix/sphere/detail/slerp_passes.hpp"

namespace spheremix::mixup {

namespace detail {

template <class T, class Out>
void run_geodesic(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y,
                  sphere::detail::RowParameter<T> lambda, Out& out) {
  sphere::detail::expects_same_shape(function, "X", x, "Y", y);
  sphere::detail::run_slerp_rows(function, "Y", "X", y, x, lambda, out);
}

template <class T, class OutX, class OutY>
void run_geodesic_vjp(const char* function, core::MatrixView<const T> x,
                      core::MatrixView<const T> y, sphere::detail::RowParameter<T> lambda,
                      core::MatrixView<const T> g, OutX& out_x, OutY& out_y, T* each,
                      double* total) {
  sphere::detail::expects_same_shape(function, "X", x, "Y", y);
  sphere::detail::expects_same_shape(function, "X", x, "G", g);
  sphere::detail::run_slerp_rows_vjp(function, "Y", "X", y, x, lambda, g, out_y, out_x, each,
                                     total);
}

}  // namespace detail

/// Row i: slerp(y_i, x_i, lambda).
template <class X, class Y, class Out>
requires sphere::detail::Writable<Out>
void geodesic(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, double lambda,
              Out&& out) {
  using T = core::Real<X>;
  const core::InputRows<T> a(x), b(y);
  detail::run_geodesic("geodesic", a.view(), b.view(), detail::one_lambda<T>("geodesic", lambda),
                       out);
}

/// The same with one lambda a row.
template <class X, class Y, class Out>
requires sphere::detail::Writable<Out>
void geodesic(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
              const core::Numbers& lambda, Out&& out) {
  using T = core::Real<X>;
  const core::InputRows<T> a(x), b(y);
  const core::InputNumbers<T> each(lambda, "geodesic", "lambda");
  detail::run_geodesic("geodesic", a.view(), b.view(),
                       detail::each_lambda("geodesic", each, x.rows()), out);
}

template <class X, class Y>
[[nodiscard]] RowMatrix<core::Real<X>> geodesic(const Eigen::MatrixBase<X>& x,
                                                const Eigen::MatrixBase<Y>& y, double lambda) {
  RowMatrix<core::Real<X>> out;
  geodesic(x, y, lambda, out);
  return out;
}

template <class X, class Y>
[[nodiscard]] RowMatrix<core::Real<X>> geodesic(const Eigen::MatrixBase<X>& x,
                                                const Eigen::MatrixBase<Y>& y,
                                                const core::Numbers& lambda) {
  RowMatrix<core::Real<X>> out;
  geodesic(x, y, lambda, out);
  return out;
}

/// Gradients of L through geodesic(X, Y, lambda) for G = dL/dm: those of slerp(y, x, lambda).
template <class X, class Y, class G, class Out>
requires sphere::detail::WritableGradient<Out>
void geodesic_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, double lambda,
                  const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "geodesic_vjp";
  const core::InputRows<T> a(x), b(y), c(g);
  double total = 0;
  detail::run_geodesic_vjp(name, a.view(), b.view(), detail::one_lambda<T>(name, lambda), c.view(),
                           out.x, out.y, static_cast<T*>(nullptr), &total);
  out.lambda = std::remove_cvref_t<decltype(out.lambda)>(total);
}

/// The same with one lambda a row: out.lambda has one entry a row.
template <class X, class Y, class G, class Out>
requires sphere::detail::WritableGradient<Out>
void geodesic_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                  const core::Numbers& lambda, const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "geodesic_vjp";
  const core::InputRows<T> a(x), b(y), c(g);
  const core::InputNumbers<T> each(lambda, name, "lambda");
  const auto parameter = detail::each_lambda(name, each, x.rows());
  sphere::detail::OutputVector gl(name, "out.lambda", out.lambda, x.rows(), 1);
  detail::run_geodesic_vjp(name, a.view(), b.view(), parameter, c.view(), out.x, out.y, gl.data(),
                           static_cast<double*>(nullptr));
  gl.commit();
}

template <class X, class Y, class G>
[[nodiscard]] auto geodesic_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                double lambda, const Eigen::MatrixBase<G>& g) {
  MixGradient<RowMatrix<core::Real<X>>> out;
  geodesic_vjp(x, y, lambda, g, out);
  return out;
}

template <class X, class Y, class G>
[[nodiscard]] auto geodesic_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                const core::Numbers& lambda, const Eigen::MatrixBase<G>& g) {
  MixGradient<RowMatrix<core::Real<X>>, Vector<core::Real<X>>> out;
  geodesic_vjp(x, y, lambda, g, out);
  return out;
}

}  // namespace spheremix::mixup
