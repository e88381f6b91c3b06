// One mixture of the barycentre: its iteration, and the way back of its gradient (formulas at
// mixup/barycentre.hpp).
#pragma once

#include <utility>
#include <vector>

#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/detail/mean_steps.hpp"

namespace spheremix::mixup::detail {

/// The points of one mixture in double, with the scratch of its iteration.
class BarycentreRow {
 public:
  BarycentreRow(Index k, Index d)
      : k_(k),
        d_(d),
        x(std::size_t(k * d)),
        w(std::size_t(k)),
        mean(std::size_t(d)),
        step(std::size_t(d)),
        log(std::size_t(k * d)),
        row(std::size_t(k)),
        steps({x.data(), k, d, d}, w.data(), 1, mean.data()) {}
  BarycentreRow(const BarycentreRow&) = delete;

  const double* point(Index j) const { return x.data() + j * d_; }
  double* log_of(Index j) { return log.data() + j * d_; }

  template <class T>
  void load(const char* function, core::MatrixView<const T> rows, const core::Numbers& members,
            const core::Numbers& weights, Index i) {
    sum = 0;
    for (Index j = 0; j < k_; ++j) {
      const double weight = weights(i, j).high;
      core::expects(weight >= 0 && std::isfinite(weight), function, "weights(", i, ", ", j, ") is ",
                    weight, ", not a finite number >= 0");
      w[std::size_t(j)] = weight;
      row[std::size_t(j)] = members.index(i, j);
      sum += weight;
      for (Index a = 0; a < d_; ++a)
        x[std::size_t(j * d_ + a)] = double(rows(row[std::size_t(j)], a));
    }
    core::expects(sum > 0, function, "the weights of row ", i, " are all 0");
  }

  /// The number of the only member with weight, or -1.
  Index lone() const {
    Index found = -1;
    for (Index j = 0; j < k_; ++j)
      if (w[std::size_t(j)] > 0) {
        if (found >= 0) return -1;
        found = j;
      }
    return found;
  }

  /// Logarithms and curvature at the mean; false for an antipode.
  bool logarithms() {
    steps.problem().start(sum);
    (void)steps.problem().at(mean.data());
    for (Index j = 0; j < k_; ++j) {
      const math::Arc<double> arc = sphere::detail::arc_between<double>(mean.data(), point(j), d_);
      if (arc.antipodal) return false;
      const auto [s, t] = math::arc_log(arc);
      for (Index a = 0; a < d_; ++a) {
        const double p = mean[std::size_t(a)], q = point(j)[a];
        log_of(j)[a] = s * (p + q) + t * (q - p);
      }
    }
    return true;
  }

  /// Leaves the mean.
  void solve(const char* function, Index i) {
    if (const Index only = lone(); only >= 0) {
      std::copy_n(point(only), d_, mean.data());
      (void)normalise();
      return;
    }
    steps.problem().start(sum);
    if (const Index j = steps.problem().plain_mean(mean.data()); j >= 0)
      sphere::detail::expects_unit_row(function, "X", row[std::size_t(j)], point(j), d_);
    const bool balanced = !normalise();
    Index antipodal = -1;
    if (balanced || (antipodal = steps.evaluate()) >= 0)
      core::fail(
          function, ": the points of row ", i, " are in no open half sphere: ",
          balanced ? "they balance each other" : "one is antipodal to the mean of the others");
    double before = core::infinity<double>, size = steps.residual();
    for (int iteration = 0;
         size > 4 * core::epsilon<double> && (size >= 1e-14 || size < 0.5 * before); ++iteration) {
      core::expects(iteration < 1000 && steps.newton(), function, "row ", i,
                    " has not converged: |step| is ", size);
      before = std::exchange(size, steps.residual());
    }
    core::expects(std::isnan(size) || in_half_sphere(), function, "the points of row ", i,
                  " are in no open half sphere: their mean is not one point");
  }

  /// From g at the mean: y with H y = P g in `step`.
  void solve_hessian(const char* function, Index i, const double* g) {
    std::vector<double> residual(g, g + d_), direction, product(static_cast<std::size_t>(d_));
    sphere::detail::tangent<double>(mean.data(), residual.data(), residual.data(), d_);
    std::fill(step.begin(), step.end(), 0.0);
    direction = residual;
    const double start = dot(residual.data(), residual.data());
    double size = start;
    for (Index iteration = 0; iteration < 4 * k_ + 8 && size > 1e-28 * start; ++iteration) {
      steps.problem().curve(mean.data(), direction.data(), product.data());
      const double curvature = dot(direction.data(), product.data());
      if (curvature <= 0 && size < 1e-20 * start) break;  // rounding is all that is left
      core::expects(!(curvature <= 0), function, "the mean of row ", i,
                    " is no minimum: its points are too far apart");
      const double alpha = size / curvature;
      for (std::size_t a = 0; a < std::size_t(d_); ++a) {
        step[a] += alpha * direction[a];
        residual[a] -= alpha * product[a];
      }
      sphere::detail::tangent<double>(mean.data(), residual.data(), residual.data(), d_);
      const double next = dot(residual.data(), residual.data());
      for (std::size_t a = 0; a < std::size_t(d_); ++a)
        direction[a] = residual[a] + next / size * direction[a];
      size = next;
    }
  }

  /// dL/dx_j into out, from y in `step`; returns dL/dw_j.
  double pull(Index j, double* out) {
    const double* const l = log_of(j);
    const double theta = length(l), weight = w[std::size_t(j)] / sum;
    const double along = theta > 0 ? dot(step.data(), l) / theta : 0;
    const double turn = theta > 0 ? theta / std::sin(theta) : 1;
    for (Index a = 0; a < d_; ++a) {
      const double u = theta > 0 ? l[a] / theta : 0;
      const double arrive = std::cos(theta) * u - std::sin(theta) * mean[std::size_t(a)];
      out[a] = weight * (along * arrive + turn * (step[std::size_t(a)] - along * u));
    }
    return dot(step.data(), l) / sum;
  }

  double dot(const double* a, const double* b) const {
    double s = 0;
    for (Index k = 0; k < d_; ++k) s += a[k] * b[k];
    return s;
  }
  double length(const double* a) const { return std::sqrt(dot(a, a)); }

 private:
  /// Has some h a positive product with every point of weight? The mean, mostly; else the point of
  /// the hull next to 0, by steps that move share from the farthest along it to the nearest.
  bool in_half_sphere() const {
    std::vector<Index> held;
    bool all = true;
    for (Index j = 0; j < k_; ++j)
      if (w[std::size_t(j)] > 0) {
        held.push_back(j);
        all = all && dot(mean.data(), point(j)) > 0;
      }
    if (all) return true;
    const std::size_t n = held.size();
    std::vector<double> share(n, 1 / double(n)), along(n), p(static_cast<std::size_t>(d_));
    for (std::size_t turn = 0; turn < 2000 * n; ++turn) {
      std::fill(p.begin(), p.end(), 0.0);
      for (std::size_t j = 0; j < n; ++j)
        for (Index a = 0; a < d_; ++a) p[std::size_t(a)] += share[j] * point(held[j])[a];
      std::size_t low = 0, high = n;
      for (std::size_t j = 0; j < n; ++j) {
        along[j] = dot(p.data(), point(held[j]));
        if (along[j] < along[low]) low = j;
        if (share[j] > 0 && (high == n || along[j] > along[high])) high = j;
      }
      if (along[low] > 0) return true;
      double apart = 0;
      for (Index a = 0; a < d_; ++a) {
        const double e = point(held[high])[a] - point(held[low])[a];
        apart += e * e;
      }
      const double part = (std::min)(share[high], (along[high] - along[low]) / apart);
      if (!(part > 1e-15)) return false;
      share[high] -= part;
      share[low] += part;
    }
    return false;
  }

  bool normalise() {
    const double size = length(mean.data());
    if (!(size > 1e-14) && size == size) return false;
    for (double& m : mean) m /= size;
    return true;
  }

  Index k_, d_;

 public:
  std::vector<double> x, w, mean, step, log;
  std::vector<Index> row;  ///< of X, where each member comes from
  sphere::detail::MeanSteps<double> steps;
  double sum = 0;
};

}  // namespace spheremix::mixup::detail
