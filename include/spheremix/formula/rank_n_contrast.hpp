// Rank-N-Contrast: every other row is once the positive of an anchor, against those whose label is at
// least as far from the anchor's.
//
//   D_ij = |label_i - label_j|        z_ij = -|x_i - x_j| / tau, or x_i . x_j / tau
//   S_ij = { k != i: D_ik >= D_ij }   (j is in it)
//   L = 1 / (n (n - 1)) sum_i sum_{j != i} ( log sum_{k in S_ij} e^z_ik - z_ij )
//
// Distances of labels that rounding of the labels may have moved apart are equal, and those within
// label_tolerance. Two views: 2 N rows with the labels twice, as the paper has it.
//
// Gradient   dL/dz_ik = 1 / (n (n - 1)) ( sum_{j: k in S_ij} e^(z_ik) / sum_{S_ij} e^z - 1 ).
// How        S_ij of one anchor are the beginnings of its others in falling order of D, so one pass
//            of running log-sum-exps gives all denominators and one back gives all gradients: O(n) an
//            anchor after one sort of the labels (O(n log n) for distances of labels that the caller
//            has), where the released code takes n^3.
// Source     Zha et al. 2023, "Rank-N-Contrast: Learning Continuous Representations for Regression",
//            arXiv 2210.01189; negative distances and tau = 2 as in its code.
#pragma once

#include <cmath>
#include <cstddef>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

/// z of a pair: by the distance of its rows, or their product.
enum class RankSimilarity { negative_distance, cosine };

struct RankNContrastOptions {
  double temperature = 2;      ///< tau, > 0
  double label_tolerance = 0;  ///< distances of labels this close count as equal
  RankSimilarity similarity = RankSimilarity::negative_distance;  ///< z: -|x_i - x_j| or x_i.x_j
  std::size_t memory_budget = std::size_t(1) << 30;               ///< bytes of temporary memory
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// log sum e^z over what was added, as a maximum and a sum of exponentials that it has taken off.
struct RunningLogSum {
  double top = -core::infinity<double>, sum = 0;

  SPHEREMIX_HD void add(RunningLogSum o) {
    if (o.sum == 0) return;
    if (o.top <= top) {
      sum += o.sum * std::exp(o.top - top);
    } else {
      sum = sum * (sum == 0 ? 0 : std::exp(top - o.top)) + o.sum;
      top = o.top;
    }
  }
  SPHEREMIX_HD void add(double z) { add({z, 1}); }
  SPHEREMIX_HD double value() const { return top + std::log(sum); }
};

/// What two distances of labels may differ by and count as equal: resolution is eps of the labels'
/// type, 0 for integers; largest the greatest |label|.
SPHEREMIX_HD inline double rank_slack(double tolerance, double resolution, double largest) {
  return tolerance + 4 * resolution * largest;
}

}  // namespace spheremix::formula
