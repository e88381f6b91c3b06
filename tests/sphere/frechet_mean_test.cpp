#include "spheremix/sphere/frechet_mean.hpp"

#include <doctest/doctest.h>

#include "spheremix/sphere/sampling.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("the logarithms of the points balance at the Frechet mean", T, float, double) {
  for (Index d : {2, 3, 40})
    for (Index n : {1, 2, 30}) {
      CAPTURE(d);
      CAPTURE(n);
      const Vector<T> centre = unit<T>(d, 1);
      RowMatrix<T> x(n, d);
      Vector<T> w(n);
      for (Index i = 0; i < n; ++i) {
        x.row(i) = at_angle(centre, 0.05L * (long double)(i), std::uint32_t(i) + 5).transpose();
        w[i] = T(1 + i % 3);
      }
      const auto result = sphere::frechet_mean(x, w);
      CHECK(result.residual <= 4 * double(core::epsilon<T>));
      CHECK(result.mean.cols() == 1);
      CHECK(std::abs(result.mean.norm() - 1) <= 2 * core::epsilon<T>);
      LongVector balance = LongVector::Zero(d);
      for (Index i = 0; i < n; ++i)
        balance += (long double)(w[i]) * LongArc(result.mean, x.row(i).transpose()).log();
      CHECK(double(balance.norm()) < 20 * double(core::epsilon<T>) * double(w.sum()));
      if (n == 1) CHECK((result.mean - x.row(0).transpose()).norm() <= 2 * core::epsilon<T>);
    }
}

TEST_CASE("two points: the mean divides the arc by the weights; weight 0 is not read") {
  RowMatrix<double> x = unit_rows<double>(3, 8, 3);
  x.row(2).setConstant(core::nan<double>);
  Vector<double> w(3);
  w << 1, 3, 0;
  const auto result = sphere::frechet_mean(x, w);
  const LongVector want = LongArc(x.row(0).transpose(), x.row(1).transpose()).slerp(0.75L);
  CHECK(max_eps_error<double>(result.mean, want) < 8);
  CHECK((sphere::frechet_mean(x.topRows(2), Eigen::RowVector2d(2, 6)).mean - result.mean).norm() <
        1e-15);
}

TEST_CASE("Frechet mean: options, buffers, errors") {
  const RowMatrix<double> x =
      rows_at_angle(RowMatrix<double>(unit_rows<double>(1, 5, 1).replicate(12, 1)), 1.0L, 2);
  const auto one = sphere::frechet_mean(x, {.max_iterations = 1});
  CHECK(one.iterations == 1);
  CHECK(one.residual > 1e-6);
  const auto loose = sphere::frechet_mean(x, {.tolerance = 1e-3});
  CHECK(loose.residual <= 1e-3);
  CHECK(loose.iterations < sphere::frechet_mean(x).iterations);
  sphere::FrechetMean<Vector<double>> out;
  sphere::frechet_mean(x, out);
  CHECK(same_bits(out.mean, sphere::frechet_mean(x).mean));
  CHECK(same_bits(sphere::frechet_mean(x, Vector<double>::Ones(12)).mean, out.mean));

  CHECK_THROWS_AS((void)sphere::frechet_mean(RowMatrix<double>(0, 5)), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::frechet_mean(x, Vector<double>::Ones(11)), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::frechet_mean(x, Vector<double>::Zero(12)), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::frechet_mean(x, Vector<double>::Constant(12, -1)),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::frechet_mean(x, {.tolerance = -1}), std::invalid_argument);
  RowMatrix<double> opposite(2, 5);
  opposite.row(0) = x.row(0);
  opposite.row(1) = -x.row(0);
  CHECK_THROWS_AS((void)sphere::frechet_mean(opposite), std::invalid_argument);
  RowMatrix<double> bad = x;
  bad(3, 1) = core::nan<double>;
  const auto spoiled = sphere::frechet_mean(bad);
  CHECK(spoiled.mean.hasNaN());
  CHECK(std::isnan(spoiled.residual));
}

namespace {

/// Sum of squared angles in long double.
long double spread(const RowMatrix<double>& x, const LongVector& m) {
  long double sum = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    const long double theta = LongArc(m.template cast<double>(), x.row(i).transpose()).log().norm();
    sum += theta * theta;
  }
  return sum;
}

/// No point within a step of the mean, in any of many directions, has a lesser sum.
void check_minimum(const RowMatrix<double>& x, const Vector<double>& mean) {
  const Index d = x.cols();
  const LongVector m = mean.cast<long double>();
  const long double here = spread(x, m);
  for (const double step : {0.02, 0.1})
    for (Index k = 0; k < 60; ++k) {
      Vector<double> v = gaussian_rows<double>(1, d, std::uint32_t(900 + k)).row(0).transpose();
      v -= mean.dot(v) * mean;
      const Vector<double> there = sphere::exp_map(mean, Vector<double>(step / v.norm() * v));
      CHECK(double(spread(x, there.cast<long double>()) - here) > -1e-12 * double(here));
    }
}

}  // namespace

TEST_CASE("frechet_mean never stops at a saddle or a maximum") {
  std::vector<RowMatrix<double>> batches;
  for (const Index d : {2, 3, 4, 9})
    for (const double turn : {0.0, 0.3}) {
      batches.push_back(ring(3, d, turn));  // three points at 120 degrees
      batches.push_back(ring(5, d, turn));
    }
  for (const double angle : {0.05, 0.3, 1.0})  // mirrored clusters around both poles
    for (const Index n : {5, 20}) {
      RowMatrix<double> both(2 * n, 3);
      both << ring(n, 3, 0.1, angle), ring(n, 3, 0.1, core::pi<double> - angle);
      batches.push_back(both);
      both << ring(n, 3, 0.1, angle), ring(n, 3, 0.1 + 0.25, core::pi<double> - angle);
      batches.push_back(both);
      both << ring(n, 3, 0.0, angle), -ring(n, 3, 0.0, angle) * 0.999999;  // all but antipodal
      both.bottomRows(n).col(0).array() += 1e-3;
      both.rowwise().normalize();
      batches.push_back(both);
    }
  RowMatrix<double> tetrahedron(4, 3);
  tetrahedron << 1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, 1;
  batches.push_back(tetrahedron / std::sqrt(3.0));
  batches.push_back(unit_rows<double>(200, 3, 5));
  batches.push_back(unit_rows<double>(60, 12, 6));
  Index found = 0;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    CAPTURE(b);
    try {
      const auto got = sphere::frechet_mean(batches[b]);
      if (!(got.residual <= 4 * core::epsilon<double>)) continue;  // said not to have converged
      ++found;
      CHECK(std::abs(got.mean.norm() - 1) < 1e-14);
      check_minimum(batches[b], got.mean);
    } catch (const std::invalid_argument&) {
    }
  }
  CHECK(found >= 30);
  // The pole of three points at 120 degrees: all angles are right ones.
  const auto pole = sphere::frechet_mean(ring(3, 3, 0.0));
  const long double angle = core::pi<long double> / 2;
  CHECK(std::abs(double(spread(ring(3, 3, 0.0), pole.mean.cast<long double>()) -
                        3 * angle * angle)) < 1e-12);
}

TEST_CASE_TEMPLATE("frechet_mean takes a handful of steps", T, float, double) {
  core::Philox rng(7);
  for (const double kappa : {0.0, 1.0, 5.0, 200.0}) {
    CAPTURE(kappa);
    const RowMatrix<T> x = sphere::sample_von_mises_fisher(unit<T>(64, 3), kappa, 20000, rng);
    const auto got = sphere::frechet_mean(x);
    CHECK(got.iterations <= 15);
    CHECK(got.residual <= 4 * double(core::epsilon<T>));
  }
  // Two clusters far apart, unlike in every direction but one: a plain step would take hundreds.
  RowMatrix<T> far(100, 16);
  for (Index i = 0; i < 100; ++i)
    far.row(i) =
        at_angle(unit<T>(16, 1), i % 2 ? 1.5L : 1.4L, std::uint32_t(i % 2 + 50)).transpose();
  const auto got = sphere::frechet_mean(far);
  CHECK(got.iterations <= 15);
  CHECK(got.residual <= 4 * double(core::epsilon<T>));
}

TEST_CASE("Frechet mean: rows that are not unit are named; weights of any type") {
  RowMatrix<double> x =
      rows_at_angle(RowMatrix<double>(unit_rows<double>(1, 5, 1).replicate(6, 1)), 0.7L, 2);
  const auto want = sphere::frechet_mean(x, Vector<double>(Vector<double>::LinSpaced(6, 1, 6)));
  CHECK(same_bits(sphere::frechet_mean(x, std::vector<int>{1, 2, 3, 4, 5, 6}).mean, want.mean));
  CHECK(same_bits(sphere::frechet_mean(x, std::vector<float>{1, 2, 3, 4, 5, 6}).mean, want.mean));
  x.row(3) *= 1.01;
  CHECK_THROWS_WITH_AS((void)sphere::frechet_mean(x),
                       doctest::Contains("row 3 of X has length 1.01"), std::invalid_argument);
  CHECK_NOTHROW((void)sphere::frechet_mean(x, std::vector<int>{1, 1, 1, 0, 1, 1}));
}
