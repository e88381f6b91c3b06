#include "spheremix/mixup/beta.hpp"

#include <doctest/doctest.h>

#include "support/differences.hpp"
#include "support/kolmogorov.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE("Beta draws follow the laws that have a closed form") {
  core::Philox rng(21);
  const Index n = 40000;
  const auto distance = [&](double a, double b, auto cdf) {
    return kolmogorov_distance(mixup::beta<double>(n, a, b, rng), cdf);
  };
  const double limit = kolmogorov_limit(n);
  CHECK(distance(1, 1, [](double x) { return x; }) < limit);
  CHECK(distance(0.5, 0.5,
                 [](double x) { return 2 / core::pi<double> * std::asin(std::sqrt(x)); }) < limit);
  CHECK(distance(2, 2, [](double x) { return x * x * (3 - 2 * x); }) < limit);
  CHECK(distance(3, 1, [](double x) { return x * x * x; }) < limit);
  CHECK(distance(0.1, 1, [](double x) { return std::pow(x, 0.1); }) < limit);
  CHECK(distance(1, 0.2, [](double x) { return 1 - std::pow(1 - x, 0.2); }) < limit);
  CHECK(distance(2, 8, [](double x) { return 1 - std::pow(1 - x, 8) * (1 + 8 * x); }) <
        limit + 1e-12);
}

TEST_CASE("Beta moments from tiny to huge parameters") {
  core::Philox rng(22);
  const Index n = 20000;
  for (double a : {0.01, 0.1, 0.5, 5.0, 1e4, 1e16, 1e32})
    for (double ratio : {1.0, 3.0}) {
      const double b = a * ratio, mean = a / (a + b), variance = mean * (1 - mean) / (a + b + 1);
      CAPTURE(a);
      CAPTURE(b);
      const Eigen::ArrayXd x = mixup::beta<double>(n, a, b, rng).array() - mean;
      CHECK(std::abs(x.mean()) < 5 * std::sqrt(variance / n) + 1e-15);
      if (a < 1e17) CHECK(std::abs(x.square().mean() / variance - 1) < (a < 0.05 ? 0.2 : 0.08));
    }
}

TEST_CASE("Beta(.1, .1): exact ends as often as theory says, and no NaN") {
  core::Philox rng(23);
  const Index n = 100000;
  const auto singles = mixup::beta<float>(n, 0.1, 0.1, rng);
  const auto doubles = mixup::beta<double>(n, 0.1, 0.1, rng);
  CHECK(std::abs((singles.array() == 1).cast<double>().mean() - 0.0897) < 0.005);
  CHECK(std::abs((doubles.array() == 1).cast<double>().mean() - 0.0120) < 0.002);
  CHECK((singles.array() >= 0 && singles.array() <= 1).all());
  CHECK((doubles.array() >= 0 && doubles.array() <= 1).all());
}

TEST_CASE("Beta with parameters that vanish is a coin, never NaN") {
  core::Philox rng(24);
  for (double a : {1e-5, 1e-100, 1e-110, 1e-300, 4.9e-324}) {
    CAPTURE(a);
    const auto x = mixup::beta<double>(4000, a, a, rng);
    CHECK(!x.hasNaN());
    CHECK((x.array() == 0 || x.array() == 1).cast<double>().mean() > 0.99);
    CHECK(std::abs(x.mean() - 0.5) < 0.05);
  }
  CHECK(std::abs(mixup::beta<double>(4000, 3e-200, 1e-200, rng).mean() - 0.75) < 0.05);
  CHECK((mixup::beta<double>(100, 1e-310, 1, rng).array() == 0).all());
  CHECK((mixup::beta<double>(100, 1e300, 1e-3, rng).array() == 1).all());
}

TEST_CASE("draws depend on seed, step and index only") {
  core::Philox a(1), b(1), c(1);
  const auto longer = mixup::beta<double>(5000, 0.4, 0.7, a);
  CHECK(same_bits(mixup::beta<double>(50, 0.4, 0.7, b), longer.head(50)));
  CHECK(!same_bits(mixup::beta<double>(50, 0.4, 0.7, b), longer.head(50)));
  CHECK(same_bits(mixup::beta<float>(50, 0.4, 0.7, c), longer.head(50).cast<float>()));
  Eigen::RowVectorXf row(50);
  core::Philox d(1);
  mixup::beta(50, 0.4, 0.7, d, row);
  CHECK(same_bits(row.transpose(), longer.head(50).cast<float>()));
#if defined(_OPENMP)
  const int before = omp_get_max_threads();
  for (int threads : {1, 3, 8}) {
    omp_set_num_threads(threads);
    core::Philox e(1);
    CHECK(same_bits(mixup::beta<double>(5000, 0.4, 0.7, e), longer));
  }
  omp_set_num_threads(before);
#endif
}

TEST_CASE("Beta parameters are checked") {
  core::Philox rng(1);
  for (double bad : {0.0, -1.0, core::nan<double>, core::infinity<double>}) {
    CHECK_THROWS_AS((void)mixup::beta<float>(3, bad, 1, rng), std::invalid_argument);
    CHECK_THROWS_AS((void)mixup::beta<float>(3, 1, bad, rng), std::invalid_argument);
  }
  CHECK_THROWS_AS((void)mixup::beta<float>(-1, 1, 1, rng), std::invalid_argument);
  CHECK(mixup::beta<float>(0, 1, 1, rng).size() == 0);
}
