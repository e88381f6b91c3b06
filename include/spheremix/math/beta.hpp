// Beta(a, b) draws in log space, right for every a, b > 0:
//
//   lambda = 1 / (1 + exp(log B - log A)),   A ~ Gamma(a), B ~ Gamma(b)
//   for a < 1:  log Gamma(a) = log Gamma(a + 1) + log(U) / a, which cannot underflow
//
// Where a and b are so small that both logarithms overflow (below 3e-103) the law is
// Bernoulli(a / (a + b)) to the last digit. lambda may be exactly 0 or 1: 9 in 100 draws of
// Beta(.1, .1) round to 1 in float. In double whatever the result's type.
// [Marsaglia and Tsang 2000, "A simple method for generating gamma variables"]
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/math/normal.hpp"

namespace spheremix::math {

/// x^2/2 + d (1 - v + log v) with v = (1 + y)^3, y = x / (3 sqrt(d)): log of the acceptance
/// probability. The first three powers of y cancel; where y is small (d large) the series of what
/// is left replaces the difference.
SPHEREMIX_HD inline double gamma_exponent(double d, double x, double y, double log_v) {
  if (y < 0.01 && y > -0.01) {
    double sum = 0;
    for (int k = 11; k >= 4; --k) sum = (k % 2 ? 3.0 : -3.0) / k + y * sum;
    return d * y * y * y * y * sum;
  }
  return 0.5 * x * x + d * (log_v - y * (3 + y * (3 + y)));
}

/// log of a Gamma(shape, 1) draw, shape > 0.
SPHEREMIX_HD inline double log_gamma_draw(double shape, core::PhiloxStream& stream) {
  const double boosted = shape < 1 ? shape + 1 : shape;
  const double d = boosted - 1.0 / 3, c = 1 / (3 * std::sqrt(d));
  double value;
  for (;;) {
    const double x = normal_pair(stream).x;
    const double u = stream.uniform<double>();
    if (!(c * x > -1)) continue;
    const double y = c * x, log_v = 3 * std::log1p(y);
    if (std::log(u) < gamma_exponent(d, x, y, log_v)) {
      value = std::log(d) + log_v;
      break;
    }
  }
  return shape < 1 ? value + std::log(stream.uniform<double>()) / shape : value;
}

/// log(B / A) for A ~ Gamma(a), B ~ Gamma(b): Z = 1/(1 + e^r) is Beta(a, b) and
/// 1 - Z = 1/(1 + e^-r).
SPHEREMIX_HD inline double beta_log_odds(double a, double b, core::PhiloxStream& stream) {
  if (a < 3e-103 && b < 3e-103) {
    const double larger = a > b ? a : b;  // a + b may be denormal
    const double share = (a / larger) / (a / larger + b / larger);
    return stream.uniform<double>() < share ? -core::infinity<double> : core::infinity<double>;
  }
  const double log_a = log_gamma_draw(a, stream);
  return log_gamma_draw(b, stream) - log_a;
}

/// A Beta(a, b) draw, a, b > 0 and finite.
SPHEREMIX_HD inline double beta_draw(double a, double b, core::PhiloxStream& stream) {
  return 1 / (1 + std::exp(beta_log_odds(a, b, stream)));
}

}  // namespace spheremix::math
