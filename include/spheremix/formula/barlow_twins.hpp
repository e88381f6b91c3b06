// Barlow Twins: the cross-correlation of two views, column by column, drawn to the identity.
//
//   xs_ik = (x_ik - mean_k) / r_k,  r_k = sqrt(var_k + epsilon)   ys of Y alike; var divides by n
//   C = xs^T ys / n  (d x d)
//   L = sum_k (1 - C_kk)^2 + off_diagonal_weight sum_{k != l} C_kl^2
//
// Gradient   M = dL/dC: -2 (1 - C_kk), 2 off_diagonal_weight C_kl;
//            dX = (ys M^T - xs diag(sum_l M_kl C_kl)) / (n r_k) by columns, dY with M^T, C^T.
// Source     Zbontar et al. 2021, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
//            arXiv 2103.03230, equations 1 and 2; epsilon as in its code's batch normalisation.
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

struct BarlowTwinsOptions {
  double off_diagonal_weight = 0.005;  ///< lambda of the paper
  double epsilon = 1e-5;               ///< added to the variance under the root
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// 1 / r of a column. NaN where its variance is no finite number: 0 would pass for a collapsed one.
SPHEREMIX_HD inline double inverse_deviation(double variance, double epsilon) {
  const double square = variance + epsilon;
  return square <= core::largest<double> ? 1 / std::sqrt(square) : core::nan<double>;
}

/// An entry of C: its term of the loss and M.
template <class T>
struct CorrelationTerm {
  T loss, slope;
};

template <class T>
SPHEREMIX_HD CorrelationTerm<T> correlation_term(bool diagonal, T c, T off_diagonal_weight) {
  const T e = diagonal ? c - 1 : c, w = diagonal ? T(1) : off_diagonal_weight;
  return {w * e * e, 2 * w * e};
}

}  // namespace spheremix::formula
