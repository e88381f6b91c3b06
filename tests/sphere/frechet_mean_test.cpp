#include "spheremix/sphere/frechet_mean.hpp"

#include <doctest/doctest.h>

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
