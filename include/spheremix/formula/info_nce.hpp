// InfoNCE: each row of X must find its own row of Y among all rows of Y.
//
//   L = (1/n) sum_i ( log sum_j e^(x_i . y_j / tau) - x_i . y_i / tau )
//
// Units      nats. L = 0 exactly for n = 1.
// Gradient   with P = softmax over each row, G = (P - I) / (n tau): dX = G Y, dY = G^T X, and
//            dL/d ln(tau) = -sum_ij G_ij x_i . y_j = -sum_i x_i . dX_i.
// Targets    Y may have further rows, negatives all; other targets than the diagonal, label smoothing,
//            excluded pairs, weights of rows: formula/targets.hpp.
// Source     van den Oord, Li, Vinyals 2018, arXiv 1807.03748, equation 4.
#pragma once

#include <cstddef>

#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

struct InfoNceOptions {
  double temperature = 0.07;                         ///< tau, > 0
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  double label_smoothing = 0;                        ///< e in [0, 1]
  std::optional<Targets> exclude{};                  ///< pairs out of the table, unless targets
  std::vector<double> row_weights{};                 ///< n, at least 0; empty: all 1
};

}  // namespace spheremix::losses
