#include "spheremix/metrics/calibration.hpp"

#include <doctest/doctest.h>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE("a worked example") {
  // Bins (.5, .6]: .55 right, .6 wrong; (.9, 1]: 1 right, .95 right, .91 wrong.
  const Vector<double> p{{0.55, 0.6, 1.0, 0.95, 0.91}};
  const Eigen::Array<bool, Eigen::Dynamic, 1> right{{true, false, true, true, false}};
  const auto bins = metrics::calibration_bins(p, right);
  REQUIRE(bins.size() == 10);
  CHECK((bins[5].count == 2 && bins[9].count == 3));
  CHECK(bins[5].accuracy == 0.5);
  CHECK(bins[5].confidence == 0.575);
  CHECK(std::abs(bins[9].accuracy - 2.0 / 3) < 1e-16);
  const double want = (2 * 0.075 + std::abs(2 - (1 + 0.95 + 0.91))) / 5;
  CHECK(std::abs(metrics::expected_calibration_error(p, right) - want) < 1e-15);
  CHECK(metrics::expected_calibration_error(bins) == metrics::expected_calibration_error(p, right));
  CHECK(std::abs(metrics::expected_calibration_error(p, right, {.bins = 1}) - (4.01 - 3) / 5) <
        1e-15);
}

TEST_CASE_TEMPLATE("an edge belongs to the bin below it, as the type rounds it", T, float, double) {
  for (const Index bins : {1, 3, 7, 10, 15, 100}) {
    for (Index b = 0; b <= bins; ++b) {
      CAPTURE(b);
      const T edge = T(double(b) / double(bins));
      const auto bin_of = [&](T p) { return formula::calibration_bin(p, bins); };
      CHECK(bin_of(edge) == std::max<Index>(0, b - 1));
      if (b < bins) CHECK(bin_of(std::nextafter(edge, T(2))) == b);
      if (b > 0) CHECK(bin_of(std::nextafter(edge, T(-1))) == b - 1);
    }
  }
}

TEST_CASE("against a sum over bins written from the definition") {
  const Index n = 5000;
  const Vector<double> noise = gaussian<double>(n, 1);
  Vector<float> p(n);
  Eigen::VectorXi right(n);
  for (Index i = 0; i < n; ++i) {
    p(i) = float(1 / (1 + std::exp(-noise(i))));
    right(i) = std::sin(double(i)) > 0.2;
  }
  long double want = 0;
  for (int b = 0; b < 10; ++b) {
    long double gap = 0;
    for (Index i = 0; i < n; ++i)
      if (p(i) > float(b / 10.0) && p(i) <= float((b + 1) / 10.0))
        gap += (long double)(right(i)) - p(i);
    want += std::abs(gap) / n;
  }
  CHECK(relative_error(metrics::expected_calibration_error(p, right), want) < 1e-14);
  CHECK(metrics::expected_calibration_error(p.transpose(), right) ==
        metrics::expected_calibration_error(p, right));
}

TEST_CASE("perfect and worst calibration, and arguments that are refused") {
  const Vector<double> sure = Vector<double>::Ones(4);
  CHECK(metrics::expected_calibration_error(sure, Eigen::VectorXi::Ones(4)) == 0);
  CHECK(metrics::expected_calibration_error(sure, Eigen::VectorXi::Zero(4)) == 1);
  CHECK(metrics::expected_calibration_error(Vector<double>::Zero(4), Eigen::VectorXi::Zero(4)) ==
        0);
  const auto refused = [](const Vector<double>& p, Index n, Index bins) {
    CHECK_THROWS_AS(
        (void)metrics::expected_calibration_error(p, Eigen::VectorXi::Ones(n), {.bins = bins}),
        std::invalid_argument);
  };
  refused(sure, 3, 10);
  refused(sure, 4, 0);
  refused(Vector<double>(0), 0, 10);
  refused(Vector<double>{{0.5, 1.0000001}}, 2, 10);
  refused(Vector<double>{{0.5, -1e-9}}, 2, 10);
  refused(Vector<double>{{0.5, core::nan<double>}}, 2, 10);
}
