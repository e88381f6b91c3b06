// Linear mixup: m = lambda x + (1 - lambda) y, row by row. Mixtures of unit rows are not unit.
//
//   dL/dx = lambda g,   dL/dy = (1 - lambda) g,   dL/dlambda = g.(x - y)
//
// lambda is the weight of the FIRST argument: 1 gives X, bit for bit, and 0 gives Y; x = y gives x.
//
// Shapes   X, Y, G: n x d, any rows. lambda in [0, 1]: one number, or one a row (row or column).
// Accuracy 2 eps (|x| + |y|) per component.
// Errors   std::invalid_argument: sizes, lambda outside [0, 1]. NaN and infinity in either row give
//          NaN there. In place is right, any other overlap an error.
// [Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"]
#pragma once

#include <initializer_list>

#include "spheremix/mixup/detail/mix_gradient.hpp"
#include "spheremix/sphere/row_kernels.hpp"

namespace spheremix::mixup {

namespace detail {

template <class T>
void linear_rows(core::MatrixView<const T> x, core::MatrixView<const T> y,
                 sphere::detail::RowParameter<T> lambda, core::MatrixView<T> out) {
  sphere::detail::over_chunks(x.rows, x.cols, [=](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      // From the nearer end, so that both ends are exact.
      const T l = lambda[i];
      const bool near_x = l > T(0.5);
      const T *from = near_x ? x.row(i) : y.row(i), *to = near_x ? y.row(i) : x.row(i);
      const T part = near_x ? 1 - l : l;
      T* m = out.row(i);
      sphere::detail::over_row<T>(x.cols, [=](auto at) {
        using V = typename decltype(at)::Value;
        V p, q;
        at.get(from, p);
        at.get(to, q);
        at.put(m, V(p + part * (q - p)));
      });
    }
  });
}

template <class T>
void linear_rows_vjp(core::MatrixView<const T> x, core::MatrixView<const T> y,
                     sphere::detail::RowParameter<T> lambda, core::MatrixView<const T> g,
                     core::MatrixView<T> out_x, core::MatrixView<T> out_y, T* each, double* total) {
  double part[sphere::detail::kMaxChunks] = {};
  sphere::detail::over_chunks(x.rows, x.cols, [&](Index chunk, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T *p = x.row(i), *q = y.row(i), *r = g.row(i);
      T *to_x = out_x.row(i), *to_y = out_y.row(i);
      const T l = lambda[i], rest = 1 - l;
      const T slope = sphere::detail::row_sums<1, T>(x.cols, [=](auto at, auto* sum) {
        using V = typename decltype(at)::Value;
        V a, b, z;
        at.get(p, a);
        at.get(q, b);
        at.get(r, z);
        sum[0] += z * (a - b);
        at.put(to_x, V(l * z));
        at.put(to_y, V(rest * z));
      })[0];
      if (each)
        each[i] = slope;
      else
        part[chunk] += double(slope);
    }
  });
  if (!total) return;
  *total = 0;
  for (double p : part) *total += p;
}

template <class T, class Out>
void run_linear(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y,
                sphere::detail::RowParameter<T> lambda, Out& out) {
  sphere::detail::expects_same_shape(function, "X", x, "Y", y);
  core::expects_out<T, Out>();
  core::OutputRows<Out> m(function, "out", out, x.rows, x.cols);
  for (const auto& in : {x, y}) core::expects_in_place_or_apart(function, m.view(), in);
  linear_rows(x, y, lambda, m.view());
  m.commit();
}

template <class T, class OutX, class OutY>
void run_linear_vjp(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y,
                    sphere::detail::RowParameter<T> lambda, core::MatrixView<const T> g,
                    OutX& out_x, OutY& out_y, T* each, double* total) {
  sphere::detail::expects_same_shape(function, "X", x, "Y", y);
  sphere::detail::expects_same_shape(function, "X", x, "G", g);
  core::expects_out<T, OutX, OutY>();
  core::OutputRows<OutX> gx(function, "out.x", out_x, x.rows, x.cols);
  core::OutputRows<OutY> gy(function, "out.y", out_y, x.rows, x.cols);
  for (const auto& in : {x, y, g}) {
    core::expects_in_place_or_apart(function, gx.view(), in);
    core::expects_in_place_or_apart(function, gy.view(), in);
  }
  core::expects_apart(function, gx.view(), gy.view());
  linear_rows_vjp(x, y, lambda, g, gx.view(), gy.view(), each, total);
  gx.commit();
  gy.commit();
}

}  // namespace detail

/// lambda X + (1 - lambda) Y.
template <class X, class Y, class Out>
requires sphere::detail::Writable<Out>
void linear(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, double lambda,
            Out&& out) {
  using T = core::Real<X>;
  const core::InputRows<T> a(x), b(y);
  detail::run_linear("linear", a.view(), b.view(), detail::one_lambda<T>("linear", lambda), out);
}

/// The same with one lambda a row.
template <class X, class Y, class Out>
requires sphere::detail::Writable<Out>
void linear(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
            const core::Numbers& lambda, Out&& out) {
  using T = core::Real<X>;
  const core::InputRows<T> a(x), b(y);
  const core::InputNumbers<T> each(lambda, "linear", "lambda");
  detail::run_linear("linear", a.view(), b.view(), detail::each_lambda("linear", each, x.rows()),
                     out);
}

template <class X, class Y>
[[nodiscard]] RowMatrix<core::Real<X>> linear(const Eigen::MatrixBase<X>& x,
                                              const Eigen::MatrixBase<Y>& y, double lambda) {
  RowMatrix<core::Real<X>> out;
  linear(x, y, lambda, out);
  return out;
}

template <class X, class Y>
[[nodiscard]] RowMatrix<core::Real<X>> linear(const Eigen::MatrixBase<X>& x,
                                              const Eigen::MatrixBase<Y>& y,
                                              const core::Numbers& lambda) {
  RowMatrix<core::Real<X>> out;
  linear(x, y, lambda, out);
  return out;
}

/// Gradients of L through linear(X, Y, lambda) for G = dL/dm.
template <class X, class Y, class G, class Out>
requires sphere::detail::WritableGradient<Out>
void linear_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, double lambda,
                const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "linear_vjp";
  const core::InputRows<T> a(x), b(y), c(g);
  double total = 0;
  detail::run_linear_vjp(name, a.view(), b.view(), detail::one_lambda<T>(name, lambda), c.view(),
                         out.x, out.y, static_cast<T*>(nullptr), &total);
  out.lambda = std::remove_cvref_t<decltype(out.lambda)>(total);
}

/// The same with one lambda a row: out.lambda has one entry a row.
template <class X, class Y, class G, class Out>
requires sphere::detail::WritableGradient<Out>
void linear_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                const core::Numbers& lambda, const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "linear_vjp";
  const core::InputRows<T> a(x), b(y), c(g);
  const core::InputNumbers<T> each(lambda, name, "lambda");
  const auto parameter = detail::each_lambda(name, each, x.rows());
  sphere::detail::OutputVector gl(name, "out.lambda", out.lambda, x.rows(), 1);
  detail::run_linear_vjp(name, a.view(), b.view(), parameter, c.view(), out.x, out.y, gl.data(),
                         static_cast<double*>(nullptr));
  gl.commit();
}

template <class X, class Y, class G>
[[nodiscard]] auto linear_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              double lambda, const Eigen::MatrixBase<G>& g) {
  MixGradient<RowMatrix<core::Real<X>>> out;
  linear_vjp(x, y, lambda, g, out);
  return out;
}

template <class X, class Y, class G>
[[nodiscard]] auto linear_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              const core::Numbers& lambda, const Eigen::MatrixBase<G>& g) {
  MixGradient<RowMatrix<core::Real<X>>, Vector<core::Real<X>>> out;
  linear_vjp(x, y, lambda, g, out);
  return out;
}

}  // namespace spheremix::mixup

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::mixup::detail {
#define SPHEREMIX_LINEAR_ROWS(T)                                         \
  void linear_rows(core::MatrixView<const T>, core::MatrixView<const T>, \
                   sphere::detail::RowParameter<T>, core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_LINEAR_ROWS)
#define SPHEREMIX_LINEAR_ROWS_VJP(T)                                               \
  void linear_rows_vjp(core::MatrixView<const T>, core::MatrixView<const T>,       \
                       sphere::detail::RowParameter<T>, core::MatrixView<const T>, \
                       core::MatrixView<T>, core::MatrixView<T>, T*, double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_LINEAR_ROWS_VJP)
}  // namespace spheremix::mixup::detail
