// The logistic function and its integral, right to a few eps for every argument.
//
//   softplus(u) = log(1 + e^u) = max(u, 0) + log1p(e^-|u|)      sigmoid(u) = 1 / (1 + e^-u)
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

template <class T>
SPHEREMIX_HD T softplus(T u) {
  return (u > 0 ? u : T(0)) + std::log1p(std::exp(-std::abs(u)));
}

template <class T>
SPHEREMIX_HD T sigmoid(T u) {
  const T e = std::exp(-std::abs(u));
  return u > 0 ? 1 / (1 + e) : e / (1 + e);
}

}  // namespace spheremix::formula
