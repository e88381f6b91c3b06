// The angle theta of a von Mises-Fisher draw from its mean, of density
//
//   ~ e^(kappa cos theta) sin^(d-2) theta
//
// Wood's rejection from Z ~ Beta((d-1)/2, (d-1)/2) with
//
//   b = (d-1) / (2 kappa + sqrt(4 kappa^2 + (d-1)^2)),
//
// in y = (1 - Z)/Z, so that nothing cancels at kappa -> 0 (b -> 1) nor at infinity (b -> 0):
//
//   W = cos theta = (y - b)/(y + b),   tan^2(theta/2) = b / y,   accept when
//   log U <= 2 kappa b (y - 1) / ((1 + b)(y + b)) + (d - 1) log1p((1 - y)(1 - b) / (2 (y + b)))
//
// [Wood 1994, "Simulation of the von Mises Fisher distribution"; Ulrich 1984]
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/math/beta.hpp"

namespace spheremix::math {

/// Cosine and sine of the angle from the mean: the draw is cosine * mean + sine * (unit tangent
/// direction).
struct MeanAngle {
  double cosine, sine;
};

/// d >= 1, kappa >= 0 finite. d = 1: the sphere is two points, cosine is 1 with probability
/// 1/(1 + e^(-2 kappa)).
SPHEREMIX_HD inline MeanAngle von_mises_fisher_angle(double d, double kappa,
                                                     core::PhiloxStream& stream) {
  if (d < 2) return {stream.uniform<double>() < 1 / (1 + std::exp(-2 * kappa)) ? 1.0 : -1.0, 0};
  const double m = d - 1;
  // 2 kappa and m are scaled by the larger, so that no square overflows.
  const double top = 2 * kappa > m ? 2 * kappa : m, p = 2 * kappa / top, q = m / top;
  const double denominator = p + std::sqrt(p * p + q * q);
  const double b = q / denominator, two_kappa_b = m * (p / denominator);
  for (;;) {
    const double y = std::exp(beta_log_odds(m / 2, m / 2, stream));  // (1 - Z) / Z
    const double u = stream.uniform<double>();
    const double exponent = two_kappa_b * (y - 1) / ((1 + b) * (y + b)) +
                            m * std::log1p((1 - y) * (1 - b) / (2 * (y + b)));
    if (!(std::log(u) <= exponent)) continue;
    return {(y - b) / (y + b), 2 * std::sqrt(b * y) / (y + b)};
  }
}

}  // namespace spheremix::math
