// The Frechet mean on the sphere: the point with the least sum of weighted squared angles.
//
//   fixed point of   m <- exp_m( sum_i w_i log_m(x_i) / sum_i w_i )
//
// started at the normalised Euclidean mean. Converges for points in an open half sphere, the faster
// the closer they are. Computed in double whatever T.
//
// Shapes   X: n x d, weights: n. mean: a column of d.
// Options  tolerance: stop once |step| is not above it (0, the default: 4 eps of T);
//          max_iterations. Not converging is no error: compare residual with the tolerance.
// Errors   std::invalid_argument: n = 0, sizes, weights negative, not finite or all zero; a row
//          antipodal to the current mean. Rows of weight 0 are not read.
//          NaN rows give a NaN mean and residual.
// [Karcher 1977, "Riemannian center of mass and mollifier smoothing";
//  Buss and Fillmore 2001, "Spherical averages and applications to spherical splines"]
#pragma once

#include <limits>
#include <vector>

#include "spheremix/sphere/detail/arc_rows.hpp"
#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace spheremix::sphere {

struct FrechetMeanOptions {
  double tolerance = 0;       ///< on |step| in radians; 0: 4 eps of T
  int max_iterations = 1000;  ///< steps at most
};

template <class Column>
struct FrechetMean {
  Column mean;          ///< unit, a column of d
  int iterations = 0;   ///< steps taken
  double residual = 0;  ///< |step| that the last iteration found
};

namespace detail {

/// sum_i w_i f(x_i) over rows, f(row as double*, sum as double*, w) adding to d numbers. Partial
/// sums by chunks of rows, added in order. Returns the first row where f said false, or -1.
template <class T, class F>
Index sum_over_rows(core::MatrixView<const T> x, const double* weights, double* total,
                    std::vector<double>& memory, const F& f) {
  const std::size_t d = std::size_t(x.cols);
  memory.assign(std::size_t(kMaxChunks) * 2 * d, 0.0);
  std::atomic<Index> first{x.rows};
  over_chunks(x.rows, x.cols, [&](Index chunk, Index begin, Index end) {
    double* row = memory.data() + std::size_t(chunk) * 2 * d;
    double* sum = row + d;
    for (Index i = begin; i < end; ++i) {
      const double w = weights ? weights[i] : 1.0;
      if (w == 0) continue;
      for (std::size_t k = 0; k < d; ++k) row[k] = double(x(i, Index(k)));
      if (!f(row, sum, w)) {
        lower_to(first, i);
        return;
      }
    }
  });
  std::fill(total, total + d, 0.0);
  for (std::size_t chunk = 0; chunk < std::size_t(kMaxChunks); ++chunk)
    for (std::size_t k = 0; k < d; ++k) total[k] += memory[chunk * 2 * d + d + k];
  return first.load() < x.rows ? first.load() : -1;
}

struct MeanReport {
  int iterations;
  double residual;
};

/// mean: d numbers. weights: null or one a row, checked already.
template <class T>
MeanReport frechet_mean(core::MatrixView<const T> x, const double* weights, double tolerance,
                        int max_iterations, double* mean) {
  const Index d = x.cols;
  std::vector<double> memory, step(static_cast<std::size_t>(d));
  double weight = 0;
  Index heaviest = 0;
  for (Index i = 0; i < x.rows; ++i) {
    weight += weights ? weights[i] : 1.0;
    if (weights && weights[i] > weights[heaviest]) heaviest = i;
  }
  sum_over_rows(x, weights, mean, memory, [d](const double* row, double* sum, double w) {
    for (Index k = 0; k < d; ++k) sum[k] += w * row[k];
    return true;
  });
  core::MatrixView<double> m{mean, 1, d, d};
  if (detail::normalize_rows<double>(m, ZeroPolicy::error, m) >= 0)
    for (Index k = 0; k < d; ++k)
      mean[k] = double(x(heaviest, k));  // balanced points: start at one of them

  MeanReport report{0, core::infinity<double>};
  for (;;) {
    const Index antipodal = sum_over_rows(
        x, weights, step.data(), memory, [&](const double* row, double* sum, double w) {
          const math::Arc<double> arc = arc_between<double>(mean, row, d);
          if (arc.antipodal) return false;
          const auto [s, t] = math::arc_log(arc);
          const double ws = w * s, wt = w * t;
          over_row<double>(d, [&](auto at) {
            using V = typename decltype(at)::Value;
            V p, q, so_far;
            at.get(mean, p);
            at.get(row, q);
            at.get(sum, so_far);
            at.put(sum, V(so_far + (ws * (p + q) + wt * (q - p))));
          });
          return true;
        });
    core::expects(
        antipodal < 0, "frechet_mean", "row ", antipodal,
        " of X is antipodal to the mean of the others: the points are not in an open half sphere");
    for (double& s : step) s /= weight;
    tangent<double>(mean, step.data(), step.data(), d);
    report.residual =
        scaled_norm<double>(step.data(), d).norm / scaled_norm<double>(step.data(), d).scale;
    if (!(report.residual > tolerance) || report.iterations >= max_iterations) return report;
    exp_map<double>(mean, step.data(), mean, d);
    if (detail::normalize_rows<double>(m, ZeroPolicy::error, m) >= 0) return report;
    ++report.iterations;
  }
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

template <class Out>
concept WritableMean = WritableGradient<Out> && requires(Out& out) {
  out.mean;
  out.residual;
};

}  // namespace detail

/// The weighted Frechet mean of the rows of X.
template <class X, class Out>
requires detail::WritableMean<Out>
void frechet_mean(const Eigen::MatrixBase<X>& x, const core::Numbers& weights,
                  const FrechetMeanOptions& options, Out&& out) {
  const core::InputRows<typename X::Scalar> in(x);
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
  const core::InputRows<typename X::Scalar> in(x);
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
  FrechetMean<Vector<typename X::Scalar>> out;
  frechet_mean(x, options, out);
  return out;
}

template <class X>
[[nodiscard]] auto frechet_mean(const Eigen::MatrixBase<X>& x, const core::Numbers& weights,
                                const FrechetMeanOptions& options = {}) {
  FrechetMean<Vector<typename X::Scalar>> out;
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
