#include "spheremix/sphere/sampling.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/differences.hpp"
#include "support/kolmogorov.hpp"
#include "support/sphere_points.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::test;

namespace {

/// The law of the angle under von Mises-Fisher: density ~ e^(kappa cos a) sin^(d-2) a, by Simpson's
/// rule.
double vmf_angle_cdf(double angle, double d, double kappa) {
  // Almost all mass lies within a few 1/sqrt(kappa) of the mean, in a shell that widens with d.
  const double reach =
      std::min(core::pi<double>, 12 * std::sqrt(std::max(1.0, d / 20) / std::max(kappa, 1e-9)));
  const double top = std::sin(std::min(reach, core::pi<double> / 2));
  const auto mass = [&](double to) {
    constexpr int n = 2000;
    double sum = 0;
    for (int k = 0; k <= n; ++k) {
      const double a = to * k / n, half = std::sin(a / 2);
      const double shell = d > 2 ? std::pow(std::sin(a) / top, d - 2) : 1.0;
      sum += (k == 0 || k == n ? 1 : k % 2 ? 4 : 2) * std::exp(-2 * kappa * half * half) * shell;
    }
    return sum * to / n;
  };
  return mass(std::min(angle, reach)) / mass(reach);
}

}  // namespace

TEST_CASE_TEMPLATE("uniform points are unit, with the moments of the uniform law", T, float,
                   double) {
  core::Philox rng(11);
  for (Index d : {1, 2, 3, 7, 64}) {
    CAPTURE(d);
    const Index n = 20000;
    const auto x = sphere::sample_uniform<T>(n, d, rng);
    CHECK(double((x.rowwise().norm().array() - 1).abs().maxCoeff()) < 4 * double(core::epsilon<T>));
    const Eigen::MatrixXd y = x.template cast<double>();
    // |mean|^2 ~ 1/n, and the covariance is I/d: five standard deviations.
    CHECK(y.colwise().mean().norm() < 5 / std::sqrt(double(n)));
    const Eigen::MatrixXd covariance = y.transpose() * y / double(n);
    CHECK((covariance - Eigen::MatrixXd::Identity(d, d) / double(d)).cwiseAbs().maxCoeff() <
          6 / (double(d) * std::sqrt(double(n))) * 1.5);
  }
}

TEST_CASE("on S^2 every coordinate of a uniform point is uniform in [-1, 1]") {
  core::Philox rng(3);
  const auto x = sphere::sample_uniform<double>(20000, 3, rng);
  for (Index k = 0; k < 3; ++k)
    CHECK(kolmogorov_distance(x.col(k), [](double w) { return (w + 1) / 2; }) <
          kolmogorov_limit(20000));
}

TEST_CASE("von Mises-Fisher angles have their law from kappa 0 to 1e8") {
  core::Philox rng(5);
  const Index n = 8000;
  for (Index d : {2, 3, 10, 200})
    for (double kappa : {0.0, 1e-8, 0.5, 10.0, 1000.0, 1e8}) {
      CAPTURE(d);
      CAPTURE(kappa);
      const Vector<double> mean = unit<double>(d, 2);
      Vector<double> w(n);
      // From the sampler's own angle: a cosine of 1 - 1e-9 has lost the digits that the law is told
      // apart by.
      for (Index i = 0; i < n; ++i) {
        core::PhiloxStream stream(17, std::uint32_t(d), std::uint64_t(i));
        const auto angle = math::von_mises_fisher_angle(double(d), kappa, stream);
        w[i] = std::atan2(angle.sine, angle.cosine);
      }
      std::sort(w.data(), w.data() + n);
      double worst = 0;
      for (Index i = 0; i < n; i += 40) {  // the CDF is an integral: at every fortieth point
        const double cdf = vmf_angle_cdf(w[i], double(d), kappa);
        worst = std::max(worst, std::abs(cdf - double(i) / double(n)));
      }
      CHECK(worst < kolmogorov_limit(n) + 2e-3);
      const auto x = sphere::sample_von_mises_fisher(mean, kappa, 200, rng);
      CHECK((x.rowwise().norm().array() - 1).abs().maxCoeff() < 4 * core::epsilon<double>);
    }
}

TEST_CASE("von Mises-Fisher draws surround their mean evenly") {
  core::Philox rng(6);
  const Vector<double> mean = unit<double>(4, 9);
  const Index n = 40000;
  const auto x = sphere::sample_von_mises_fisher(mean, 5.0, n, rng);
  const Vector<double> average = x.colwise().mean().transpose();
  const Vector<double> aside = average - average.dot(mean) * mean;
  CHECK(aside.norm() < 5 / std::sqrt(double(n)));
  // E[x.mean] = I_2(5) / I_1(5) for d = 4: 17.505614966624237 / 24.335642142450530.
  CHECK(std::abs(average.dot(mean) - 17.505614966624237 / 24.335642142450530) <
        5 * 0.25 / std::sqrt(double(n)));
}

TEST_CASE("on the line, von Mises-Fisher is a coin") {
  core::Philox rng(7);
  const Vector<double> mean = Vector<double>::Constant(1, -1.0);
  const auto x = sphere::sample_von_mises_fisher(mean, 0.5, 20000, rng);
  CHECK((x.array().abs() == 1).all());
  CHECK(std::abs(-x.mean() - std::tanh(0.5)) < 5 / std::sqrt(20000.0));
}

TEST_CASE("draws depend on seed, step and row only; float rounds double") {
  core::Philox a(1), b(1);
  const auto longer = sphere::sample_uniform<double>(3000, 5, a),
             again = sphere::sample_uniform<double>(3000, 5, a);
  CHECK(same_bits(sphere::sample_uniform<double>(10, 5, b), longer.topRows(10)));
  CHECK(!same_bits(again, longer));
  core::Philox c(1);
  CHECK((sphere::sample_uniform<float>(10, 5, c).cast<double>() - longer.topRows(10))
            .cwiseAbs()
            .maxCoeff() < 3e-7);
  const Vector<double> mean = unit<double>(5, 1);
  core::Philox e(2), f(2);
  const auto cloud = sphere::sample_von_mises_fisher(mean, 3.0, 3000, e);
  CHECK(same_bits(sphere::sample_von_mises_fisher(mean.transpose(), 3.0, 7, f), cloud.topRows(7)));
#if defined(_OPENMP)
  const int before = omp_get_max_threads();
  for (int threads : {1, 3, 8}) {
    omp_set_num_threads(threads);
    core::Philox g(1), h(2);
    CHECK(same_bits(sphere::sample_uniform<double>(3000, 5, g), longer));
    CHECK(same_bits(sphere::sample_von_mises_fisher(mean, 3.0, 3000, h), cloud));
  }
  omp_set_num_threads(before);
#endif
}

TEST_CASE("sampling errors") {
  core::Philox rng(1);
  CHECK_THROWS_AS((void)sphere::sample_uniform<float>(3, 0, rng), std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::sample_uniform<float>(-1, 2, rng), std::invalid_argument);
  const Vector<float> mean = unit<float>(3, 1);
  for (double kappa : {-1.0, core::nan<double>, core::infinity<double>})
    CHECK_THROWS_AS((void)sphere::sample_von_mises_fisher(mean, kappa, 3, rng),
                    std::invalid_argument);
  CHECK(rng.step() == 0);  // a refused call takes no step
  CHECK(sphere::sample_uniform<float>(0, 2, rng).rows() == 0);
}
