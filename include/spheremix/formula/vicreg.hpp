// VICReg: invariance between two views, variance of every column, no covariance between columns.
//
//   invariance  mean over all n d entries of (X - Y)^2
//   variance    for each view (1/d) sum_k max(0, gamma - sqrt(var_k + epsilon)), halved and added
//   covariance  for each view (1/d) sum_{k != l} C_kl^2, added;  C = Xc^T Xc / (n - 1), Xc centred
//   L = invariance_weight * ... + variance_weight * ... + covariance_weight * ...
//
// Gradient   2 (X - Y)/(n d); -Xc / (2 d (n - 1) sqrt(var + epsilon)) where below gamma;
//            4 Xc C_off / (d (n - 1)): C is symmetric and every column of Xc adds up to 0, so the
//            mean takes no part.
// Source     Bardes et al. 2022, "VICReg", arXiv 2105.04906, equations 1 to 6, halved and added as
//            in the released code.
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

struct VicregOptions {
  double invariance_weight = 25;  ///< of (X - Y)^2
  double variance_weight = 25;    ///< of columns that spread less than gamma
  double covariance_weight = 1;   ///< of columns with one another
  double gamma = 1;               ///< wanted standard deviation
  double epsilon = 1e-4;          ///< added to the variance under the root
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// The variance term of one column.
struct VicregColumn {
  double lack;  ///< max(0, gamma - sqrt(variance + epsilon)); NaN stays
  double pull;  ///< its part of the gradient over the centred entry
};

SPHEREMIX_HD inline VicregColumn vicreg_column(double variance, const losses::VicregOptions& o,
                                               Index n, Index d) {
  const double spread = std::sqrt(variance + o.epsilon), lack = o.gamma - spread;
  if (lack <= 0) return {0, 0};
  return {lack, -o.variance_weight / (2 * double(d) * double(n - 1) * spread)};
}

}  // namespace spheremix::formula
