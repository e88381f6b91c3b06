// One anchor of contrast with hard negatives (losses/hard_negative.hpp): its loss and what the loss
// pulls at, from u = log R - a, a the positive's logit.
//
//   v = max( (e^u - tau_plus N) / (1 - tau_plus),  N e^(-1/tau - a) ),   loss = log(1 + v)
//
// Above the floor  dloss/du = e^u / ((1 - tau_plus) (1 + v)), and dloss/da is minus that.
// At the floor     dloss/da = -v / (1 + v), dloss/d ln(tau) = v / (1 + v) / tau.
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"

namespace spheremix::math {

struct HardNegativeTerm {
  double loss;      ///< nats
  double pull;      ///< dloss/du, 0 at the floor
  double at_floor;  ///< -dloss/da at the floor, 0 above it
};

/// `count` negatives.
SPHEREMIX_HD inline HardNegativeTerm hard_negative_term(double u, double a, double count,
                                                        double temperature, double tau_plus) {
  const double keep = 1 - tau_plus, false_ones = tau_plus * count;
  const double floor = count * std::exp(-1 / temperature - a);
  if (u > 600) return {u - std::log(keep), 1, 0};
  const double v = (std::exp(u) - false_ones) / keep;
  if (!(v > floor)) return {std::log1p(floor), 0, floor / (1 + floor)};
  return {std::log1p(v), std::exp(u) / (keep * (1 + v)), 0};
}

}  // namespace spheremix::math
