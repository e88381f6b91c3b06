
//
// How evenly points cover the sphere: the logarithm of the mean Gaussian potential of pairs.
//
//   uniformity(X)          = log mean_{i<j} e^(-t |x_i - x_j|^2)
//   cross_uniformity(X, Y) = log mean_{i,j} e^(-t |x_i - y_j|^2)
//   joint_uniformity(X, Y) = uniformity of the rows of X and Y together
//   dx_i = -4 t sum_j w_ij (x_i - x_j),   w_ij = K_ij / sum_{k != l} K_kl,
//                                         K_ij = e^(-t |x_i - x_j|^2)
//
// 0: all points equal; lower is more even. Known values, unit rows: points drawn evenly on the
// sphere tend to -2 t + log 0F1(; d/2; t^2); the simplex of d + 1 points has -2 t (1 + 1/d).
//
// [Wang, Isola 2020, arXiv 2005.10242, equation 2]
#pragma once

#include "spheremix/core/view.hpp"

namespace spheremix::metrics {

struct UniformityOptions {
  double t = 2;  ///< steepness of the potential, > 0
};

/// Value and ambient gradient, on either machine (core::NumberBeside).
template <class Matrix>
struct UniformityGradient {
  core::NumberBeside<Matrix> value{};
  Matrix x;  ///< N x d
};

}  // namespace spheremix::metrics
