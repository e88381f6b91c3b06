#include "spheremix/sphere/slerp.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "spheremix/sphere/slerp_rows.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

constexpr long double kPi = core::pi<long double>;
constexpr long double kAngles[] = {0,    1e-12L, 1e-8L,       1e-4L,       0.01L,      0.5L,
                                   1.5L, 3.0L,   kPi - 0.01L, kPi - 1e-4L, kPi - 1e-6L};

/// The formula everyone writes first.
Vector<double> acos_slerp(const Vector<double>& u, const Vector<double>& v, double t) {
  const double theta = std::acos(u.dot(v));
  return (std::sin((1 - t) * theta) * u + std::sin(t * theta) * v) / std::sin(theta);
}

double plain_sum_factor(Index d) { return std::max(1.0, double(d) / 64); }

}  // namespace

TEST_CASE_TEMPLATE("slerp keeps 8 eps per component from equal to nearly antipodal points", T,
                   float, double) {
  double worst = 0;
  for (Index d : {1, 2, 3, 7, 8, 9, 33, 64, 512})
    for (long double theta : kAngles)
      for (std::uint32_t seed = 1; seed < 4; ++seed) {
        if (d == 1 && theta > 0) continue;
        const Vector<T> u = unit<T>(d, seed);
        const Vector<T> v = theta == 0 ? u : at_angle(u, theta, seed + 100);
        if (LongArc(u, v).theta > kPi - 1e-3L * (sizeof(T) == 4) - 1e-9L) continue;
        for (double t : {0.0, 0.1, 0.5, 0.9, 1.0, -0.5, 1.7}) {
          const LongVector want = LongArc(u, v).slerp((long double)(T(t)));
          const Vector<T> m = sphere::slerp(u, v, t);
          worst = std::max(worst, max_eps_error<T>(m, want) / plain_sum_factor(d));
        }
      }
  CHECK(keeps_promise(sizeof(T) == 4 ? "slerp f32 (eps)" : "slerp f64 (eps)", worst, 8));
}

TEST_CASE_TEMPLATE("near pi slerp is defined and on the sphere", T, float, double) {
  for (long double gap :
       {1e-3L, 1e-5L, 1e-6L, sizeof(T) == 4 ? 1e-6L : 1e-12L, sizeof(T) == 4 ? 3e-7L : 1e-15L}) {
    CAPTURE(double(gap));
    const Vector<T> u = unit<T>(16, 5), v = at_angle(u, kPi - gap, 6);
    if ((u + v).isZero(0)) continue;
    const Vector<T> m = sphere::slerp(u, v, 0.5);
    CHECK(std::abs(m.norm() - 1) < 8 * core::epsilon<T>);
    const auto g = sphere::slerp_vjp(u, v, 0.5, unit<T>(16, 7));
    CHECK(g.u.allFinite());
    CHECK(g.v.allFinite());
  }
}

TEST_CASE_TEMPLATE("slerp end points and equal points return the input's bits", T, float, double) {
  const Vector<T> u = unit<T>(33, 1), v = unit<T>(33, 2);
  CHECK(same_bits(sphere::slerp(u, v, 0), u));
  CHECK(same_bits(sphere::slerp(u, v, 1), v));
  for (double t : {0.0, 0.3, 1.0, 7.0}) CHECK(same_bits(sphere::slerp(u, u, t), u));
}

TEST_CASE("control: acos slerp fails where the midpoint frame holds") {
  int not_a_number = 0;
  double worst_acos = 0, worst = 0;
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    const Vector<double> u = unit<double>(64, seed), v = at_angle(u, 1e-9L, seed + 1000);
    if (acos_slerp(u, v, 0.3).hasNaN()) ++not_a_number;
    const Vector<double> w = at_angle(u, kPi - 1e-7L, seed + 2000);
    const LongVector want = LongArc(u, w).slerp(0.3L);
    const Vector<double> naive = acos_slerp(u, w, 0.3);
    if (!naive.hasNaN()) worst_acos = std::max(worst_acos, max_eps_error<double>(naive, want));
    worst = std::max(worst, max_eps_error<double>(sphere::slerp(u, w, 0.3), want));
  }
  CHECK(not_a_number > 20);
  CHECK(worst_acos > 1e6);
  CHECK(worst < 8);
}

TEST_CASE("slerp identities: rotation, reversal, constant speed") {
  const Vector<double> u = unit<double>(3, 1), v = unit<double>(3, 2);
  Eigen::Matrix3d r;  // a rotation by the angle with cosine 3/5, then an exchange of axes
  r << 0, 0, 1, 0.6, -0.8, 0, 0.8, 0.6, 0;
  for (double t : {0.1, 0.5, 0.8}) {
    const Vector<double> m = sphere::slerp(u, v, t);
    CHECK((sphere::slerp(Vector<double>(r * u), Vector<double>(r * v), t) - r * m).norm() < 1e-15);
    CHECK((sphere::slerp(v, u, 1 - t) - m).norm() < 1e-15);
    CHECK(std::abs(double(LongArc(u, m).theta / LongArc(u, v).theta) - t) < 1e-15);
  }
}

TEST_CASE(
    "slerp_vjp agrees with long double differences, is tangent, and is finite at lambda 0 and 1") {
  double worst = 0;
  for (Index d : {2, 3, 16})
    for (long double theta : {0.0L, 1e-8L, 1e-3L, 0.7L, 1.6L, 3.0L, kPi - 1e-4L})
      for (double t : {0.0, 0.3, 1.0, 1.4}) {
        CAPTURE(d);
        CAPTURE(double(theta));
        CAPTURE(t);
        const Vector<double> u = unit<double>(d, 1), v = theta == 0 ? u : at_angle(u, theta, 2);
        const Vector<double> g = gaussian<double>(d, 3);
        const LongVector x = u.cast<long double>(), y = v.cast<long double>(),
                         z = g.cast<long double>();
        LongVector dx = tangent_part(x, gaussian<double>(d, 4).cast<long double>());
        LongVector dy = tangent_part(y, gaussian<double>(d, 5).cast<long double>());
        dx /= std::max(1.0L, dx.norm());
        dy /= std::max(1.0L, dy.norm());
        const auto value = [&](long double a, long double b, long double c) {
          const LongVector p = x + a * dx, q = y + b * dy;
          return z.dot(LongArc(LongVector(p / p.norm()), LongVector(q / q.norm()))
                           .slerp((long double)(t) + c));
        };
        const long double h = 4e-4L * std::min(0.1L, kPi - theta);
        const auto got = sphere::slerp_vjp(u, v, t, g);
        const double scale =
            double(std::max(1.0L, 1 / std::max(std::sin(theta), 1e-4L)) * z.norm());
        const double bound = theta > 3.1L ? scale : double(z.norm()) * 3;
        const auto check = [&](double along, long double want) {
          const double error = std::abs(along - double(want)) / bound;
          worst = std::max(worst, error);
          CHECK(error < 2e-11);
        };
        check(got.u.dot(dx.cast<double>()),
              slope([&](long double e) { return value(e, 0, 0); }, h));
        check(got.v.dot(dy.cast<double>()),
              slope([&](long double e) { return value(0, e, 0); }, h));
        check(got.t, slope([&](long double e) { return value(0, 0, e); }, 1e-4L));
        CHECK(std::abs(got.u.dot(u)) < 1e-14 * bound);
        CHECK(std::abs(got.v.dot(v)) < 1e-14 * bound);
      }
  CHECK(keeps_promise("slerp_vjp f64 against differences", worst, 2e-11));
}

TEST_CASE("slerp_vjp in float keeps 16 eps |g| max(1, 1/sin theta) of the double one") {
  double worst = 0;
  for (Index d : {2, 3, 64, 512})
    for (long double theta : {0.0L, 1e-7L, 1e-3L, 0.7L, 1.6L, 3.0L, kPi - 1e-3L})
      for (std::uint32_t seed = 1; seed < 20; ++seed) {
        const Vector<float> u = unit<float>(d, seed),
                            v = theta == 0 ? u : at_angle(u, theta, seed + 50);
        const Vector<float> g = gaussian<float>(d, seed + 90);
        const double sine = std::sin(double(LongArc(u, v).theta));
        const double scale =
            double(g.norm()) * std::max(1.0, sine > 1e-6 && theta > 1 ? 1 / sine : 1.0);
        for (float t : {0.0f, 0.25f, 1.0f}) {
          const auto got = sphere::slerp_vjp(u, v, t, g);
          const auto want =
              sphere::slerp_vjp(u.cast<double>(), v.cast<double>(), t, g.cast<double>());
          for (double error : {max_eps_error<float>(got.u, want.u, scale),
                               max_eps_error<float>(got.v, want.v, scale),
                               eps_error<float>(got.t, want.t, scale * 3.2)})
            worst = std::max(worst, error / plain_sum_factor(d));
        }
      }
  CHECK(keeps_promise("slerp_vjp f32 (eps |g| max(1, 1/sin))", worst, 16));
}

TEST_CASE("antipodal points, bad sizes and bad t are errors that name what was found") {
  const Vector<double> u = unit<double>(7, 1), v = unit<double>(8, 1);
  const Vector<double> opposite = -u;
  const double nan = core::nan<double>;
  CHECK_THROWS_WITH_AS((void)sphere::slerp(u, opposite, 0.5),
                       "slerp: v is antipodal to u: no unique arc joins them",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp_vjp(u, opposite, 0.5, u), std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)sphere::slerp(u, v, 0.5), "slerp: u has 7 elements but v has 8",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp(u, u, nan), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp_vjp(u, u, 0.5, v), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp(gaussian_rows<double>(2, 2, 1), u, 0.5),
                  std::invalid_argument);
  // Antipodal as directions, of lengths that differ in the last digit: the sum is parallel to the
  // difference.
  const Vector<double> half = Vector<double>::Constant(4, 0.5),
                       longer = -half * (1 + 2 * core::epsilon<double>);
  CHECK_THROWS_AS((void)sphere::slerp(half, longer, 0.5), std::invalid_argument);
  // On the line the sphere is two points.
  const Eigen::Matrix<double, 1, 1> one(1.0), minus(-1.0);
  CHECK(sphere::slerp(one, one, 0.3)(0) == 1);
  CHECK_THROWS_AS((void)sphere::slerp(one, minus, 0.3), std::invalid_argument);
}

TEST_CASE("rows and columns may be mixed; the result is shaped as u") {
  const Vector<double> u = unit<double>(5, 1), v = unit<double>(5, 2);
  const Vector<double> want = sphere::slerp(u, v, 0.3);
  const Eigen::RowVectorXd row = sphere::slerp(u.transpose(), v, 0.3);
  CHECK(same_bits(row.transpose(), want));
  CHECK(same_bits(sphere::slerp(u, v.transpose(), 0.3), want));
  CHECK(same_bits(sphere::slerp(u.array().matrix(), (v.array() * 1).matrix(), 0.3), want));
  RowMatrix<double> table = gaussian_rows<double>(5, 4, 3);
  table.col(2) = v;
  CHECK(same_bits(sphere::slerp(u, table.col(2), 0.3), want));
  RowMatrix<double> out = RowMatrix<double>::Zero(5, 4);
  sphere::slerp(u, v, 0.3, out.col(1));
  CHECK(same_bits(out.col(1), want));
  CHECK(out.col(0).isZero(0));
}
