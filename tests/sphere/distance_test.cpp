#include "spheremix/sphere/distance.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "spheremix/sphere/distance_matrix.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {
constexpr long double kPi = core::pi<long double>;
}

TEST_CASE_TEMPLATE("the distance keeps 8 eps relative from 1e-12 to pi - 1e-12", T, float, double) {
  double worst = 0;
  // Exact angles: points with two components.
  for (long double theta : {1e-12L, 1e-9L, 1e-6L, 1e-3L, 0.1L, 1.0L, 1.5L, 2.0L, 3.0L})
    for (int mirrored : {0, 1}) {
      Vector<T> u = Vector<T>::Zero(5), v = Vector<T>::Zero(5);
      u[1] = 1;
      v[1] = T(std::cos(theta));
      v[3] = T(std::sin(theta));
      if (mirrored) v[1] = -v[1];
      const long double want = std::atan2((long double)(v[3]), (long double)(v[1]));
      worst = std::max(
          worst, relative_error(sphere::geodesic_distance(u, v), want) / double(core::epsilon<T>));
    }
  // Random points against Gram-Schmidt in long double; the angle is the one the rounded points
  // have.
  for (Index d : {2, 3, 17, 64, 512})
    for (long double theta : {1e-12L, 1e-8L, 1e-5L, 1e-2L, 1.0L, 3.0L, kPi - 1e-5L})
      for (std::uint32_t seed = 1; seed < 6; ++seed) {
        const Vector<T> u = unit<T>(d, seed), v = at_angle(u, theta, seed + 9);
        const LongArc arc(u, v);
        if (sizeof(T) == 4 && (arc.theta < 1e-6L)) continue;  // equal or one rounding apart
        worst = std::max(worst, relative_error(sphere::geodesic_distance(u, v), arc.theta) /
                                    (double(core::epsilon<T>) * std::max(1.0, double(d) / 64)));
      }
  CHECK(keeps_promise(
      sizeof(T) == 4 ? "distance f32 (eps relative)" : "distance f64 (eps relative)", worst, 8));
}

TEST_CASE("control: acos of the dot product has no digits left at 1e-9") {
  const Vector<double> u = unit<double>(64, 1), v = at_angle(u, 1e-9L, 2);
  const double want = double(LongArc(u, v).theta), naive = std::acos(std::min(1.0, u.dot(v)));
  CHECK(relative_error(naive, want) > 0.5);
  CHECK(relative_error(sphere::geodesic_distance(u, v), want) < 1e-14);
}

TEST_CASE_TEMPLATE("distances are symmetric bit for bit, 0 for equal and pi for opposite points", T,
                   float, double) {
  for (std::uint32_t seed = 1; seed < 30; ++seed) {
    const Vector<T> u = unit<T>(13, seed), v = at_angle(u, 0.1L * seed, seed + 40), opposite = -u;
    CHECK(sphere::geodesic_distance(u, v) == sphere::geodesic_distance(v, u));
    CHECK(sphere::geodesic_distance(u, u) == 0);
    CHECK(sphere::geodesic_distance(u, opposite) == core::pi<T>);
  }
  // Differences whose squares vanish.
  Vector<T> e = Vector<T>::Zero(4), f = e;
  e[0] = f[0] = 1;
  f[2] = sizeof(T) == 4 ? T(1e-30L) : T(1e-290L);
  CHECK(relative_error(sphere::geodesic_distance(e, f), f[2]) < 4 * double(core::epsilon<T>));
  f[0] = -1;
  CHECK(sphere::geodesic_distance(e, f) == core::pi<T>);
}

TEST_CASE("the distance's gradient agrees with long double differences and is 0 at 0 and pi") {
  for (long double theta : {1e-8L, 0.3L, 2.0L, kPi - 1e-4L}) {
    CAPTURE(double(theta));
    const RowMatrix<double> u = unit_rows<double>(1, 6, 1), v = rows_at_angle(u, theta, 2);
    const LongVector x = u.row(0).transpose().cast<long double>(),
                     y = v.row(0).transpose().cast<long double>();
    const LongVector dx = tangent_part(x, gaussian<double>(6, 3).cast<long double>());
    const LongVector dy = tangent_part(y, gaussian<double>(6, 4).cast<long double>());
    const auto value = [&](long double a, long double b) {
      const LongVector p = x + a * dx, q = y + b * dy;
      return LongArc(LongVector(p / p.norm()), LongVector(q / q.norm())).theta;
    };
    const auto got = sphere::geodesic_distance_rows_vjp(u, v, Vector<double>::Constant(1, 2.5));
    const long double h = 3e-3L * std::min({0.1L, theta, kPi - theta});
    CHECK(std::abs(got.u.row(0).dot(dx.cast<double>()) -
                   2.5 * double(slope([&](auto e) { return value(e, 0); }, h))) < 1e-8);
    CHECK(std::abs(got.v.row(0).dot(dy.cast<double>()) -
                   2.5 * double(slope([&](auto e) { return value(0, e); }, h))) < 1e-8);
    CHECK(std::abs(got.u.norm() - 2.5) < 1e-14);
    CHECK(std::abs(got.u.row(0).dot(u.row(0))) < 1e-14);
  }
  RowMatrix<double> u = unit_rows<double>(2, 6, 1), v = u;
  v.row(1) = -u.row(1);
  const auto flat = sphere::geodesic_distance_rows_vjp(u, v, Vector<double>::Ones(2));
  CHECK(flat.u.isZero(0));
  CHECK(flat.v.isZero(0));
}

TEST_CASE("distance rows: NaN stays in its row, sizes are checked, buffers are filled") {
  const RowMatrix<float> u = unit_rows<float>(5, 9, 1);
  RowMatrix<float> v = unit_rows<float>(5, 9, 2);
  v(3, 8) = core::nan<float>;
  const Vector<float> theta = sphere::geodesic_distance_rows(u, v);
  for (Index i = 0; i < 5; ++i) {
    if (i == 3)
      CHECK(std::isnan(theta[i]));
    else
      CHECK(theta[i] == sphere::geodesic_distance(u.row(i), v.row(i).transpose()));
  }
  Eigen::RowVectorXf row(5);
  sphere::geodesic_distance_rows(u, v, row);
  CHECK(same_bits(row.transpose(), theta));
  CHECK_THROWS_WITH_AS((void)sphere::geodesic_distance_rows(u, v.leftCols(8)),
                       "geodesic_distance_rows: U is 5 x 9 but V is 5 x 8", std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::geodesic_distance_rows_vjp(u, v, Vector<float>::Ones(4)),
                  std::invalid_argument);
  sphere::DistanceGradient<RowMatrix<float>> both{u, v};
  const auto want = sphere::geodesic_distance_rows_vjp(u, v, theta);
  sphere::geodesic_distance_rows_vjp(both.u, both.v, theta, both);  // in place
  CHECK(same_bits(both.u, want.u));
  CHECK(same_bits(both.v, want.v));
}

TEST_CASE_TEMPLATE(
    "the table of angles keeps 8 eps relative, near-duplicates and near-antipodes too", T, float,
    double) {
  double worst = 0;
  for (Index d : {1, 2, 3, 64, 130}) {
    const RowMatrix<T> u = unit_rows<T>(67, d, 1);
    RowMatrix<T> v = unit_rows<T>(301, d, 2);
    for (Index i = 0; i < 20; ++i) {
      v.row(i) = u.row(i);
      if (d > 1) {
        v.row(20 + i) = at_angle(Vector<T>(u.row(i).transpose()), 1e-4L, 5).transpose();
        v.row(140 + i) =  // alone in their chunk of 64: nothing else there asks for a second look
            -at_angle(Vector<T>(u.row(i).transpose()), i % 2 ? 1e-2L : 1e-3L, 6).transpose();
        v.row(60 + i) =
            at_angle(Vector<T>(u.row(i).transpose()), 0.5548L, 7).transpose();  // cos = .85
      }
    }
    const auto table = sphere::geodesic_distance_matrix(u, v);
    REQUIRE(table.rows() == 67);
    REQUIRE(table.cols() == 301);
    for (Index i = 0; i < 67; ++i)
      for (Index j = 0; j < 301; ++j) {
        const long double want = LongArc(u.row(i).transpose(), v.row(j).transpose()).theta;
        if (want < 1e-6L) {
          CHECK(table(i, j) < 1e-6);
          continue;
        }
        worst = std::max(worst, relative_error(table(i, j), want) /
                                    (double(core::epsilon<T>) * std::max(1.0, double(d) / 64)));
      }
    for (Index i = 0; i < 20; ++i) CHECK(table(i, i) == 0);
  }
  CHECK(keeps_promise(
      sizeof(T) == 4 ? "angle table f32 (eps relative)" : "angle table f64 (eps relative)", worst,
      8));
}

TEST_CASE_TEMPLATE(
    "the table of angles has the same bits from any number of threads and in any block", T, float,
    double) {
  const Index n = 300, m = 1100, d = 24;
  const RowMatrix<T> u = unit_rows<T>(n, d, 3);
  RowMatrix<T> v = unit_rows<T>(m, d, 4);
  for (const Index j : {Index(0), Index(63), Index(64), Index(511), Index(512), Index(575), m - 1})
    v.row(j) = u.row(j % n);  // at the edges of chunks and blocks
  RowMatrix<T> one;
  {
    const Threads threads(1);
    one = sphere::geodesic_distance_matrix(u, v);
  }
  for (const Index j : {Index(0), Index(63), Index(64), Index(511), Index(512), Index(575), m - 1})
    CHECK(one(j % n, j) == 0);
  for (const int count : {2, 3, 8}) {
    const Threads threads(count);
    CHECK(same_bits(sphere::geodesic_distance_matrix(u, v), one));
  }
  CHECK(same_bits(sphere::geodesic_distance_matrix(u.bottomRows(201), v.middleRows(7, 530)),
                  one.bottomRows(201).middleCols(7, 530)));
}

TEST_CASE("the table of angles: NaN in its entries only, empty batches, sizes") {
  RowMatrix<double> u = unit_rows<double>(5, 4, 1), v = unit_rows<double>(3, 4, 2);
  const auto clean = sphere::geodesic_distance_matrix(u, v);
  u(2, 1) = core::nan<double>;
  const auto table = sphere::geodesic_distance_matrix(u, v);
  for (Index i = 0; i < 5; ++i)
    for (Index j = 0; j < 3; ++j)
      CHECK((i == 2 ? std::isnan(table(i, j)) : table(i, j) == clean(i, j)));
  CHECK(sphere::geodesic_distance_matrix(RowMatrix<double>(0, 4), v).rows() == 0);
  CHECK(sphere::geodesic_distance_matrix(u, RowMatrix<double>(0, 4)).cols() == 0);
  CHECK_THROWS_AS((void)sphere::geodesic_distance_matrix(u, RowMatrix<double>(3, 5)),
                  std::invalid_argument);
}
