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

#include "spheremix/core/constants.hpp"

namespace spheremix::metrics {

struct HubnessOptions {
  Index k = 10;
};

}  // namespace spheremix::metrics
