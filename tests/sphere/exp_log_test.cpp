#include "spheremix/sphere/exp_log.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "spheremix/sphere/distance.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {
constexpr long double kPi = core::pi<long double>;
}

TEST_CASE_TEMPLATE(
    "exp keeps 8 eps max(1, |v|), log 8 eps relative, transport 8 eps |v| max(1, 1/sin)", T, float,
    double) {
  double exponential = 0, logarithm = 0, transport = 0;
  for (Index d : {2, 3, 9, 64, 512})
    for (long double theta : {1e-12L, 1e-6L, 1e-2L, 0.8L, 2.0L, 3.0L, kPi - 1e-2L})
      for (std::uint32_t seed = 1; seed < 6; ++seed) {
        const double factor = std::max(1.0, double(d) / 64);
        const Vector<T> x = unit<T>(d, seed), y = at_angle(x, theta, seed + 30),
                        w = gaussian<T>(d, seed + 60);
        const LongVector p = x.template cast<long double>(), z = w.template cast<long double>();

        const LongVector t = z - p.dot(z) * p;  // x as it is: what the projection formula says
        const long double n = t.norm();
        const LongVector far = std::cos(n) * p + (std::sin(n) / n) * t;
        exponential = std::max(
            exponential,
            max_eps_error<T>(sphere::exp_map(x, w), far, std::max(1.0L, z.norm())) / factor);

        const LongArc arc(x, y);
        if (sizeof(T) == 4 && arc.theta < 1e-5L) continue;
        const Vector<T> log = sphere::log_map(x, y);
        logarithm = std::max(logarithm, max_eps_error<T>(log, arc.log(), arc.theta) / factor);

        const LongVector carried = t - 2 * arc.e1.dot(t) * arc.e1;
        const long double scale =
            z.norm() * std::max(1.0L, theta > 1 ? 1 / std::sin(arc.theta) : 1.0L);
        transport = std::max(
            transport,
            max_eps_error<T>(sphere::parallel_transport(x, y, w), carried, scale) / factor);
      }
  CHECK(keeps_promise(sizeof(T) == 4 ? "exp f32 (eps)" : "exp f64 (eps)", exponential, 8));
  CHECK(keeps_promise(sizeof(T) == 4 ? "log f32 (eps relative)" : "log f64 (eps relative)",
                      logarithm, 8));
  CHECK(
      keeps_promise(sizeof(T) == 4 ? "transport f32 (eps)" : "transport f64 (eps)", transport, 8));
}

TEST_CASE("exp and log undo each other; log's length is the distance; transport is an isometry") {
  for (double theta : {1e-9, 0.2, 1.5, 3.1}) {
    CAPTURE(theta);
    const Vector<double> x = unit<double>(10, 1), y = at_angle(x, theta, 2);
    const Vector<double> v = sphere::log_map(x, y);
    CHECK((sphere::exp_map(x, v) - y).norm() < 1e-14);
    CHECK(relative_error(v.norm(), sphere::geodesic_distance(x, y)) < 1e-14);
    CHECK(std::abs(v.dot(x)) < 1e-15 * (1 + theta));
    const Vector<double> a = sphere::tangent(x, gaussian<double>(10, 3)),
                         b = sphere::tangent(x, gaussian<double>(10, 4));
    const Vector<double> ta = sphere::parallel_transport(x, y, a),
                         tb = sphere::parallel_transport(x, y, b);
    CHECK(std::abs(ta.dot(tb) - a.dot(b)) < 1e-13);
    CHECK(std::abs(ta.dot(y)) < 1e-13);
    CHECK((sphere::parallel_transport(y, x, ta) - a).norm() < 1e-13);
    // The direction of travel is carried to the direction of travel.
    CHECK((sphere::parallel_transport(x, y, v) + sphere::log_map(y, x)).norm() < 1e-13);
  }
}

TEST_CASE("exp and log at zero, transport to the same point, tangent") {
  const Vector<double> x = unit<double>(6, 1), zero = Vector<double>::Zero(6),
                       v = gaussian<double>(6, 2);
  CHECK(same_bits(sphere::exp_map(x, zero), x));
  CHECK(sphere::log_map(x, x).isZero(0));
  const Vector<double> t = sphere::tangent(x, v);
  CHECK(std::abs(t.dot(x)) < 1e-15);
  CHECK((sphere::parallel_transport(x, x, v) - t).norm() < 1e-15);
  CHECK((sphere::exp_map(x, v) - sphere::exp_map(x, t)).norm() < 1e-15);  // v is projected
  const Vector<double> tiny = t * 1e-200;
  CHECK((sphere::exp_map(x, tiny) - x).norm() == 0);
  const Vector<double> around = t / t.norm() * core::pi<double>;
  CHECK((sphere::exp_map(x, around) + x).norm() < 1e-15);
}

TEST_CASE("the antipode is an error in log and transport, and sizes are checked") {
  const Vector<double> x = unit<double>(6, 1), y = -x, v = gaussian<double>(6, 2),
                       w = gaussian<double>(5, 2);
  CHECK_THROWS_WITH_AS((void)sphere::log_map(x, y),
                       "log_map: y is antipodal to x: no direction leads to it more than another",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::parallel_transport(x, y, v), std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)sphere::tangent(x, w), "tangent: x has 6 elements but g has 5",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::exp_map(x, w), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::log_map(w, x), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::parallel_transport(x, x, w), std::invalid_argument);
  CHECK(sphere::log_map(x, Vector<double>(y * core::nan<double>)).hasNaN());
}

TEST_CASE("tangent, exp, log and transport take any orientation and write in place") {
  const Vector<float> x = unit<float>(6, 1), y = unit<float>(6, 2), v = gaussian<float>(6, 3);
  const auto rows = [](const auto& z) { return Eigen::RowVectorXf(z.transpose()); };
  CHECK(same_bits(sphere::tangent(rows(x), v), rows(sphere::tangent(x, v))));
  CHECK(same_bits(sphere::exp_map(rows(x), v), rows(sphere::exp_map(x, v))));
  CHECK(same_bits(sphere::log_map(x, rows(y)), sphere::log_map(x, y)));
  CHECK(same_bits(sphere::parallel_transport(x, rows(y), rows(v)),
                  sphere::parallel_transport(x, y, v)));
  Vector<float> w = v;
  sphere::tangent(x, w, w);
  CHECK(same_bits(w, sphere::tangent(x, v)));
  w = v;
  sphere::exp_map(x, w, w);
  CHECK(same_bits(w, sphere::exp_map(x, v)));
  w = y;
  sphere::log_map(x, w, w);
  CHECK(same_bits(w, sphere::log_map(x, y)));
  w = v;
  sphere::parallel_transport(x, y, w, w);
  CHECK(same_bits(w, sphere::parallel_transport(x, y, v)));
  Vector<float> longer(7);
  longer << x, 0;
  CHECK_THROWS_AS(sphere::tangent(longer.head(6), v, longer.tail(6)), std::invalid_argument);
}
