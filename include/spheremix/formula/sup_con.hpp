// Supervised contrast: every row finds the rows of its own label among all others.
//
//   P(i) = { p != i : |y_p - y_i| <= tolerance }      n_a = anchors with a positive
//   L = (1/n_a) sum_i -(1/|P(i)|) sum_{p in P(i)}
//                        log e^(x_i.x_p/tau) / sum_{q != i} e^(x_i.x_q/tau)
//
// Units      nats.
// Gradient   c_iq = (p_iq - [q in P(i)]/|P(i)|) / (n_a tau), p_i the softmax without i:
//            dX = (C + C^T) X, dL/d ln(tau) = -sum C o X X^T.
// Source     Khosla et al. 2020, "Supervised Contrastive Learning", arXiv 2004.11362, equation 2.
#pragma once

#include <cstddef>

#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

struct SupConOptions {
  double temperature = 0.1;                          ///< tau, > 0
  double label_tolerance = 0;                        ///< labels this close count as equal
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// An anchor with `count` positives of equal weight; `below` is the sum of M - z over them, M the largest
/// logit, in nats.
SPHEREMIX_HD inline TargetLine<double> sup_con_line(const SoftmaxLine<double>& softmax, double top,
                                                    double below, double count) {
  return {softmax, top, below / count, 0, 0, 0, 0, 0};
}

}  // namespace spheremix::formula
