// NT-Xent, the loss of SimCLR: each of 2 n stacked views finds its other view among all but itself.
//
//   Z = [X; Y],  p(i) = i +- n
//   L = -(1/2n) sum_i log e^(z_i.z_p(i)/tau) / sum_{j != i} e^(z_i.z_j/tau)
//
// Units      nats.
// Gradient   G = (P - J) / (2 n tau) with P the softmax without the diagonal, J the pairs:
//            dZ = (G + G^T) Z, dL/d ln(tau) = -sum G o Z Z^T.
// Source     Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual
//            Representations", arXiv 2002.05709, equation 1.
#pragma once

#include <cstddef>

namespace spheremix::losses {

struct NtXentOptions {
  double temperature = 0.1;                          ///< tau, > 0
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

}  // namespace spheremix::losses
