#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "spheremix/math/beta.hpp"
#include "spheremix/math/normal.hpp"
#include "spheremix/math/permutation.hpp"
#include "spheremix/math/von_mises_fisher.hpp"
#include "support/kolmogorov.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE("normal pairs: law, independence of the two, one block each") {
  const Index n = 20000;
  Vector<double> x(n), y(n);
  for (Index i = 0; i < n; ++i) {
    core::PhiloxStream stream(3, 1, std::uint64_t(i));
    const auto pair = math::normal_pair(stream);
    x[i] = pair.x;
    y[i] = pair.y;
  }
  const auto cdf = [](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  CHECK(kolmogorov_distance(x, cdf) < kolmogorov_limit(n));
  CHECK(kolmogorov_distance(y, cdf) < kolmogorov_limit(n));
  CHECK(std::abs(x.dot(y)) / double(n) < 5 / std::sqrt(double(n)));
  CHECK(std::abs(x.cwiseAbs2().dot(y.cwiseAbs2()) / double(n) - 1) < 15 / std::sqrt(double(n)));
  std::set<std::uint64_t> items;
  for (std::uint64_t row = 0; row < 10; ++row)
    for (std::uint64_t p = 0; p < 4; ++p) items.insert(math::normal_item(row, 7, p));
  CHECK(items.size() == 40);  // no two pairs share a block
}

TEST_CASE("gamma acceptance exponent: its series meets the direct form, and is never positive") {
  for (double d : {100.0, 1000.0, 1e5})
    for (double x : {-3.0, -1.0, 0.5, 2.0, 4.0}) {
      const long double y = x / (3 * std::sqrt((long double)(d)));
      const long double want = 0.5L * x * x + d * (1 - std::pow(1 + y, 3) + 3 * std::log1p(y));
      const double got = math::gamma_exponent(d, x, double(y), 3 * std::log1p(double(y)));
      CHECK(std::abs(got - double(want)) < 1e-11);
      CHECK(got <= 1e-13);
    }
  CHECK(std::abs(math::gamma_exponent(1e300, 4, 4 / (3 * std::sqrt(1e300)), 0)) < 1e-12);
}

TEST_CASE("gamma draws: Gamma(1) is exponential, small shapes stay finite in the log") {
  const Index n = 20000;
  Vector<double> x(n);
  for (Index i = 0; i < n; ++i) {
    core::PhiloxStream stream(4, 2, std::uint64_t(i));
    x[i] = std::exp(math::log_gamma_draw(1, stream));
  }
  CHECK(kolmogorov_distance(x, [](double z) { return -std::expm1(-z); }) < kolmogorov_limit(n));
  core::PhiloxStream stream(5, 0, 0);
  for (int i = 0; i < 1000; ++i) CHECK(std::isfinite(math::log_gamma_draw(1e-100, stream)));
}

TEST_CASE("von Mises-Fisher angles are finite and on the circle at the ends of the range") {
  core::PhiloxStream stream(6, 0, 0);
  for (double d : {1.0, 2.0, 3.0, 512.0, 1e6})
    for (double kappa : {0.0, 1e-300, 1e-8, 1.0, 1e8, 1e200, 1e307})
      for (int i = 0; i < 20; ++i) {
        const auto angle = math::von_mises_fisher_angle(d, kappa, stream);
        CHECK(std::abs(std::hypot(angle.cosine, angle.sine) - 1) < 1e-15);
        CHECK(angle.sine >= 0);
        // theta is about sqrt(d / kappa): the sine keeps its digits where 1 - cosine has none.
        if (d > 1 && kappa > 1e7 * d)
          CHECK((angle.sine > 0 && angle.sine < 20 * std::sqrt(d / kappa)));
      }
}

TEST_CASE("permutation keys differ by item, attempt, step and seed") {
  std::set<std::uint64_t> keys;
  for (std::uint64_t item = 0; item < 100; ++item)
    for (std::uint32_t attempt = 0; attempt < 5; ++attempt)
      for (std::uint32_t step = 0; step < 4; ++step)
        for (std::uint64_t seed = 0; seed < 3; ++seed)
          keys.insert(math::permutation_key(seed, step, item, attempt));
  CHECK(keys.size() == 100 * 5 * 4 * 3);
}
