// Kolmogorov's distance between a sample and a law.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "spheremix/core/eigen.hpp"

namespace spheremix::test {

/// max |empirical - cdf|.
template <class X, class F>
double kolmogorov_distance(const Eigen::MatrixBase<X>& sample, const F& cdf) {
  std::vector<double> x(static_cast<std::size_t>(sample.size()));
  for (Index i = 0; i < sample.size(); ++i) x[std::size_t(i)] = double(sample.derived()(i));
  std::sort(x.begin(), x.end());
  const double n = double(x.size());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = cdf(x[i]);
    worst = std::max({worst, std::abs(f - double(i) / n), std::abs(f - double(i + 1) / n)});
  }
  return worst;
}

/// A distance that a right sampler exceeds once in a million: sqrt(-log(1e-6 / 2) / (2 n)).
inline double kolmogorov_limit(Index n) { return std::sqrt(-std::log(5e-7) / (2 * double(n))); }

}  // namespace spheremix::test
