// How evenly points cover the sphere: the logarithm of the mean Gaussian potential of pairs.
//
//   uniformity(X)          = log mean_{i<j} e^(-t |x_i - x_j|^2)
//   cross_uniformity(X, Y) = log mean_{i,j} e^(-t |x_i - y_j|^2)
//   joint_uniformity(X, Y) = uniformity of the rows of X and Y together
//   dx_i = -4 t sum_j w_ij (x_i - x_j),   w_ij = K_ij / sum_{k != l} K_kl,
//                                         K_ij = e^(-t |x_i - x_j|^2)
//
// 0: all points equal; lower is more even. Known values, unit rows: points drawn evenly on the
// sphere tend to -2 t + log 0F1(; d/2; t^2); the simplex of d + 1 points has -2 t (1 + 1/d).
//
// Shapes    X: N x d, Y: M x d, used as they are (normalise with sphere::normalize_rows).
// Errors    N < 2 (cross: no rows), widths that differ, t not positive and finite:
//           std::invalid_argument. NaN or infinity in a row gives NaN.
// Accuracy  16 eps relative (times max(1, d / 64)), near-duplicates included; equal rows give
//           exactly 0.
// Cost      N^2 d flops for the value and 3 N^2 d with gradient; memory O(N d) and two strips of
//           252 rows.
// [Wang, Isola 2020, arXiv 2005.10242, equation 2]
#pragma once

#include <cmath>

#include "spheremix/core/eigen.hpp"
#include "spheremix/metrics/gaussian_gradient.hpp"

namespace spheremix::metrics {

struct UniformityOptions {
  double t = 2;  ///< steepness of the potential, > 0
};

/// Value and ambient gradient. Matrix may be an Eigen::Map over the caller's buffer.
template <class Matrix>
struct UniformityGradient {
  double value = 0;
  Matrix x;  ///< N x d
};

namespace detail {

inline void check_steepness(const char* function, double t) {
  core::expects(t > 0 && std::isfinite(t), function, "t is ", t,
                ", which must be positive and finite");
}

template <class T>
double uniformity(const char* function, const StackedRows<T>& x, double t,
                  const core::MatrixView<T>* dx = nullptr) {
  check_steepness(function, t);
  core::expects(x.rows() >= 2, function, "there are ", x.rows(), " rows, and no pair of them");
  const StackedRows<T> none{core::MatrixView<const T>{nullptr, 0, x.cols(), x.cols()}};
  const CentredRows<T> rows = centred(x, centre_of(x, none));
  const GaussianTable<T> table{rows, rows, true, t};
  return dx ? gaussian_gradient(table, *dx) : gaussian_log_mean(table);
}

template <class T>
void check_widths(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y) {
  core::expects(x.cols == y.cols, function, "X is ", x.rows, " x ", x.cols, " but Y is ", y.rows,
                " x ", y.cols, ": one width is needed");
}

}  // namespace detail

/// log mean_{i<j} e^(-t |x_i - x_j|^2).
template <class X>
[[nodiscard]] double uniformity(const Eigen::MatrixBase<X>& x,
                                const UniformityOptions& options = {}) {
  using T = typename X::Scalar;
  const core::InputRows<T> xs(x);
  return detail::uniformity<T>("uniformity", {xs.view()}, options.t);
}

/// log mean over all i, j of e^(-t |x_i - y_j|^2).
template <class X, class Y>
[[nodiscard]] double cross_uniformity(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options = {}) {
  using T = typename X::Scalar;
  const core::InputRows<T> xs(x), ys(y);
  constexpr const char* function = "cross_uniformity";
  detail::check_widths(function, xs.view(), ys.view());
  detail::check_steepness(function, options.t);
  core::expects(x.rows() > 0 && y.rows() > 0, function, "X has ", x.rows(), " rows and Y ",
                y.rows(), ", and no pair of them");
  const detail::StackedRows<T> first{xs.view()}, second{ys.view()};
  const std::vector<double> centre = detail::centre_of(first, second);
  const auto a = detail::centred(first, centre), b = detail::centred(second, centre);
  return detail::gaussian_log_mean<T>({a, b, false, options.t});
}

/// The uniformity of the rows of X and Y together.
template <class X, class Y>
[[nodiscard]] double joint_uniformity(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options = {}) {
  using T = typename X::Scalar;
  const core::InputRows<T> xs(x), ys(y);
  detail::check_widths("joint_uniformity", xs.view(), ys.view());
  return detail::uniformity<T>("joint_uniformity", {xs.view(), ys.view()}, options.t);
}

/// Value and gradient into `out`, which must not share memory with X.
template <class X, class Matrix>
void uniformity_with_gradient(const Eigen::MatrixBase<X>& x, const UniformityOptions& options,
                              UniformityGradient<Matrix>& out) {
  using T = typename X::Scalar;
  constexpr const char* function = "uniformity_with_gradient";
  const core::InputRows<T> xs(x);
  core::OutputRows<Matrix> dx(function, "out.x", out.x, x.rows(), x.cols());
  core::expects_apart(function, dx.view(), xs.view());
  const core::MatrixView<T> target = dx.view();
  out.value = detail::uniformity<T>(function, {xs.view()}, options.t, &target);
  dx.commit();
}

/// Value and gradient. d log mean K = sum w_ij d log K_ij over ordered pairs / 2,
/// d log K_ij = -2 t (x_i - x_j).(dx_i - dx_j).
template <class X>
[[nodiscard]] UniformityGradient<RowMatrix<typename X::Scalar>> uniformity_with_gradient(
    const Eigen::MatrixBase<X>& x, const UniformityOptions& options = {}) {
  UniformityGradient<RowMatrix<typename X::Scalar>> out;
  uniformity_with_gradient(x, options, out);
  return out;
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_UNIFORMITY(T) \
  double uniformity(const char*, const StackedRows<T>&, double, const core::MatrixView<T>*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_UNIFORMITY)
#define SPHEREMIX_GAUSSIAN_LOG_MEAN(T) \
  double gaussian_log_mean(const GaussianTable<T>&, const double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_GAUSSIAN_LOG_MEAN)
}  // namespace spheremix::metrics::detail
