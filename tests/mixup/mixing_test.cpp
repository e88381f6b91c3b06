#include <doctest/doctest.h>

#include <algorithm>

#include "spheremix/mixup/beta.hpp"
#include "spheremix/mixup/geodesic.hpp"
#include "spheremix/mixup/linear.hpp"
#include "spheremix/mixup/partners.hpp"
#include "spheremix/sphere/slerp_rows.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("geodesic puts weight lambda on the first argument", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(6, 17, 1), y = unit_rows<T>(6, 17, 2);
  CHECK(same_bits(mixup::geodesic(x, y, 1), x));
  CHECK(same_bits(mixup::geodesic(x, y, 0), y));
  double worst = 0;
  for (double lambda : {1e-9, 0.1, 0.5, 0.75}) {
    const auto m = mixup::geodesic(x, y, lambda);
    for (Index i = 0; i < 6; ++i) {
      const LongArc arc(x.row(i).transpose(), y.row(i).transpose());
      worst = std::max(
          worst, max_eps_error<T>(m.row(i).transpose(), arc.slerp(1 - (long double)(T(lambda)))));
      // The formula of the paper, at an angle where it has its digits.
      const long double s = std::sin(arc.theta), l = (long double)(T(lambda));
      const LongVector paper =
          std::sin(l * arc.theta) / s * x.row(i).transpose().template cast<long double>() +
          std::sin((1 - l) * arc.theta) / s * y.row(i).transpose().template cast<long double>();
      CHECK(max_eps_error<T>(m.row(i).transpose(), paper) < 8);
    }
  }
  CHECK(worst < 8);
  // The harder end of m2-Mix: half way is the normalised midpoint.
  const auto middle = mixup::geodesic(x, y, 0.5);
  const RowMatrix<T> sum = x + y;
  for (Index i = 0; i < 6; ++i)
    CHECK((middle.row(i) - sum.row(i) / sum.row(i).norm()).norm() < 4 * core::epsilon<T>);
}

TEST_CASE(
    "a row that is its own partner comes back unchanged, with gradients lambda P g and (1 - "
    "lambda) P g") {
  const RowMatrix<float> x = unit_rows<float>(5, 12, 1), g = gaussian_rows<float>(5, 12, 2);
  const auto partner = mixup::flip_partners(5);
  RowMatrix<float> y(5, 12);
  for (Index i = 0; i < 5; ++i) y.row(i) = x.row(partner[std::size_t(i)]);
  const Vector<float> lambda = Vector<float>::Constant(5, 0.3f);
  CHECK(same_bits(mixup::geodesic(x, y, lambda).row(2), x.row(2)));
  CHECK(same_bits(mixup::linear(x, y, lambda).row(2), x.row(2)));
  const auto grad = mixup::geodesic_vjp(x, y, lambda, g);
  const Eigen::RowVectorXf p = g.row(2) - g.row(2).dot(x.row(2)) * x.row(2);
  CHECK((grad.x.row(2) - 0.3f * p).norm() < 1e-6f);
  CHECK((grad.y.row(2) - 0.7f * p).norm() < 1e-6f);
  CHECK(grad.lambda[2] == 0);
}

TEST_CASE("mixing gradients agree with long double differences") {
  for (bool geodesic : {true, false})
    for (double lambda : {0.0, 0.2, 1.0}) {
      CAPTURE(geodesic);
      CAPTURE(lambda);
      const Index n = 4, d = 6;
      const RowMatrix<double> x = unit_rows<double>(n, d, 1), y = rows_at_angle(x, 1.3L, 2);
      const RowMatrix<double> g = gaussian_rows<double>(n, d, 3);
      LongMatrix dx = gaussian_rows<double>(n, d, 4).cast<long double>();
      LongMatrix dy = gaussian_rows<double>(n, d, 5).cast<long double>();
      const LongMatrix p = x.cast<long double>(), q = y.cast<long double>(),
                       z = g.cast<long double>();
      if (geodesic)
        for (Index i = 0; i < n; ++i) {
          dx.row(i) = tangent_part(p.row(i).transpose(), dx.row(i).transpose()).transpose();
          dy.row(i) = tangent_part(q.row(i).transpose(), dy.row(i).transpose()).transpose();
        }
      const auto value = [&](long double a, long double b, long double c) {
        long double sum = 0;
        for (Index i = 0; i < n; ++i) {
          LongVector u = (p.row(i) + a * dx.row(i)).transpose(),
                     v = (q.row(i) + b * dy.row(i)).transpose();
          const long double l = (long double)(lambda) + c;
          if (geodesic)
            sum += z.row(i).transpose().dot(LongArc(u / u.norm(), v / v.norm()).slerp(1 - l));
          else
            sum += z.row(i).transpose().dot(l * u + (1 - l) * v);
        }
        return sum;
      };
      const auto got =
          geodesic ? mixup::geodesic_vjp(x, y, lambda, g) : mixup::linear_vjp(x, y, lambda, g);
      const auto along = [&](const RowMatrix<double>& m, const LongMatrix& v) {
        return m.cast<long double>().cwiseProduct(v).sum();
      };
      CHECK(std::abs(double(along(got.x, dx) - slope([&](auto h) { return value(h, 0, 0); }))) <
            1e-11);
      CHECK(std::abs(double(along(got.y, dy) - slope([&](auto h) { return value(0, h, 0); }))) <
            1e-11);
      CHECK(std::abs(double((long double)(got.lambda) -
                            slope([&](auto h) { return value(0, 0, h); }))) < 1e-11);
      const Vector<double> each = Vector<double>::Constant(n, lambda);
      const auto rows =
          geodesic ? mixup::geodesic_vjp(x, y, each, g) : mixup::linear_vjp(x, y, each, g);
      CHECK(same_bits(rows.x, got.x));
      CHECK(same_bits(rows.y, got.y));
      CHECK(std::abs(rows.lambda.sum() - got.lambda) < 1e-13);
    }
}

TEST_CASE_TEMPLATE("linear mixing: exact ends, 2 eps inside, NaN where either row has one", T,
                   float, double) {
  const RowMatrix<T> x = gaussian_rows<T>(5, 11, 1), g = gaussian_rows<T>(5, 11, 3);
  RowMatrix<T> y = gaussian_rows<T>(5, 11, 2);
  CHECK(same_bits(mixup::linear(x, y, 1), x));
  CHECK(same_bits(mixup::linear(x, y, 0), y));
  const T l = T(0.37);
  const LongMatrix want = (long double)(l)*x.template cast<long double>() +
                          (1 - (long double)(l)) * y.template cast<long double>();
  CHECK(max_eps_error<T>(mixup::linear(x, y, Vector<T>::Constant(5, l)), want) < 2 * 6);
  y(2, 3) = core::nan<T>;
  for (double lambda : {0.0, 0.5, 1.0}) {
    const auto m = mixup::linear(x, y, lambda);
    CHECK(std::isnan(m(2, 3)));
    CHECK(m.topRows(2).allFinite());
  }
}

TEST_CASE("gradients are finite at the exact ends that Beta(.1, .1) draws") {
  core::Philox rng(8);
  const RowMatrix<float> x = unit_rows<float>(500, 8, 1), y = rows_at_angle(x, 1e-3L, 2);
  auto lambda = mixup::beta<float>(500, 0.1, 0.1, rng);
  REQUIRE((lambda.array() == 1).any());
  lambda[0] = 0;  // in float 1 - lambda rounds to 1 far more often than lambda to 0
  const auto grad = mixup::geodesic_vjp(x, y, lambda, x);
  CHECK(grad.x.allFinite());
  CHECK(grad.y.allFinite());
  CHECK(grad.lambda.allFinite());
}

TEST_CASE("mixing errors and buffers") {
  const RowMatrix<double> x = unit_rows<double>(4, 6, 1), y = unit_rows<double>(4, 6, 2);
  for (double bad : {-1e-9, 1.0000001, core::nan<double>}) {
    CHECK_THROWS_AS((void)mixup::geodesic(x, y, bad), std::invalid_argument);
    CHECK_THROWS_AS((void)mixup::linear(x, y, bad), std::invalid_argument);
    CHECK_THROWS_AS((void)mixup::geodesic_vjp(x, y, Vector<double>::Constant(4, bad), x),
                    std::invalid_argument);
    CHECK_THROWS_AS((void)mixup::linear_vjp(x, y, bad, x), std::invalid_argument);
  }
  CHECK_THROWS_WITH_AS((void)mixup::geodesic(x, y, 1.5), "geodesic: lambda is 1.5, outside [0, 1]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)mixup::linear(x, y.topRows(3), 0.5),
                       "linear: X is 4 x 6 but Y is 3 x 6", std::invalid_argument);
  CHECK_THROWS_AS((void)mixup::geodesic(x, RowMatrix<double>(-x), 0.5), std::invalid_argument);
  CHECK_THROWS_AS((void)mixup::geodesic(x, y, Vector<double>::Zero(3)), std::invalid_argument);
  RowMatrix<double> m = x;
  mixup::linear(m, y, 0.4, m);
  CHECK(same_bits(m, mixup::linear(x, y, 0.4)));
  m = y;
  mixup::geodesic(x, m, 0.4, m);
  CHECK(same_bits(m, mixup::geodesic(x, y, 0.4)));
  CHECK_THROWS_AS(mixup::linear(m.topRows(3), y.topRows(3), 0.4, m.bottomRows(3)),
                  std::invalid_argument);
  std::vector<double> buffer(48);
  mixup::MixGradient<Eigen::Map<RowMatrix<double>>> out{
      Eigen::Map<RowMatrix<double>>(buffer.data(), 4, 6),
      Eigen::Map<RowMatrix<double>>(buffer.data() + 24, 4, 6)};
  mixup::geodesic_vjp(x, y, 0.4, y, out);
  const auto want = mixup::geodesic_vjp(x, y, 0.4, y);
  CHECK(same_bits(out.x, want.x));
  CHECK(same_bits(out.y, want.y));
  CHECK(out.lambda == want.lambda);
  mixup::MixGradient<Eigen::Map<RowMatrix<double>>> overlapping{
      Eigen::Map<RowMatrix<double>>(buffer.data(), 4, 6),
      Eigen::Map<RowMatrix<double>>(buffer.data() + 12, 4, 6)};
  CHECK_THROWS_AS(mixup::linear_vjp(x, y, 0.4, y, overlapping), std::invalid_argument);
  CHECK(mixup::geodesic(x.topRows(0), y.topRows(0), 0.5).rows() == 0);
}
