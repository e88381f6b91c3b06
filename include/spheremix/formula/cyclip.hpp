// CyCLIP: CLIP with the similarities made symmetric across and alike within the modalities.
//
//   L = clip(X, Y; tau) + (1/n) sum_jk  cross_weight (x_j.y_k - x_k.y_j)^2
//                                     + in_modal_weight (x_j.x_k - y_j.y_k)^2
//
// Gradient   the sum of the two parts'; dL/d ln(tau) is clip's.
// Source     Goel et al. 2022, "CyCLIP: Cyclic Contrastive Language-Image Pretraining", arXiv
//            2205.14459, equations 2 to 4 (both weights 0.25).
#pragma once

#include <cstddef>

namespace spheremix::losses {

struct CyclipOptions {
  double temperature = 0.07;                         ///< tau, > 0
  double cross_weight = 0.25;                        ///< of (x_j.y_k - x_k.y_j)^2
  double in_modal_weight = 0.25;                     ///< of (x_j.x_k - y_j.y_k)^2
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

}  // namespace spheremix::losses
