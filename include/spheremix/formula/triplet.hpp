// The triplet loss, with mining inside the batch or over triplets of the caller's.
//
//   batch_hard   per anchor: the farthest row of its label p, the nearest of another one n:
//                f(d(a, p) - d(a, n)), mean over anchors that have both
//   semi_hard    per anchor and each p: the nearest n with d(a, n) > d(a, p), or the farthest n
//                where none is; mean over those pairs
//   triplet_of   the mean over lists of (anchor, positive, negative)
//
// f(u) = max(0, margin + u) (TripletMargin::hinge) or log(1 + e^u) (soft, which has no margin). d is
// the distance |x - y| (TripletDistance::euclidean) or its square. Of equal distances the lower row
// is taken.
//
// Gradient   f'(u) (d(a, p)' - d(a, n)') with d' = (x - y)/d, 0 at d = 0.
//            Differences, not products: near-duplicates keep their digits.
// Source     Hermans et al. 2017, "In Defense of the Triplet Loss", arXiv 1703.07737, equation 5
//            and, of the soft margin, section 2; Schroff et al. 2015, "FaceNet", arXiv 1503.03832,
//            section 3.2.
#pragma once

#include <cstddef>

#include "spheremix/core/view.hpp"
#include "spheremix/formula/logistic.hpp"

namespace spheremix::losses {

/// Which triplets of a batch count.
enum class TripletMining { batch_hard, semi_hard };
/// d(a, b): the distance or its square.
enum class TripletDistance { euclidean, squared };
/// f(u): max(0, margin + u) or log(1 + e^u).
enum class TripletMargin { hinge, soft };

struct TripletOptions {
  double margin = 0.2;                               ///< added to the difference of the distances
  TripletMining mining = TripletMining::batch_hard;  ///< which triplets of the batch count
  TripletDistance distance = TripletDistance::euclidean;  ///< d(a, b): |a - b| or its square
  std::size_t memory_budget = std::size_t(1) << 30;       ///< bytes of temporary memory
  TripletMargin form = TripletMargin::hinge;              ///< soft: margin is not used
};

/// Loss and gradient of triplet.
template <class Matrix>
struct TripletGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x;                                     ///< dL/dX
  core::NumberBeside<Matrix, Index> active{};   ///< triplets with a positive loss
  core::NumberBeside<Matrix, Index> skipped{};  ///< anchors without a positive or a negative
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// f and f' of one triplet; a term of 0 counts for nothing, whatever its slope.
struct TripletTerm {
  double value, slope;
};

SPHEREMIX_HD inline TripletTerm triplet_term(double to_positive, double to_negative,
                                             const losses::TripletOptions& o) {
  if (o.form == losses::TripletMargin::soft) {
    const double u = to_positive - to_negative;
    return {softplus(u), sigmoid(u)};
  }
  return {o.margin + to_positive - to_negative, 1};
}

/// d' = factor (x - y).
SPHEREMIX_HD inline double triplet_factor(double distance, const losses::TripletOptions& o) {
  return distance == 0 ? 0 : o.distance == losses::TripletDistance::squared ? 2 : 1 / distance;
}

}  // namespace spheremix::formula
