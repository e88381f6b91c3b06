// Alignment plus uniformity as a loss.
//
//   L = align_weight alignment_alpha(X, Y)
//       + uniform_weight ( uniformity_t(X) + uniformity_t(Y) ) / 2
//
// Gradient   the same sum of those in alignment.hpp and uniformity.hpp.
// Source     Wang and Isola 2020, arXiv 2005.10242, section 5.1.
#pragma once

namespace spheremix::losses {

struct AlignUniformOptions {
  double alpha = 2;           ///< exponent of alignment's distance, > 0
  double t = 2;               ///< steepness of uniformity's potential, > 0
  double align_weight = 1;    ///< of alignment
  double uniform_weight = 1;  ///< of uniformity
};

}  // namespace spheremix::losses
