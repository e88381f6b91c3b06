// Steps down a gradient on the sphere: the formula in long double, what holds after 1e5 steps, and
// where a descent ends.
#include "spheremix/sphere/gradient_steps.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/frechet_mean.hpp"
#include "spheremix/sphere/sampling.hpp"
#include "support/differences.hpp"
#include "support/refusal.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using spheremix::test::refusal;

namespace {

using Long = long double;
using spheremix::test::gaussian_rows;
using spheremix::test::LongVector;
using spheremix::test::matrix_error;

template <class M>
LongVector row_of(const M& m, Index i) {
  return m.row(i).transpose().template cast<Long>();
}

/// One step of one row by the header's formulas: x and m are overwritten.
struct Oracle {
  LongVector x, m;
  Long v = 0;

  void sgd(const LongVector& gradient, Long rate, Long momentum) {
    m = momentum * m + tangent(gradient);
    go(rate);
  }
  void adam(const LongVector& gradient, int t, const sphere::AdamOptions& o) {
    const LongVector g = tangent(gradient);
    m = Long(o.beta1) * m + (1 - Long(o.beta1)) * g;
    v = Long(o.beta2) * v + (1 - Long(o.beta2)) * g.squaredNorm();
    go(Long(o.rate) / (1 - std::pow(Long(o.beta1), Long(t))) /
       (std::sqrt(v / (1 - std::pow(Long(o.beta2), Long(t)))) + Long(o.epsilon)));
  }
  LongVector tangent(const LongVector& gradient) const { return gradient - x.dot(gradient) * x; }
  void go(Long scale) {
    const Long length = m.norm(), a = scale * length;
    if (length == 0) return;
    const LongVector from = x;
    x = std::cos(a) * from - std::sin(a) / length * m;
    m = std::cos(a) * m + std::sin(a) * length * from;
  }
};

template <class T>
void check_steps() {
  const Index n = 7, d = 33;
  core::Philox rng(3);
  const RowMatrix<T> start = sphere::sample_uniform<T>(n, d, rng);
  const Long eps = Long(std::numeric_limits<T>::epsilon());
  for (const bool adam : {false, true}) {
    RowMatrix<T> x = start;
    sphere::SgdState<T> momentum;
    sphere::AdamState<T> state;
    std::vector<Oracle> oracle;
    for (Index i = 0; i < n; ++i) oracle.push_back({row_of(x, i), LongVector::Zero(d)});
    for (int t = 1; t <= 5; ++t) {
      const RowMatrix<T> g = gaussian_rows<T>(n, d, std::uint32_t(t));
      const sphere::AdamOptions options{.rate = 0.2, .beta1 = 0.8, .beta2 = 0.95};
      if (adam)
        sphere::adam_step(x, g, state, options);
      else
        sphere::sgd_step(x, g, momentum, {.rate = 0.07, .momentum = 0.6});
      for (Index i = 0; i < n; ++i) {
        Oracle& o = oracle[std::size_t(i)];
        if (adam)
          o.adam(row_of(g, i), t, options);
        else
          o.sgd(row_of(g, i), 0.07L, Long(0.6));
        const RowMatrix<T>& m = adam ? state.moment : momentum.moment;
        CHECK(matrix_error(row_of(x, i), o.x) <= 16 * Long(t) * eps);
        CHECK(matrix_error(row_of(m, i), o.m) <= 16 * Long(t) * eps);
      }
    }
  }
}

template <class T>
void check_drift() {
  const Index d = 16;
  core::Philox rng(5);
  RowMatrix<T> x = sphere::sample_uniform<T>(2, d, rng), y = x;
  sphere::SgdState<T> momentum;
  sphere::AdamState<T> adam;
  const RowMatrix<T> g = gaussian_rows<T>(2, d, 9), h = gaussian_rows<T>(2, d, 10);
  for (int t = 0; t < 100000; ++t) {
    const RowMatrix<T> turned = g * T(std::cos(0.37 * t)) + h * T(std::sin(0.61 * t));
    sphere::sgd_step(x, turned, momentum, {.rate = 0.003, .momentum = 0.999});
    sphere::adam_step(y, turned, adam, {.rate = 0.05});
  }
  for (const auto* pair : {&x, &y}) {
    const RowMatrix<T>& m = pair == &x ? momentum.moment : adam.moment;
    for (Index i = 0; i < 2; ++i) {
      const LongVector p = row_of(*pair, i), q = row_of(m, i);
      CHECK(std::abs(p.norm() - 1) < 1e-6L);
      CHECK(q.norm() > 0);
      CHECK(std::abs(p.dot(q)) < 1e-6L * q.norm());
    }
  }
}

}  // namespace

TEST_CASE("steps are their formulas") {
  SUBCASE("float") { check_steps<float>(); }
  SUBCASE("double") { check_steps<double>(); }
}

TEST_CASE("after 1e5 steps rows have length 1 and moments are tangent") {
  SUBCASE("float") { check_drift<float>(); }
  SUBCASE("double") { check_drift<double>(); }
}

TEST_CASE("without momentum a step is exp_map of minus the tangent gradient") {
  core::Philox rng(1);
  RowMatrix<double> x = sphere::sample_uniform<double>(5, 8, rng);
  const RowMatrix<double> g = gaussian_rows<double>(5, 8, 2), before = x;
  sphere::sgd_step(x, g, 0.4);
  for (Index i = 0; i < 5; ++i) {
    const Eigen::RowVectorXd want =
        sphere::exp_map(before.row(i), -0.4 * sphere::tangent(before.row(i), g.row(i)));
    CHECK((x.row(i) - want).norm() <= 1e-14);
  }
}

TEST_CASE("a descent of the mean squared angle ends at frechet_mean") {
  core::Philox rng(7);
  Eigen::VectorXd pole = Eigen::VectorXd::Zero(6);
  pole[2] = 1;
  const RowMatrix<double> points = sphere::sample_von_mises_fisher(pole, 4.0, 200, rng);
  const auto mean = sphere::frechet_mean(points).mean;
  const auto gradient = [&](const RowMatrix<double>& x) {
    RowMatrix<double> g = RowMatrix<double>::Zero(1, 6);
    for (Index i = 0; i < points.rows(); ++i) g -= sphere::log_map(x.row(0), points.row(i)) / 200.0;
    return g;
  };
  RowMatrix<double> x = points.row(0), y = points.row(0);
  sphere::SgdState<double> momentum;
  sphere::AdamState<double> adam;
  for (int t = 0; t < 300; ++t) {
    sphere::sgd_step(x, gradient(x), momentum, {.rate = 0.3, .momentum = 0.5});
    sphere::adam_step(y, gradient(y), adam, {.rate = 0.1 * std::pow(0.97, t)});
  }
  CHECK((x.row(0).transpose() - mean).norm() <= 1e-12);
  CHECK((y.row(0).transpose() - mean).norm() <= 3e-3);
}

TEST_CASE(
    "any layout in place, the same bits; nothing moves without a gradient; NaN stays in its row") {
  core::Philox rng(2);
  const RowMatrix<double> start = sphere::sample_uniform<double>(6, 5, rng),
                          g = gaussian_rows<double>(6, 5, 4);
  RowMatrix<double> x = start, wide = RowMatrix<double>::Constant(6, 9, 7);
  wide.middleCols(2, 5) = start;
  Eigen::MatrixXd columns = start;
  sphere::AdamState<double> a, b, c;
  for (int t = 0; t < 3; ++t) {
    sphere::adam_step(x, g, a);
    sphere::adam_step(wide.middleCols(2, 5), g, b);
    sphere::adam_step(columns, g, c);
  }
  CHECK(wide.middleCols(2, 5) == x);
  CHECK(RowMatrix<double>(columns) == x);
  CHECK(wide(0, 1) == 7);
  CHECK(wide(5, 7) == 7);

  RowMatrix<double> still = start;
  const RowMatrix<double> nothing = RowMatrix<double>::Zero(6, 5);
  sphere::SgdState<double> s;
  sphere::sgd_step(still, nothing, s, {.rate = 1, .momentum = 0.5});
  sphere::AdamState<double> f;
  sphere::adam_step(still, nothing, f, {.epsilon = 0});
  CHECK(still == start);

  RowMatrix<double> bad = g;
  bad(3, 2) = std::numeric_limits<double>::quiet_NaN();
  RowMatrix<double> there = start, fine = start;
  sphere::sgd_step(there, bad, 0.1);
  sphere::sgd_step(fine, g, 0.1);
  for (Index i = 0; i < 6; ++i)
    if (i == 3)
      CHECK(std::isnan(there(i, 0)));
    else
      CHECK(there.row(i) == fine.row(i));
}

TEST_CASE("what is refused, and leaves rows and state alone") {
  core::Philox rng(2);
  RowMatrix<double> x = sphere::sample_uniform<double>(4, 5, rng);
  const RowMatrix<double> start = x, g = gaussian_rows<double>(4, 5, 4),
                          small = gaussian_rows<double>(3, 5, 4);
  sphere::SgdState<double> s;
  sphere::AdamState<double> a;
  CHECK(refusal([&] { sphere::sgd_step(x, small, s); }) == "sgd_step: X is 4 x 5 but G is 3 x 5");
  CHECK(refusal([&] { sphere::adam_step(x, small, a); }) == "adam_step: X is 4 x 5 but G is 3 x 5");
  CHECK(refusal([&] { sphere::sgd_step(x, g, s, {.momentum = 1}); }) ==
        "sgd_step: momentum is 1, outside [0, 1)");
  CHECK(refusal([&] { sphere::sgd_step(x, g, s, {.rate = INFINITY}); }) == "sgd_step: rate is inf");
  CHECK(refusal([&] { sphere::adam_step(x, g, a, {.beta2 = -0.1}); }).find("a beta is -0.1") !=
        std::string::npos);
  CHECK(refusal([&] { sphere::adam_step(x, g, a, {.epsilon = -1}); }).find("epsilon is -1") !=
        std::string::npos);
  RowMatrix<double> scaled = x;
  scaled.row(2) *= 1.5;
  CHECK(refusal([&] { sphere::sgd_step(scaled, g, s); }).find("sgd_step: row 2 of X has length") ==
        0);
  CHECK(x == start);
  CHECK(s.moment.size() == 0);
  CHECK(a.moment.size() == 0);
  CHECK(a.steps == 0);
  sphere::adam_step(x, g, a);
  RowMatrix<double> other = start.topRows(3);
  CHECK(refusal([&] { sphere::adam_step(other, small, a); }).find("adam_step: ") == 0);
  CHECK(refusal([&] { sphere::sgd_step(x, x, s); }).find("sgd_step: ") == 0);
  RowMatrix<double> none(0, 5);
  const RowMatrix<double> none_too = none;
  sphere::sgd_step(none, none_too, 0.1);
  CHECK(none.rows() == 0);
}
