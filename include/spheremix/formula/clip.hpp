// The CLIP loss: InfoNCE in both directions, X finding Y and Y finding X.
//
//   L = ( info_nce(X, Y) + info_nce(Y, X) ) / 2
//
// Units      nats. L = 0 exactly for n = 1.
// Gradient   with P the softmax over rows and Q over columns, G = (P - I + Q - I) / (2 n tau):
//            dX = G Y, dY = G^T X, dL/d ln(tau) = -sum_i x_i . dX_i.
// Targets    other than the diagonal, m != n, label smoothing, excluded pairs, weights of rows:
//            formula/targets.hpp.
// Source     Radford et al. 2021, arXiv 2103.00020, figure 3.
#pragma once

#include <cstddef>

#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

struct ClipOptions {
  double temperature = 0.07;                         ///< tau, > 0
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  double label_smoothing = 0;                        ///< e in [0, 1]
  std::optional<Targets> exclude{};                  ///< pairs out of the table, unless targets
  std::vector<double> row_weights{};                 ///< n, at least 0; empty: all 1
};

}  // namespace spheremix::losses
