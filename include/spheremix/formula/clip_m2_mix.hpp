// CLIP and m2-Mix in one call.
//
//   L = clip(X, Y; tau) + weight m2_mix(X, Y, lambda; tau_mix)
//
// Gradient   the sums; log_temperature and log_mix_temperature belong to the two temperatures.
// Source     Oh et al. 2023, arXiv 2203.03897, equation 5.
#pragma once

#include <cstddef>

#include "spheremix/formula/m2_mix.hpp"

namespace spheremix::losses {

struct ClipM2MixOptions {
  double temperature = 0.01;                 ///< tau of clip, > 0
  double mix_temperature = 0.07;             ///< tau of m2_mix, > 0
  double weight = 1;                         ///< of m2_mix
  Reduction reduction = Reduction::sum;      ///< of m2_mix's two directions
  Negatives negatives = Negatives::replace;  ///< of m2_mix: ordinary ones go, or stay beside
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  bool shared = true;  ///< tables of cosines serve both losses; false: each forms its own
  std::optional<Targets> exclude{};   ///< false negatives: pairs out of tables, mixtures
  std::vector<double> row_weights{};  ///< n, at least 0; empty: all 1
};

}  // namespace spheremix::losses
