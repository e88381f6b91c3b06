// Points of the sphere are unit: the functions of single points say how long one is that is not.
#include <doctest/doctest.h>

#include <string>

#include "spheremix/mixup/linear.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/sampling.hpp"
#include "spheremix/sphere/slerp.hpp"
#include "spheremix/sphere/slerp_rows.hpp"
#include "support/differences.hpp"
#include "support/refusal.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("single points must be unit to 1e-3 of their square", T, float, double) {
  for (const Index d : {1, 2, 7, 300}) {
    CAPTURE(d);
    const Vector<T> good = unit<T>(d, 1), other = d == 1 ? good : unit<T>(d, 2),
                    g = gaussian_rows<T>(1, d, 3).row(0).transpose();
    core::Philox rng(1);
    const auto refused = [](const auto& run, const char* start) {
      const std::string text = refusal(run);
      CHECK(text.rfind(start, 0) == 0);
      CHECK(text.find("not 1") != std::string::npos);
    };
    const Vector<T> zero = Vector<T>::Zero(d);
    for (const Vector<T>& bad :
         {Vector<T>(T(1.0006) * good), Vector<T>(T(0.9994) * good), Vector<T>(T(2) * good),
          Vector<T>(T(1e-30) * good), Vector<T>(T(1e30) * good), zero}) {
      refused([&] { (void)sphere::geodesic_distance(bad, other); },
              "geodesic_distance: u has length ");
      refused([&] { (void)sphere::geodesic_distance(other, bad); },
              "geodesic_distance: v has length ");
      refused([&] { (void)sphere::slerp(bad, other, 0.3); }, "slerp: u has length ");
      refused([&] { (void)sphere::slerp(other, bad, 0.3); }, "slerp: v has length ");
      refused([&] { (void)sphere::slerp_vjp(bad, other, 0.3, g); }, "slerp_vjp: u has length ");
      refused([&] { (void)sphere::slerp_vjp(other, bad, 0.3, g); }, "slerp_vjp: v has length ");
      refused([&] { (void)sphere::tangent(bad, g); }, "tangent: x has length ");
      refused([&] { (void)sphere::exp_map(bad, g); }, "exp_map: x has length ");
      refused([&] { (void)sphere::log_map(bad, other); }, "log_map: x has length ");
      refused([&] { (void)sphere::log_map(other, bad); }, "log_map: y has length ");
      refused([&] { (void)sphere::parallel_transport(bad, other, g); },
              "parallel_transport: x has length ");
      refused([&] { (void)sphere::parallel_transport(other, bad, g); },
              "parallel_transport: y has length ");
      refused([&] { (void)sphere::sample_von_mises_fisher(bad, 3, 2, rng); },
              "sample_von_mises_fisher: mean has length ");
    }
    // Nearly unit is taken as it is, and never made unit.
    const Vector<T> near = T(1.0004) * good;
    CHECK_NOTHROW((void)sphere::geodesic_distance(near, other));
    CHECK(same_bits(sphere::slerp(near, other, 0), near));
    CHECK_NOTHROW((void)sphere::sample_von_mises_fisher(near, 3, 2, rng));
    // NaN and infinity come out as NaN, but no distribution has such a mean.
    for (const T undefined : {core::nan<T>, core::infinity<T>}) {
      Vector<T> bad = good;
      bad[d / 2] = undefined;
      CHECK(std::isnan(sphere::geodesic_distance(bad, other)));
      CHECK_FALSE(sphere::tangent(bad, g).allFinite());
      CHECK_THROWS_AS((void)sphere::sample_von_mises_fisher(bad, 3, 2, rng), std::invalid_argument);
    }
  }
  CHECK(refusal([] { (void)sphere::slerp(Eigen::Vector2d(3, 4), Eigen::Vector2d(0, 1), 0.5); }) ==
        "slerp: u has length 5, not 1: it is no point of the sphere");
}

TEST_CASE_TEMPLATE("rows without components have no direction", T, float, double) {
  const Vector<T> none(0);
  const RowMatrix<T> rows(3, 0), empty(0, 0), wide(0, 4);
  for (const auto zero : {sphere::ZeroPolicy::error, sphere::ZeroPolicy::zero}) {
    CHECK_THROWS_AS((void)sphere::normalize(none, {zero}), std::invalid_argument);
    CHECK_THROWS_AS((void)sphere::normalize_rows(rows, {zero}), std::invalid_argument);
    CHECK_THROWS_AS((void)sphere::normalize_rows_vjp(rows, rows, {zero}), std::invalid_argument);
    CHECK(sphere::normalize_rows(empty, {zero}).rows() == 0);
    CHECK(sphere::normalize_rows(wide, {zero}).cols() == 4);
  }
  CHECK_THROWS_AS((void)sphere::geodesic_distance(none, none), std::invalid_argument);
}

TEST_CASE("t and lambda of any vector and any type") {
  const RowMatrix<float> u = unit_rows<float>(3, 5, 1), v = unit_rows<float>(3, 5, 2);
  const Eigen::Vector3f each(0.25f, 0.5f, 1);
  const std::vector<double> wide{0.25, 0.5, 1};
  CHECK(same_bits(sphere::slerp_rows(u, v, wide), sphere::slerp_rows(u, v, each)));
  CHECK(same_bits(sphere::slerp_rows(u, v, std::vector<int>{0, 1, 2}),
                  sphere::slerp_rows(u, v, Eigen::Vector3f(0, 1, 2))));
  CHECK(same_bits(mixup::linear(u, v, wide), mixup::linear(u, v, each)));
  const auto a = sphere::slerp_rows_vjp(u, v, wide, u), b = sphere::slerp_rows_vjp(u, v, each, u);
  CHECK(same_bits(a.u, b.u));
  CHECK(same_bits(a.t, b.t));
  CHECK_THROWS_AS((void)mixup::linear(u, v, std::vector<double>{0, 1.5, 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)mixup::linear(u, v, std::vector<double>{0, core::nan<double>, 0}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp_rows(u, v, std::vector<double>{0, 1e300, 0}),
                  std::invalid_argument);
}
