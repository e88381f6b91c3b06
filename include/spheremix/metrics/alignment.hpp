// alignment on the CPU: formula, gradient and options in formula/alignment.hpp.
//
// Shapes  X, Y: N x d, row i of one belongs to row i of the other.
// Errors  shapes that differ, N = 0, alpha not positive and finite: std::invalid_argument.
//         NaN or infinity in a row gives NaN or infinity.
#pragma once

#include <cmath>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/mean_over_ranks.hpp"
#include "spheremix/formula/alignment.hpp"
#include "spheremix/metrics/detail/sums.hpp"
#include "spheremix/sphere/row_kernels.hpp"

namespace spheremix::metrics {

namespace detail {

template <class T>
void check_alignment(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y,
                     const AlignmentOptions& options) {
  core::expects_same_shape(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  core::expects(x.rows > 0, function, "X has no rows, and the mean over none is undefined");
  core::expects(options.alpha > 0 && std::isfinite(options.alpha), function, "alpha is ",
                options.alpha, ", which must be positive and finite");
}

/// |x - y|^alpha of one pair.
template <class T>
double pair_alignment(const T* x, const T* y, Index d, double alpha) {
  if (alpha == 2) return squared_distance(x, y, d);
  return formula::alignment_power(alpha, row_distance(x, y, d));
}

template <class T>
double alignment(core::MatrixView<const T> x, core::MatrixView<const T> y, double alpha) {
  const double sum = sum_over_rows(
      x.rows, [=](Index i) { return pair_alignment(x.row(i), y.row(i), x.cols, alpha); });
  return sum / double(x.rows);
}

/// dx = outer ((x - y) scale inner) = -dy. In T where neither the factor nor the distance leaves
/// its range.
template <class T>
void put_alignment_gradient(const T* x, const T* y, double distance, double outer, double scale,
                            double inner, T* dx, T* dy, Index d) {
  constexpr double least = double(core::smallest_normal<T>), most = double(core::largest<T>);
  const double factor = outer * scale * inner;
  if (factor >= least && factor <= most && distance <= most) [[likely]] {
    const T c = T(factor);
    sphere::detail::over_row<T>(d, [=](auto at) {
      typename decltype(at)::Value p, q;
      at.get(x, p);
      at.get(y, q);
      p = c * (p - q);
      at.put(dx, p);
      at.put(dy, -p);
    });
    return;
  }
  for (Index k = 0; k < d; ++k) {
    const double g = outer * ((double(x[k]) - double(y[k])) * scale * inner);
    dx[k] = T(g);
    dy[k] = T(-g);
  }
}

template <class T>
double alignment_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                               double alpha, core::MatrixView<T> dx, core::MatrixView<T> dy) {
  const double n = double(x.rows);
  const double sum = sum_over_rows(x.rows, [=](Index i) {
    const T *xi = x.row(i), *yi = y.row(i);
    T *dxi = dx.row(i), *dyi = dy.row(i);
    // dx = outer (x - y)/r. The quotient first: the powers alone may leave the range of double.
    double value, r, inner = 1, scale = 1;
    if (alpha == 2) {
      value = squared_distance(xi, yi, x.cols);
      r = std::sqrt(value);
    } else {
      r = row_distance(xi, yi, x.cols);
      if (r < 0x1p-900) scale = 0x1p600;
      value = formula::alignment_power(alpha, r);
      inner = r == 0 ? 0 : 1 / (r * scale);
    }
    const double outer = formula::alignment_slope(alpha, n, r);
    put_alignment_gradient(xi, yi, r, outer, scale, inner, dxi, dyi, x.cols);
    return value;
  });
  return sum / n;
}

/// The mean over all ranks of own(meeting), the mean over this rank's pairs.
template <class X, class Y, class World, class Own>
double alignment_across(const char* function, const Eigen::MatrixBase<X>& x,
                        const Eigen::MatrixBase<Y>& y, const AlignmentOptions& options,
                        World& world, const Own& own) {
  return core::mean_over_ranks<typename X::Scalar>(
      function, world, options, x.rows(), x.cols(),
      "X has no rows, and the mean over none is undefined",
      [&] { core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols()); },
      own);
}

}  // namespace detail

/// mean_i |x_i - y_i|^alpha.
template <class X, class Y>
[[nodiscard]] double alignment(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                               const AlignmentOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  detail::check_alignment("alignment", xs.view(), ys.view(), options);
  return detail::alignment(xs.view(), ys.view(), options.alpha);
}

/// Value and gradients into `out`, which may be X and Y themselves.
template <class X, class Y, class Matrix>
void alignment_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                             const AlignmentOptions& options, AlignmentGradient<Matrix>& out) {
  using T = core::Real<X>;
  constexpr const char* function = "alignment_with_gradient";
  const core::InputRows<T> xs(x), ys(y);
  detail::check_alignment(function, xs.view(), ys.view(), options);
  core::OutputRows<Matrix> dx(function, "out.x", out.x, x.rows(), x.cols());
  core::OutputRows<Matrix> dy(function, "out.y", out.y, x.rows(), x.cols());
  for (const auto& in : {xs.view(), ys.view()}) {
    core::expects_in_place_or_apart(function, dx.view(), in);
    core::expects_in_place_or_apart(function, dy.view(), in);
  }
  core::expects_apart(function, dx.view(), dy.view());
  out.value =
      detail::alignment_with_gradient(xs.view(), ys.view(), options.alpha, dx.view(), dy.view());
  dx.commit();
  dy.commit();
}

/// Value and gradients. With r = |x - y|: d(r^alpha)/dx = alpha r^(alpha-1) dr/dx and
/// dr/dx = (x - y)/r.
template <class X, class Y>
[[nodiscard]] AlignmentGradient<RowMatrix<core::Real<X>>> alignment_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const AlignmentOptions& options = {}) {
  AlignmentGradient<RowMatrix<core::Real<X>>> out;
  alignment_with_gradient(x, y, options, out);
  return out;
}

/// Over several processes: of the pairs of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double alignment(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                               const AlignmentOptions& options, World& world) {
  return detail::alignment_across("alignment", x, y, options, world, [&](const core::Meeting&) {
    return x.rows() > 0 ? alignment(x, y, options) : 0.0;
  });
}

/// Value and gradients of the alignment of all ranks' pairs by this rank's rows, which `out` may not
/// share.
template <class X, class Y, class Matrix, core::Communicator World>
void alignment_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                             const AlignmentOptions& options, AlignmentGradient<Matrix>& out,
                             World& world) {
  using T = typename X::Scalar;
  constexpr const char* function = "alignment_with_gradient";
  out.value =
      detail::alignment_across(function, x, y, options, world, [&](const core::Meeting& meeting) {
        if (x.rows() > 0) {
          alignment_with_gradient(x, y, options, out);
          const T share = T(double(x.rows()) / double(meeting.total(0)));
          out.x *= share;
          out.y *= share;
          return out.value;
        }
        core::OutputRows<Matrix>(function, "out.x", out.x, 0, x.cols()).commit();
        core::OutputRows<Matrix>(function, "out.y", out.y, 0, x.cols()).commit();
        return 0.0;
      });
}

template <class X, class Y, core::Communicator World>
[[nodiscard]] AlignmentGradient<RowMatrix<typename X::Scalar>> alignment_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, const AlignmentOptions& options,
    World& world) {
  AlignmentGradient<RowMatrix<typename X::Scalar>> out;
  alignment_with_gradient(x, y, options, out, world);
  return out;
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_ALIGNMENT(T) \
  double alignment(core::MatrixView<const T>, core::MatrixView<const T>, double)
SPHEREMIX_ELSEWHERE(SPHEREMIX_ALIGNMENT)
#define SPHEREMIX_ALIGNMENT_WITH_GRADIENT(T)                                                   \
  double alignment_with_gradient(core::MatrixView<const T>, core::MatrixView<const T>, double, \
                                 core::MatrixView<T>, core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_ALIGNMENT_WITH_GRADIENT)
}  // namespace spheremix::metrics::detail
