
//
// How close the two halves of each pair lie.
//
//   alignment(X, Y) = mean_i |x_i - y_i|^alpha
//   dx_i = (alpha / N) |x_i - y_i|^(alpha - 2) (x_i - y_i) = -dy_i, and 0 where x_i = y_i
//
// 0 is perfect. alpha = 2: the mean of 2 - 2 cos for unit rows. The difference form is right to a
// few eps also for near-duplicates, where 2 - 2 x.y has no digits left.
//
// [Wang, Isola 2020, "Understanding contrastive representation learning through alignment and
// uniformity on the hypersphere", arXiv 2005.10242, equation 1]
#pragma once

namespace spheremix::metrics {

struct AlignmentOptions {
  double alpha = 2;  ///< exponent of the distance, > 0
};

}  // namespace spheremix::metrics
