// HCL, contrast with hard negatives: negatives are weighted by e^(beta s / tau), and the share of
// false ones, tau_plus, is taken off.
//
//   Z = [X; Y], anchor i with positive a = z_i.z_p(i)/tau and the N = 2 n - 2 other logits b_j:
//   R = N sum_j e^((1 + beta) b_j) / sum_j e^(beta b_j)
//   V = max( (R - tau_plus N e^a) / (1 - tau_plus),  N e^(-1/tau) )
//   L = (1/2n) sum_i log(1 + V_i e^-a_i)
//
// beta = tau_plus = 0 is NT-Xent. The floor is the least that N negatives of unit rows can add up
// to.
//
// Units      nats.
// Gradient   where V is above its floor, with p, q the two softmaxes and
//            k = (V (1 - tau_plus) + tau_plus N e^a) / ((1 - tau_plus) (V + e^a)):
//            dL/db_j = k ((1 + beta) p_j - beta q_j) / 2n, dL/da = -k / 2n.
//            At the floor: dL/da = -V / (V + e^a) / 2n alone.
// Source     Robinson et al. 2021, "Contrastive Learning with Hard Negative Samples", arXiv
//            2010.04592, equation 4, with its code's importance weights; tau_plus: Chuang et al.
//            2020, arXiv 2007.00224.
#pragma once

#include <cmath>
#include <cstddef>

#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

struct HardNegativeOptions {
  double temperature = 0.5;                          ///< tau, > 0
  double beta = 1;                                   ///< concentration on hard negatives
  double tau_plus = 0.1;                             ///< probability of a false negative
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// One anchor, from u = log R - a with a the positive's logit:
///
///   v = max( (e^u - tau_plus N) / (1 - tau_plus),  N e^(-1/tau - a) ),   loss = log(1 + v)
///
/// Above the floor  dloss/du = e^u / ((1 - tau_plus) (1 + v)), and dloss/da is minus that.
/// At the floor     dloss/da = -v / (1 + v), dloss/d ln(tau) = v / (1 + v) / tau.
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

}  // namespace spheremix::formula
