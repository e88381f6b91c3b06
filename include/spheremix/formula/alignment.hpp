
//
// How close the two halves of each pair lie.
//
//   alignment(X, Y) = mean_i |x_i - y_i|^alpha
//   dx_i = (alpha / N) |x_i - y_i|^(alpha - 2) (x_i - y_i) = -dy_i, and 0 where x_i = y_i
//
// 0 is perfect. alpha = 2: the mean of 2 - 2 cos for unit rows. The difference form is right to a
// few eps also for near-duplicates, where 2 - 2 x.y has no digits left.
//
// [Wang, Isola 2020, "Understanding contrastive representation learning through alignment and
// uniformity on the hypersphere", arXiv 2005.10242, equation 1]
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::metrics {

struct AlignmentOptions {
  double alpha = 2;  ///< exponent of the distance, > 0
};

/// Value and ambient gradients, on either machine (core::NumberBeside).
template <class Matrix>
struct AlignmentGradient {
  core::NumberBeside<Matrix> value{};
  Matrix x;  ///< N x d
  Matrix y;  ///< N x d, equal to -x
};

}  // namespace spheremix::metrics

namespace spheremix::formula {

/// r^alpha of a pair at distance r.
SPHEREMIX_HD inline double alignment_power(double alpha, double r) {
  return alpha == 1 ? r : std::pow(r, alpha);
}

/// dx is this times (x - y), over r unless alpha = 2.
SPHEREMIX_HD inline double alignment_slope(double alpha, double n, double r) {
  return alpha == 2 ? 2 / n : r == 0 ? 0 : alpha / n * std::pow(r, alpha - 1);
}

}  // namespace spheremix::formula
