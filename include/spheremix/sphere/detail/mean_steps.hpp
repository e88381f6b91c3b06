// Steps towards a Frechet mean: Newton's, none of which makes the sum of squared angles larger, and
// one off a saddle or a maximum.
#pragma once

#include <algorithm>
#include <vector>

#include "spheremix/sphere/detail/mean_problem.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace spheremix::sphere::detail {

/// The point where the iteration stands, and a step from it.
template <class T>
class MeanSteps {
 public:
  MeanSteps(core::MatrixView<const T> x, const double* weights, double total, double* mean)
      : problem_(x, weights, total),
        mean_(mean),
        d_(x.cols),
        step_(std::size_t(d_)),
        from_(step_),
        trial_(step_),
        rest_(step_),
        way_(step_),
        product_(step_) {}

  MeanProblem<T>& problem() { return problem_; }
  Index evaluate() { return problem_.at(mean_); }
  double residual() const {
    const ScaledNorm<double> norm = scaled_norm<double>(problem_.slope.data(), d_);
    return norm.norm / norm.scale;
  }

  /// One step of Newton's: false where no part of it lessens the sum.
  bool newton() {
    direction();
    const double along = dot(problem_.slope.data(), step_.data(), d_), length = size(step_);
    // No farther than a radian; at rounding level the sum no longer tells, and the step is taken.
    const Start start(*this);
    for (double part = (std::min)(1.0, 1 / length); part > 1e-9; part /= 2)
      if (moved(start, part, 1e-4 * part * along - 1e-14 * start.value)) return true;
    return start.back();
  }

  /// Off a saddle, a maximum or a flat along +-direction, to where the sum is less. False: it is a
  /// minimum.
  bool leave() {
    if (d_ < 2 || problem_.cotangent > 0) return false;
    if (!(lowest_curvature(problem_, mean_, step_) < 1e-6)) return false;
    const Start start(*this);
    for (double part = 0.5; part > 1e-4; part /= 2)
      for (const double sign : {part, -part})
        if (moved(start, sign, 1e-11 * start.value)) return true;
    return start.back();
  }

 private:
  /// Where a step starts from, and the way back there.
  struct Start {
    MeanSteps& steps;
    const double value;

    explicit Start(MeanSteps& s) : steps(s), value(s.problem_.value) {
      s.from_.assign(s.mean_, s.mean_ + s.d_);
    }
    bool back() const {
      std::copy(steps.from_.begin(), steps.from_.end(), steps.mean_);
      (void)steps.problem_.at(steps.mean_);
      return false;
    }
  };

  /// To exp(part step) from the start: does that lessen the sum by `enough`?
  bool moved(const Start& start, double part, double enough) {
    for (std::size_t k = 0; k < trial_.size(); ++k) trial_[k] = part * step_[k];
    exp_map<double>(from_.data(), trial_.data(), mean_, d_);
    core::MatrixView<double> m{mean_, 1, d_, d_};
    return detail::normalize_rows<double>(m, ZeroPolicy::error, m) < 0 && problem_.at(mean_) < 0 &&
           problem_.value <= start.value - enough;
  }

  /// step = H^-1 slope, as far as conjugate gradients find the curvature positive.
  void direction() {
    std::vector<double>&rest = rest_, &p = way_, &hp = product_;
    rest = p = problem_.slope;
    const double start = dot(rest.data(), rest.data(), d_);
    const double close = (std::min)(0.01, start);  // of the square: quadratic convergence
    std::fill(step_.begin(), step_.end(), 0.0);
    double square = start;
    for (Index k = 0; k < (std::min)(d_, Index(60)) && square > close * start; ++k) {
      problem_.curve(mean_, p.data(), hp.data());
      const double curvature = dot(p.data(), hp.data(), d_);
      if (!(curvature > 1e-9 * dot(p.data(), p.data(), d_))) {
        if (k == 0) step_ = p;
        return;
      }
      const double alpha = square / curvature;
      for (std::size_t a = 0; a < rest.size(); ++a) {
        step_[a] += alpha * p[a];
        rest[a] -= alpha * hp[a];
      }
      const double next = dot(rest.data(), rest.data(), d_);
      for (std::size_t a = 0; a < rest.size(); ++a) p[a] = rest[a] + next / square * p[a];
      square = next;
    }
  }
  double size(const std::vector<double>& v) const { return std::sqrt(dot(v.data(), v.data(), d_)); }

  MeanProblem<T> problem_;
  double* mean_;
  Index d_;
  std::vector<double> step_, from_, trial_, rest_, way_, product_;
};

}  // namespace spheremix::sphere::detail
