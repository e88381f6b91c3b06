// DCL: NT-Xent without the positive in the denominator, which takes away the factor that makes
// gradients small in small batches. DCLW weights the positives.
//
//   Z = [X; Y],  L = (1/2n) sum_i ( -w_i z_i.z_p(i)/tau + log sum_{j != i, p(i)} e^(z_i.z_j/tau) )
//   w = 1 (DclWeighting::none), or
//       2 - n softmax over the pairs of (x_i.y_i / sigma) (DclWeighting::von_mises_fisher; the
//       weights are differentiated, as released)
//
// Units      nats; may be negative.
// Gradient   P / (2 n tau) over the negatives; with c_i = x_i.y_i, q the softmax of c / sigma and
//            m = sum q c:  dL/dc_i = -w_i/(n tau) + q_i (c_i - m)/(sigma tau).
// Source     Yeh et al. 2022, "Decoupled Contrastive Learning", arXiv 2110.06848, equations 3
//            and 6.
#pragma once

#include <cstddef>

#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

/// Weights of the positives: all 1, or those of DCLW.
enum class DclWeighting { none, von_mises_fisher };

struct DecoupledContrastiveOptions {
  double temperature = 0.1;                          ///< tau, > 0
  double sigma = 0.5;                                ///< of von_mises_fisher's weights
  DclWeighting weighting = DclWeighting::none;       ///< of the positives
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// The positives of n pairs, from e = e^(c / sigma) over all of them, c relative to the largest: so e is
/// in range, and the mean has the digits that a small sigma asks for.
struct DclWeights {
  double n, sigma;
  double sum = 0, along = 0;  ///< of e and of e c

  /// (2 mean c - m) / tau is what sum w c / (n tau) comes to.
  SPHEREMIX_HD double mean() const { return along / sum; }       ///< m
  SPHEREMIX_HD double share(double e) const { return e / sum; }  ///< q

  /// n tau dL/dc of a pair that lies `off` = c - m from the mean.
  SPHEREMIX_HD double slope(double q, double off) const {
    return (q == 0 ? 0 : n * q * (1 + off / sigma)) - 2;
  }
};

}  // namespace spheremix::formula
