// SigLIP: every pair of the batch is a yes-or-no question of its own.
//
//   L = (1/n) sum_i sum_j softplus(-z_ij (x_i.y_j / tau + bias)),   z_ij = +1 for i = j, else -1
//
// Units      nats; the sum over j is not divided by n (as published).
// Gradient   with u = -z (s/tau + b): G = -z sigmoid(u) / (n tau), dX = G Y, dY = G^T X,
//            dL/d ln(tau) = -sum G o S, dL/dbias = -(1/n) sum z sigmoid(u).
// Targets    Y may have further rows, negatives all. Other targets than the diagonal
//            (formula/targets.hpp): those of ids and pairs have z = +1, whatever their weight above 0;
//            soft(P) is the cross entropy -p log sigmoid(u) - (1 - p) log sigmoid(-u), u = s/tau + b,
//            p in [0, 1]. Every row counts, with a target or without; row_weights weigh rows, and
//            excluded pairs are no part of the sum.
// Source     Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", arXiv 2303.15343.
#pragma once

#include <cstddef>

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

struct SiglipOptions {
  double temperature = 0.1;                          ///< tau, > 0
  double bias = -10;                                 ///< added to every logit
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  std::optional<Targets> exclude{};                  ///< pairs out of the sum, unless targets
  std::vector<double> row_weights{};                 ///< n, at least 0; empty: all 1
};

/// Loss and gradients of siglip.
template <class Matrix>
struct SiglipGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x;                                      ///< dL/dX
  Matrix y;                                      ///< dL/dY
  core::NumberBeside<Matrix> log_temperature{};  ///< dL/d ln(tau) = -dL/da
  core::NumberBeside<Matrix> bias{};             ///< dL/dbias
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// A pair's s / tau + bias; its loss and gradient are those of logistic.hpp at u = -z (s / tau + bias).
template <class T>
struct SiglipPair {
  T scale, bias;

  /// In units of 1 / `per_nat` nats: log2(e) where exponentials are powers of 2.
  static SiglipPair of(const losses::SiglipOptions& o, double per_nat) {
    return {T(per_nat / o.temperature), T(per_nat * o.bias)};
  }

  SPHEREMIX_HD SPHEREMIX_INLINE T logit(T s) const { return scale * s + bias; }
};

}  // namespace spheremix::formula
