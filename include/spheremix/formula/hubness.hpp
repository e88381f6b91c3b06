// Hubs: rows that are among the k nearest of far more rows than others.
//
//   O_j = #{ i : y_j is among the k rows of Y with the largest x_i . y_j }
//   skewness = mean (O - mean O)^3 / (mean (O - mean O)^2)^(3/2)        0 where all O are equal
//
// hubness(X) asks within one batch and leaves i = j out; hubness(X, Y) asks Y for every row of X.
// Of equal products the lower row comes first.
//
// Source   Radovanovic et al. 2010, "Hubs in Space", JMLR 11, equation 1.
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::metrics {

struct HubnessOptions {
  Index k = 10;  ///< nearest rows that are counted
};

}  // namespace spheremix::metrics

namespace spheremix::formula {

/// From the sums of squares and of cubes of m counts' distances from their mean.
SPHEREMIX_HD inline double skewness_of(double second, double third, double m) {
  return second == 0 ? 0 : third / m / ((second / m) * std::sqrt(second / m));
}

}  // namespace spheremix::formula
