// InfoNCE with an additive margin m off the positive's cosine: a pair must beat every other by m.
//
//   L = -(1/n) sum_i log( e^((s_ii - m)/tau) / ( e^((s_ii - m)/tau) + sum_{j != i} e^(s_ij/tau) ) )
//
// with s_ij = x_i . y_j.
//
// Units      nats; m as a cosine. m = 0 is info_nce, bit for bit. L = 0 exactly for n = 1.
// Gradient   with P = softmax over each row of those logits, G = (P - I) / (n tau): dX = G Y,
//            dY = G^T X, dL/dm = -sum_i G_ii, and dL/d ln(tau) = -sum_ij G_ij s_ij - m dL/dm.
// Source     Wang, Cheng, Liu, Liu 2018, "Additive Margin Softmax for Face Verification", arXiv
//            1801.05599, with one row of Y in place of each class.
#pragma once

#include <cstddef>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::losses {

struct MarginNceOptions {
  double temperature = 0.07;                         ///< tau, > 0
  double margin = 0.2;                               ///< m >= 0
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

/// Is m at least 0, and is m / tau, for tau > 0, a number of T with room for a cosine beside it?
template <class T>
bool margin_fits(double margin, double temperature) {
  const double most = 0.25 * double(core::largest<T>);
  return margin >= 0 && margin < most && margin / temperature < most;
}

/// Loss and gradients of margin_nce.
template <class Matrix>
struct MarginNceGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x;                                      ///< dL/dX
  Matrix y;                                      ///< dL/dY
  core::NumberBeside<Matrix> log_temperature{};  ///< dL/d ln(tau)
  core::NumberBeside<Matrix> margin{};           ///< dL/dm
};

}  // namespace spheremix::losses
