// The sum of squared angles that a Frechet mean minimises, with its slope and curvature, in double.
//
//   F(m) = sum_i w_i theta_i^2 / 2,   -grad F = g = sum_i w_i log_m(x_i),      sum_i w_i = 1
//   H v  = sum_i w_i ( c_i v + (1 - c_i) (u_i.v) u_i ),   c = theta cot theta, u the way to x_i
//        = c' v + P_m sum_i k_i (x_i.v) x_i,   c' = sum_i w_i c_i,  k_i = w_i (1 - c_i)/sin^2 theta_i
//
// H >= c': where c' is above 0 a point where g is 0 is a minimum. Elsewhere the lowest eigenvalue
// of H tells (Lanczos's iteration, all vectors kept orthogonal).
#pragma once

#include <memory>
#include <vector>

#include "spheremix/sphere/detail/arc_rows.hpp"
#include "spheremix/sphere/exp_log.hpp"

namespace spheremix::sphere::detail {

/// theta cot theta, and (1 - theta cot theta)/sin^2 theta.
struct MeanCurvature {
  double cotangent, rest;

  explicit MeanCurvature(const math::Arc<double>& arc) {
    const double square = arc.theta * arc.theta, sine = arc.sine();
    const bool close = arc.theta < 1e-3;  // the series is right to 1e-12 there
    cotangent =
        close ? 1 - square / 3
              : arc.theta * (arc.cos_half * arc.cos_half - arc.sin_half * arc.sin_half) / sine;
    rest = close ? 1.0 / 3 + square * (2.0 / 15) : (1 - cotangent) / (sine * sine);
  }
};

template <class T>
class MeanProblem {
 public:
  /// weights: null or one a row; `total`: their sum.
  MeanProblem(core::MatrixView<const T> x, const double* weights, double total)
      : slope(std::size_t(x.cols)),
        x_(x),
        weights_(weights),
        total_(total),
        chunks_((x.rows + chunk_rows(x.rows, work()) - 1) / chunk_rows(x.rows, work())),
        rest_(std::size_t(x.rows)),
        memory_(new double[std::size_t(chunks_ * room())]) {}

  /// Other points and weights stand where the old ones did.
  void start(double total) { total_ = total; }

  double value = 0;           ///< F at the last point
  double cotangent = 0;       ///< c'
  std::vector<double> slope;  ///< g

  /// F, g, c' at m. Returns the first row antipodal to m, or -1.
  Index at(const double* m) {
    const Index d = x_.cols;
    std::atomic<Index> first{x_.rows};
    over_rows([&](Index i, const double* row, double w, double* sum) {
      const math::Arc<double> arc = arc_between<double>(m, row, d);
      if (arc.antipodal) {
        lower_to(first, i);
        return;
      }
      const auto [s, t] = math::arc_log(arc);
      const MeanCurvature curvature(arc);
      rest_[std::size_t(i)] = w * curvature.rest;
      sum[d] += w * arc.theta * arc.theta;
      sum[d + 1] += w * curvature.cotangent;
      const double ws = w * s, wt = w * t;
      over_row<double>(d, [&](auto at) {
        using V = typename decltype(at)::Value;
        V p, q, so_far;
        at.get(m, p);
        at.get(row, q);
        at.get(sum, so_far);
        at.put(sum, V(so_far + (ws * (p + q) + wt * (q - p))));
      });
    });
    if (first.load() < x_.rows) return first.load();
    for (Index k = 0; k < d; ++k) slope[std::size_t(k)] = merged(k) / total_;
    tangent<double>(m, slope.data(), slope.data(), d);
    value = merged(d) / (2 * total_);
    cotangent = merged(d + 1) / total_;
    return -1;
  }

  /// H v at the last point m, v tangent there. `out` may not be v.
  void curve(const double* m, const double* v, double* out) {
    const Index d = x_.cols;
    over_rows([&](Index i, const double* row, double, double* sum) {
      const double by = rest_[std::size_t(i)] * dot(row, v, d);
      over_row<double>(d, [&](auto at) {
        using V = typename decltype(at)::Value;
        V q, so_far;
        at.get(row, q);
        at.get(sum, so_far);
        at.put(sum, V(so_far + by * q));
      });
    });
    for (Index k = 0; k < d; ++k) out[k] = merged(k) / total_ + cotangent * v[k];
    tangent<double>(m, out, out, d);
  }

  /// sum_i w_i x_i / sum_i w_i. Returns the first row that is no point of the sphere, or -1.
  Index plain_mean(double* out) {
    const Index d = x_.cols;
    std::atomic<Index> first{x_.rows};
    over_rows([&](Index i, const double* row, double w, double* sum) {
      if (!unit_or_undefined(row, d)) lower_to(first, i);
      for (Index k = 0; k < d; ++k) sum[k] += w * row[k];
    });
    for (Index k = 0; k < d; ++k) out[k] = merged(k) / total_;
    return first.load() < x_.rows ? first.load() : -1;
  }

  Index cols() const { return x_.cols; }

 private:
  Index room() const { return 2 * x_.cols + 2; }
  Index work() const { return 4 * x_.cols; }  ///< numbers a row is worth

  /// f(i, row in double, w, sum) over the rows with weight, sum[0..d + 2) of each chunk from 0.
  template <class F>
  void over_rows(const F& f) {
    const Index d = x_.cols;
    over_chunks(x_.rows, work(), [&](Index chunk, Index begin, Index end) {
      double* const sum = memory_.get() + chunk * room();
      double* const row = sum + d + 2;
      std::fill_n(sum, d + 2, 0.0);
      for (Index i = begin; i < end; ++i) {
        const double w = weights_ ? weights_[i] : 1.0;
        if (w == 0) continue;
        for (Index k = 0; k < d; ++k) row[k] = double(x_(i, k));
        f(i, row, w, sum);
      }
    });
  }
  /// Entry k of the sums, chunks in order.
  double merged(Index k) const {
    double sum = 0;
    for (Index chunk = 0; chunk < chunks_; ++chunk) sum += memory_[std::size_t(chunk * room() + k)];
    return sum;
  }

  core::MatrixView<const T> x_;
  const double* weights_;
  double total_;
  Index chunks_;
  std::vector<double> rest_;
  std::unique_ptr<double[]> memory_;
};

/// Lowest eigenvalue of a symmetric tridiagonal matrix and its vector, by bisection and inverse
/// iteration: at most 60 x 60, and Eigen's solver would have every program with a mean compile it.
inline double lowest_of_tridiagonal(const std::vector<double>& diagonal,
                                    const std::vector<double>& beside, std::vector<double>& y) {
  const std::size_t n = diagonal.size();
  double low = core::infinity<double>, high = core::infinity<double>, size = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const double reach =
        (k > 0 ? std::abs(beside[k - 1]) : 0) + (k + 1 < n ? std::abs(beside[k]) : 0);
    low = (std::min)(low, diagonal[k] - reach);
    high = (std::min)(high, diagonal[k]);
    size = (std::max)(size, std::abs(diagonal[k]) + reach);
  }
  low -= 1e-12 * size;
  std::vector<double> pivot(n);
  const auto positive = [&](double shift) {  // T - shift
    for (std::size_t k = 0; k < n; ++k) {
      pivot[k] = diagonal[k] - shift - (k > 0 ? beside[k - 1] * beside[k - 1] / pivot[k - 1] : 0);
      if (!(pivot[k] > 0)) return false;
    }
    return true;
  };
  for (int k = 0; k < 60; ++k) {
    const double middle = low + (high - low) / 2;
    (positive(middle) ? low : high) = middle;
  }
  double shift = low;
  for (double back = 1e-14 * size; !positive(shift); back *= 2) shift = low - back;
  y.assign(n, 1.0);
  for (int turn = 0; turn < 4; ++turn) {
    for (std::size_t k = 1; k < n; ++k) y[k] -= beside[k - 1] / pivot[k - 1] * y[k - 1];
    for (std::size_t k = 0; k < n; ++k) y[k] /= pivot[k];
    for (std::size_t k = n - 1; k-- > 0;) y[k] -= beside[k] / pivot[k] * y[k + 1];
    double square = 0, largest = 0;
    for (const double v : y) largest = (std::max)(largest, std::abs(v));
    for (double& v : y) v /= largest, square += v * v;
    for (double& v : y) v /= std::sqrt(square);
  }
  return low;
}

/// Lowest eigenvalue of H at m, where problem.at(m) was the last call, and its direction.
template <class T>
double lowest_curvature(MeanProblem<T>& problem, const double* m, std::vector<double>& direction) {
  const Index d = problem.cols();
  const std::size_t most = std::size_t((std::min)(d - 1, Index(60)));
  std::vector<std::vector<double>> basis;
  std::vector<double> v(static_cast<std::size_t>(d)), next(static_cast<std::size_t>(d)), diagonal,
      beside, y;
  std::uint32_t state = 1;
  for (double& a : v) state = state * 1664525u + 1013904223u, a = double(state) / 0x1p31 - 1;
  const auto unit = [&](std::vector<double>& a) {
    for (int twice = 0; twice < 2; ++twice) {  // tangent, and across all vectors so far
      tangent<double>(m, a.data(), a.data(), d);
      for (const std::vector<double>& b : basis) {
        const double along = dot(a.data(), b.data(), d);
        for (std::size_t k = 0; k < a.size(); ++k) a[k] -= along * b[k];
      }
    }
    const double length = std::sqrt(dot(a.data(), a.data(), d));
    for (double& e : a) e /= length;
    return length;
  };
  (void)unit(v);
  while (basis.size() < most) {
    basis.push_back(v);
    problem.curve(m, v.data(), next.data());
    diagonal.push_back(dot(next.data(), v.data(), d));
    const double before = std::sqrt(dot(next.data(), next.data(), d));
    const double length = unit(next);
    if (!(length > 1e-10 * before)) break;  // H leaves their span alone
    beside.push_back(length);
    v.swap(next);
  }
  const double lowest = lowest_of_tridiagonal(diagonal, beside, y);
  direction.assign(std::size_t(d), 0.0);
  for (std::size_t b = 0; b < basis.size(); ++b)
    for (std::size_t k = 0; k < direction.size(); ++k) direction[k] += y[b] * basis[b][k];
  (void)tangent<double>(m, direction.data(), direction.data(), d);
  return lowest;
}

}  // namespace spheremix::sphere::detail
