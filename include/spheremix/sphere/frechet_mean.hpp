// The Frechet mean on the sphere: the point with the least sum of weighted squared angles.
//
//   sum_i w_i log_m(x_i) = 0,   by Newton's steps  m <- exp_m( H^-1 sum_i w_i log_m(x_i) / sum w )
//
// H, the curvature (detail/mean_problem.hpp), by conjugate gradients; a step that does not lessen
// the sum is halved. Started at the normalised Euclidean mean: five or six steps where the points
// are in an open half sphere, whose mean is the only one. Computed in double whatever T.
//
// Elsewhere a point where the logarithms balance may be a saddle or a maximum: it is left along the
// direction of least curvature, so that what comes back as converged is a minimum, not always the
// lowest.
//
// Shapes   X: n x d, weights: n numbers. mean: a column of d.
// Options  tolerance: stop once |step| = |sum_i w_i log_m(x_i)| / sum w is not above it (0, the
//          default: 4 eps of T); max_iterations. Not converging is no error: compare residual with
//          the tolerance.
// Errors   std::invalid_argument: n = 0, sizes, weights negative, not finite or all zero; a row
//          that is not unit (|x|^2 further than 1e-3 from 1); one antipodal to the point where the
//          iteration starts. Rows of weight 0 are not read.
//          NaN rows give a NaN mean and residual.
// [Karcher 1977, "Riemannian center of mass and mollifier smoothing";
//  Buss and Fillmore 2001, "Spherical averages and applications to spherical splines"]
#pragma once

#include <utility>
#include <vector>

#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/detail/mean_steps.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace spheremix::sphere {

struct FrechetMeanOptions {
  double tolerance = 0;       ///< on the residual, in radians; 0: 4 eps of T
  int max_iterations = 1000;  ///< steps at most
};

/// The mean, and how it was found.
template <class Column>
struct FrechetMean {
  Column mean;          ///< unit, a column of d
  int iterations = 0;   ///< steps taken
  double residual = 0;  ///< |sum_i w_i log_m(x_i)| / sum w at the mean
};

namespace detail {

struct MeanReport {
  int iterations;
  double residual;
};

/// mean: d numbers. weights: null or one a row, checked already.
template <class T>
MeanReport frechet_mean(core::MatrixView<const T> x, const double* weights, double tolerance,
                        int max_iterations, double* mean) {
  const Index d = x.cols;
  double total = 0;
  Index heaviest = 0;
  for (Index i = 0; i < x.rows; ++i) {
    total += weights ? weights[i] : 1.0;
    if (weights && weights[i] > weights[heaviest]) heaviest = i;
  }
  MeanSteps<T> steps(x, weights, total, mean);
  if (const Index row = steps.problem().plain_mean(mean); row >= 0)
    expects_unit_row("frechet_mean", "X", row, x.row(row), d);
  core::MatrixView<double> m{mean, 1, d, d};
  if (detail::normalize_rows<double>(m, ZeroPolicy::error, m) >= 0)
    for (Index k = 0; k < d; ++k)
      mean[k] = double(x(heaviest, k));  // balanced points: start at one of them
  const Index antipodal = steps.evaluate();
  core::expects(
      antipodal < 0, "frechet_mean", "row ", antipodal,
      " of X is antipodal to the mean of the others: the points are not in an open half sphere");
  MeanReport report{0, steps.residual()};
  for (int stale = 0; report.iterations < max_iterations && report.residual == report.residual;) {
    if (!(report.residual > tolerance) ? !steps.leave() : !steps.newton()) break;
    ++report.iterations;
    const double before = std::exchange(report.residual, steps.residual());
    stale = report.residual < 1e-12 && report.residual > 0.5 * before ? stale + 1 : 0;
    if (stale > 8) break;  // rounding is all that is left
  }
  return report;
}

template <class T, class Out>
void run_frechet_mean(core::MatrixView<const T> x, const double* weights,
                      const FrechetMeanOptions& options, Out& out) {
  constexpr auto* name = "frechet_mean";
  core::expects(x.rows > 0 && x.cols > 0, name, "X is ", x.rows, " x ", x.cols,
                ": no points to average");
  core::expects(options.tolerance >= 0 && options.max_iterations >= 0, name, "tolerance is ",
                options.tolerance, " and max_iterations ", options.max_iterations,
                ", neither may be negative");
  OutputVector result(name, "out.mean", out.mean, x.cols, 1);
  const double tolerance = options.tolerance > 0 ? options.tolerance : 4 * double(core::epsilon<T>);
  std::vector<double> mean(static_cast<std::size_t>(x.cols));
  const MeanReport report =
      detail::frechet_mean(x, weights, tolerance, options.max_iterations, mean.data());
  for (Index k = 0; k < x.cols; ++k) result.data()[k] = T(mean[std::size_t(k)]);
  result.commit();
  out.iterations = report.iterations;
  out.residual = report.residual;
}

/// Weights, of any kind (core/numbers.hpp).
template <class W>
concept MeanWeights = !std::is_same_v<W, FrechetMeanOptions>;

template <class Out>
concept WritableMean = WritableGradient<Out> && requires(Out& out) {
  out.mean;
  out.residual;
};

}  // namespace detail

/// The weighted Frechet mean of the rows of X.
template <class X, detail::MeanWeights W, class Out>
requires detail::WritableMean<Out>
void frechet_mean(const Eigen::MatrixBase<X>& x, const W& weights,
                  const FrechetMeanOptions& options, Out&& out) {
  const core::InputRows<core::Real<X>> in(x);
  const core::InputNumbers<double> w(weights, "frechet_mean", "weights");
  core::expects_size("frechet_mean", "weights", w.size(), x.rows());
  double total = 0;
  for (Index i = 0; i < w.size(); ++i) {
    core::expects(std::isfinite(w[i]) && w[i] >= 0, "frechet_mean", "weights[", i, "] is ", w[i],
                  ", not a finite number >= 0");
    total += w[i];
  }
  core::expects((total > 0 && std::isfinite(total)) || w.size() == 0, "frechet_mean",
                "the weights add up to ", total);
  detail::run_frechet_mean(in.view(), w.data(), options, out);
}

/// The same with equal weights.
template <class X, class Out>
requires detail::WritableMean<Out>
void frechet_mean(const Eigen::MatrixBase<X>& x, const FrechetMeanOptions& options, Out&& out) {
  const core::InputRows<core::Real<X>> in(x);
  detail::run_frechet_mean(in.view(), nullptr, options, out);
}

template <class X, class Out>
requires detail::WritableMean<Out>
void frechet_mean(const Eigen::MatrixBase<X>& x, Out&& out) {
  frechet_mean(x, FrechetMeanOptions{}, out);
}

template <class X>
[[nodiscard]] auto frechet_mean(const Eigen::MatrixBase<X>& x,
                                const FrechetMeanOptions& options = {}) {
  FrechetMean<Vector<core::Real<X>>> out;
  frechet_mean(x, options, out);
  return out;
}

template <class X, detail::MeanWeights W>
[[nodiscard]] auto frechet_mean(const Eigen::MatrixBase<X>& x, const W& weights,
                                const FrechetMeanOptions& options = {}) {
  FrechetMean<Vector<core::Real<X>>> out;
  frechet_mean(x, weights, options, out);
  return out;
}

}  // namespace spheremix::sphere

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::sphere::detail {
#define SPHEREMIX_FRECHET_MEAN(T) \
  MeanReport frechet_mean(core::MatrixView<const T>, const double*, double, int, double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_FRECHET_MEAN)
}  // namespace spheremix::sphere::detail
