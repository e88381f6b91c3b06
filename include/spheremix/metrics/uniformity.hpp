// uniformity on the CPU: formula, gradient and options in formula/uniformity.hpp.
//
// Shapes    X: N x d, Y: M x d, used as they are (normalise with sphere::normalize_rows).
// Errors    N < 2 (cross: no rows), widths that differ, t not positive and finite:
//           std::invalid_argument. NaN or infinity in a row gives NaN.
// Accuracy  16 eps relative (times max(1, d / 64)), near-duplicates included; equal rows give
//           exactly 0.
// Cost      N^2 d flops for the value and 3 N^2 d with gradient; memory O(N d) and two strips of
//           a few hundred rows; both over W for each of W processes
//           (metrics/detail/gaussian_ring.hpp).
#pragma once

#include <cmath>

#include "spheremix/core/eigen.hpp"
#include "spheremix/formula/uniformity.hpp"
#include "spheremix/metrics/detail/gaussian_gradient_ring.hpp"

namespace spheremix::metrics {

namespace detail {

inline void check_steepness(const char* function, double t) {
  core::expects(t > 0 && std::isfinite(t), function, "t is ", t,
                ", which must be positive and finite");
}

/// The memory of one uniformity after another, of n rows of length d, with gradients or without.
template <class T>
struct UniformityArrays {
  double* centre;
  CentredRows<T> rows;
  GaussianSums<T> sums;
  GaussianStrips<T> strips;

  UniformityArrays(Index n, Index d, bool gradient, int threads, core::Workspace::Frame& frame)
      : centre(frame.take<double>(std::size_t(d))),
        rows(n, d, frame),
        sums(n, n, threads, frame),
        strips(gradient ? n : 0, frame) {}
};

inline void check_uniformity(const char* function, Index rows, double t) {
  check_steepness(function, t);
  core::expects(rows >= 2, function, "there are ", rows, " rows, and no pair of them");
}

/// The value; the gradient goes to dx where that is not null.
template <class T>
double uniformity(const StackedRows<T>& x, double t, UniformityArrays<T>& memory,
                  const core::MatrixView<T>* dx) {
  const StackedRows<T> none{core::MatrixView<const T>{nullptr, 0, x.cols(), x.cols()}};
  centre_of(x, none, memory.centre);
  memory.rows.fill(x, memory.centre);
  const GaussianTable<T> table{memory.rows, memory.rows, true, t};
  return dx ? gaussian_gradient(table, memory.sums, memory.strips, *dx)
            : gaussian_log_mean(table, memory.sums);
}

/// The same with memory of its own.
template <class T>
double uniformity(const char* function, const StackedRows<T>& x, double t,
                  const core::MatrixView<T>* dx = nullptr) {
  check_uniformity(function, x.rows(), t);
  core::Owned<UniformityArrays<T>> memory(x.rows(), x.cols(), dx != nullptr,
                                          threads_for(x.rows(), x.rows(), x.cols()));
  return uniformity<T>(x, t, *memory, dx);
}

/// X: n x d, Y: m x e.
inline void check_cross_uniformity(const char* function, Index n, Index d, Index m, Index e,
                                   double t) {
  core::expects_same_width(function, "X", n, d, "Y", m, e);
  check_steepness(function, t);
  core::expects(n > 0 && m > 0, function, "X has ", n, " rows and Y ", m, ", and no pair of them");
}

template <class T>
double cross_uniformity(const char* function, core::MatrixView<const T> x,
                        core::MatrixView<const T> y, double t) {
  check_cross_uniformity(function, x.rows, x.cols, y.rows, y.cols, t);
  const StackedRows<T> first{x}, second{y};
  core::Owned<CentredPair<T>> rows(x.rows, y.rows, x.cols);
  (*rows).fill(first, second);
  core::Owned<GaussianSums<T>> sums(x.rows, y.rows, threads_for(x.rows, y.rows, x.cols));
  return gaussian_log_mean<T>({(*rows).x, (*rows).y, false, t}, *sums);
}

}  // namespace detail

/// log mean_{i<j} e^(-t |x_i - x_j|^2).
template <class X>
[[nodiscard]] double uniformity(const Eigen::MatrixBase<X>& x,
                                const UniformityOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x);
  return detail::uniformity<T>("uniformity", {xs.view()}, options.t);
}

/// log mean over all i, j of e^(-t |x_i - y_j|^2).
template <class X, class Y>
[[nodiscard]] double cross_uniformity(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  return detail::cross_uniformity<T>("cross_uniformity", xs.view(), ys.view(), options.t);
}

/// The uniformity of the rows of X and Y together.
template <class X, class Y>
[[nodiscard]] double joint_uniformity(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  core::expects_same_width("joint_uniformity", "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  return detail::uniformity<T>("joint_uniformity", {xs.view(), ys.view()}, options.t);
}

/// Value and gradient into `out`, which must not share memory with X.
template <class X, class Matrix>
void uniformity_with_gradient(const Eigen::MatrixBase<X>& x, const UniformityOptions& options,
                              UniformityGradient<Matrix>& out) {
  using T = core::Real<X>;
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
[[nodiscard]] UniformityGradient<RowMatrix<core::Real<X>>> uniformity_with_gradient(
    const Eigen::MatrixBase<X>& x, const UniformityOptions& options = {}) {
  UniformityGradient<RowMatrix<core::Real<X>>> out;
  uniformity_with_gradient(x, options, out);
  return out;
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] double uniformity(const Eigen::MatrixBase<X>& x, const UniformityOptions& options,
                                World& world) {
  using T = core::Real<X>;
  constexpr const char* function = "uniformity";
  return pairwise::over_blocks<T>(
      function, world, options,
      [&](core::Meeting& meeting, const auto& rows) {
        detail::check_uniformity(function, meeting.total(0), options.t);
        core::Workspace workspace;
        return detail::uniformity_by_ring<T>(meeting, 0, rows, options.t, workspace);
      },
      x);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double cross_uniformity(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options, World& world) {
  using T = core::Real<X>;
  constexpr const char* function = "cross_uniformity";
  return pairwise::over_blocks<T>(
      function, world, options,
      [&](core::Meeting& meeting, const auto& xs, const auto& ys) {
        detail::check_cross_uniformity(function, meeting.total(0), x.cols(), meeting.total(1),
                                       y.cols(), options.t);
        core::Workspace workspace;
        return detail::cross_uniformity_by_ring<T>(meeting, xs, ys, options.t, workspace);
      },
      x, y);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double joint_uniformity(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options, World& world) {
  using T = core::Real<X>;
  constexpr const char* function = "joint_uniformity";
  return pairwise::over_blocks<T>(
      function, world, options,
      [&](core::Meeting& meeting, const auto&...) {
        const Index n = meeting.total(0), m = meeting.total(1), d = x.cols();
        core::expects_same_width(function, "X", n, d, "Y", m, y.cols());
        detail::check_uniformity(function, n + m, options.t);
        RowMatrix<T> both(x.rows() + y.rows(), d);  // this rank's: one block
        both.topRows(x.rows()) = x;
        both.bottomRows(y.rows()) = y;
        meeting.bring<T>(2, both.rows(), d);
        meeting.agree();
        core::Workspace workspace;
        return detail::uniformity_by_ring<T>(meeting, 2, core::rows_of(both), options.t, workspace);
      },
      x, y);
}

/// Value and gradient of the uniformity of all ranks' rows by this rank's.
template <class X, class Matrix, core::Communicator World>
void uniformity_with_gradient(const Eigen::MatrixBase<X>& x, const UniformityOptions& options,
                              UniformityGradient<Matrix>& out, World& world) {
  using T = core::Real<X>;
  constexpr const char* function = "uniformity_with_gradient";
  out.value = pairwise::over_blocks<T>(
      function, world, options,
      [&](core::Meeting& meeting, const auto& rows) {
        detail::check_uniformity(function, meeting.total(0), options.t);
        core::OutputRows<Matrix> dx(function, "out.x", out.x, x.rows(), x.cols());
        core::expects_apart(function, dx.view(), rows);
        core::Workspace workspace;
        const double value = detail::uniformity_gradient_by_ring<T>(meeting, 0, rows, options.t,
                                                                    dx.view(), workspace);
        dx.commit();
        return value;
      },
      x);
}

template <class X, core::Communicator World>
[[nodiscard]] UniformityGradient<RowMatrix<typename X::Scalar>> uniformity_with_gradient(
    const Eigen::MatrixBase<X>& x, const UniformityOptions& options, World& world) {
  UniformityGradient<RowMatrix<typename X::Scalar>> out;
  uniformity_with_gradient(x, options, out, world);
  return out;
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_UNIFORMITY(T) \
  double uniformity(const StackedRows<T>&, double, UniformityArrays<T>&, const core::MatrixView<T>*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_UNIFORMITY)
#define SPHEREMIX_GAUSSIAN_LOG_MEAN(T) \
  double gaussian_log_mean(const GaussianTable<T>&, GaussianSums<T>&, const double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_GAUSSIAN_LOG_MEAN)
}  // namespace spheremix::metrics::detail
