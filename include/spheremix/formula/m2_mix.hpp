// m2-Mix: hard negatives made by mixing each image-text pair along the great circle between them.
//
//   m_j = geodesic mix of x_j and y_j with weight lambda on x_j (lambda = 1 gives x_j)
//   x finds y:  -(1/n) sum_i log e^(x_i.y_i/tau) / ( e^(x_i.y_i/tau)
//                                                    + sum_{j != i} e^(x_i.m_j/tau) )
//   y finds x:  the same with anchors y_i and the same m_j
//   L = their sum (Reduction::sum) or half of it
//
// Negatives::append keeps the ordinary negatives sum_{j != i} e^(x_i.y_j/tau) in the denominator
// too.
//
// Units      nats. L = 0 exactly for n = 1.
// Gradient   per direction, with P the softmax weights of the negatives and E = weight / (n tau) P:
//            dA += E M, dM += E^T A, and the positive's part, minus the sum of its row of E; then
//            dM goes back through the mixing (slerp's pullback). Ambient through the dot products,
//            tangent through the mixing.
// Source     Oh et al. 2023, "Geodesic Multi-Modal Mixup for Robust Fine-Tuning", arXiv 2203.03897,
//            equation 4.
#pragma once

#include <cstddef>

#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

/// What the two directions of m2-Mix are added up to.
enum class Reduction {
  sum,   ///< mean over image rows + mean over text rows, as the authors' code trains
  mean,  ///< half of it
};

/// What the mixed rows are to the ordinary negatives.
enum class Negatives {
  replace,  ///< the denominator holds the positive and the n - 1 mixed negatives
  append,   ///< the n - 1 ordinary negatives stay beside them
};

struct M2MixOptions {
  double temperature = 0.07;                         ///< tau, > 0
  Reduction reduction = Reduction::sum;              ///< of the two directions
  Negatives negatives = Negatives::replace;          ///< ordinary ones go, or stay beside the mixed
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  std::optional<Targets> exclude{};   ///< false negatives: pairs out of tables, mixtures
  std::vector<double> row_weights{};  ///< n, at least 0; empty: all 1
};

}  // namespace spheremix::losses
