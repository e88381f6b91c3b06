#include "spheremix/sphere/normalize.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("normalize keeps 4 eps per component at every scale, denormal to huge", T, float,
                   double) {
  double worst = 0;
  const int low = std::numeric_limits<T>::min_exponent, high = std::numeric_limits<T>::max_exponent;
  for (Index d = 1; d <= 70; ++d)
    for (int exponent : {low + 8, low / 2, -10, 0, 10, high / 2, high - 8}) {
      const Vector<T> x = gaussian<T>(d, std::uint32_t(d)) * std::ldexp(T(1), exponent);
      const LongVector exact = x.template cast<long double>();
      worst =
          std::max(worst, max_eps_error<T>(sphere::normalize(x), LongVector(exact / exact.norm())));
    }
  CHECK(keeps_promise(sizeof(T) == 4 ? "normalize f32 (eps)" : "normalize f64 (eps)", worst, 4));
}

TEST_CASE_TEMPLATE("denormal and largest components", T, float, double) {
  const T least = std::numeric_limits<T>::denorm_min(), most = core::largest<T>;
  Eigen::Matrix<T, 3, 1> x(3 * least, 0, 4 * least);
  CHECK(max_eps_error<T>(sphere::normalize(x), Eigen::Vector3d(0.6, 0, 0.8)) <= 4);
  x << most, most, most;
  CHECK(std::abs(sphere::normalize(x)(0) - T(0.57735026918962576451L)) <= core::epsilon<T>);
  x << least, 0, most;
  CHECK(sphere::normalize(x)(2) == 1);
}

TEST_CASE_TEMPLATE("the gradient at a denormal row is finite wherever T holds it", T, float,
                   double) {
  const T least = std::numeric_limits<T>::denorm_min(),
          small = sizeof(T) == 4 ? T(1e-10) : T(1e-30);
  RowMatrix<T> x(1, 3), g(1, 3);
  x << 3 * least, 0, 4 * least;  // 1 / |x| alone is beyond T
  g << 0, small, 0;
  const RowMatrix<T> dx = sphere::normalize_rows_vjp(x, g);
  const long double want = (long double)(small) / (5 * (long double)(least));
  CHECK(dx(0, 0) == 0);
  CHECK(relative_error((long double)(dx(0, 1)), want) < 4 * core::epsilon<T>);
  CHECK(dx(0, 2) == 0);
}

TEST_CASE("control: x / max(|x|, eps) shrinks a short vector, ours does not") {
  const Vector<float> x = gaussian<float>(8, 1) * 1e-30f;
  CHECK((x / std::max(x.norm(), 1e-12f)).norm() < 0.1f);
  CHECK(std::abs(sphere::normalize(x).norm() - 1) < 1e-6f);
}

TEST_CASE("a zero row is an error naming it, or stays zero with zero gradient on request") {
  RowMatrix<double> x = gaussian_rows<double>(4, 3, 1);
  const RowMatrix<double> g = gaussian_rows<double>(4, 3, 2);
  x.row(2).setZero();
  CHECK_THROWS_WITH_AS((void)sphere::normalize_rows(x),
                       "normalize_rows: row 2 of X is zero: it has no direction",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::normalize_rows_vjp(x, g), std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)sphere::normalize(x.row(2)),
                       "normalize: x is zero: it has no direction", std::invalid_argument);
  const auto y = sphere::normalize_rows(x, {.zero = sphere::ZeroPolicy::zero});
  const auto dx = sphere::normalize_rows_vjp(x, g, {.zero = sphere::ZeroPolicy::zero});
  CHECK(y.row(2).isZero(0));
  CHECK(dx.row(2).isZero(0));
  CHECK(std::abs(y.row(3).norm() - 1) < 1e-15);
  CHECK(sphere::normalize(x.row(2), {.zero = sphere::ZeroPolicy::zero}).isZero(0));
}

TEST_CASE_TEMPLATE("NaN and infinity spoil their own row, all of it", T, float, double) {
  for (T bad : {core::nan<T>, core::infinity<T>, -core::infinity<T>}) {
    const RowMatrix<T> clean = gaussian_rows<T>(3, 19, 1), g = gaussian_rows<T>(3, 19, 2);
    RowMatrix<T> x = clean;
    x(1, 4) = bad;
    const auto y = sphere::normalize_rows(x);
    const auto dx = sphere::normalize_rows_vjp(x, g);
    for (Index k = 0; k < 19; ++k) {
      CHECK(std::isnan(y(1, k)));
      CHECK(std::isnan(dx(1, k)));
    }
    CHECK(same_bits(y.row(0), sphere::normalize_rows(clean).row(0)));
    CHECK(same_bits(dx.row(2), sphere::normalize_rows_vjp(clean, g).row(2)));
  }
}

TEST_CASE("normalize_rows_vjp agrees with long double differences at every scale") {
  for (double scale : {1e-300, 1e-160, 1.0, 1e160, 1e300}) {
    CAPTURE(scale);
    const RowMatrix<double> x = gaussian_rows<double>(1, 9, 3) * scale,
                            g = gaussian_rows<double>(1, 9, 4);
    const LongMatrix p = x.cast<long double>(), z = g.cast<long double>();
    const LongMatrix dx = gaussian_rows<double>(1, 9, 5).cast<long double>() * (long double)(scale);
    const long double want = slope([&](long double h) {
      const LongMatrix q = p + h * dx;
      return z.row(0).dot(q.row(0) / q.norm());
    });
    const auto got = sphere::normalize_rows_vjp(x, g);
    const long double along = got.cast<long double>().row(0).dot(dx.row(0));
    CHECK(relative_error(along, want) < 1e-12);
    CHECK(std::abs(double(got.cast<long double>().row(0).dot(p.row(0)))) < 1e-14);
  }
}

TEST_CASE(
    "normalize_rows takes blocks, maps, transposes and writes in place; a shifted overlap is an "
    "error") {
  const RowMatrix<float> x = gaussian_rows<float>(6, 8, 1), want = sphere::normalize_rows(x);
  const Eigen::MatrixXf columns = x;
  CHECK(same_bits(sphere::normalize_rows(columns), want));
  CHECK(same_bits(sphere::normalize_rows(Eigen::MatrixXf(x.transpose()).transpose()), want));
  CHECK(same_bits(sphere::normalize_rows(x.middleRows(2, 3)), want.middleRows(2, 3)));
  RowMatrix<float> wide = RowMatrix<float>::Zero(6, 20), in_place = x;
  wide.middleCols(5, 8) = x;
  CHECK(same_bits(sphere::normalize_rows(wide.middleCols(5, 8)), want));
  sphere::normalize_rows(wide.middleCols(5, 8), wide.middleCols(5, 8));
  CHECK(same_bits(wide.middleCols(5, 8), want));
  CHECK(wide.leftCols(5).isZero(0));
  sphere::normalize_rows(in_place, in_place);
  CHECK(same_bits(in_place, want));
  Eigen::MatrixXf column_major_out(6, 8);
  sphere::normalize_rows(x, column_major_out);
  CHECK(same_bits(column_major_out, want));
  CHECK_THROWS_AS(sphere::normalize_rows(in_place.topRows(4), in_place.bottomRows(4)),
                  std::invalid_argument);
  Eigen::Map<RowMatrix<float>> wrong(in_place.data(), 3, 8);
  CHECK_THROWS_AS(sphere::normalize_rows(x, wrong), std::invalid_argument);
  CHECK(sphere::normalize_rows(RowMatrix<float>(0, 8)).rows() == 0);
  CHECK_THROWS_AS((void)sphere::normalize_rows_vjp(x, x.leftCols(7)), std::invalid_argument);
}
