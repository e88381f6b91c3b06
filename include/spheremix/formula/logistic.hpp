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

/// Both from what an engine has of many u at once, numbers or vectors: e = e^-|u|, log1p = log(1 + e)
/// and inverse = 1 / (1 + e). With u, e and log1p of another base, softplus is in units of its
/// logarithm; with `inverse` times a weight, so is sigmoid.
template <class N>
SPHEREMIX_HD SPHEREMIX_INLINE void logistic(const N& u, const N& e, const N& log1p,
                                            const N& inverse, N& softplus, N& sigmoid) {
  softplus = log1p + (u > 0 ? u : N{});
  sigmoid = (u > 0 ? N{} + 1 : e) * inverse;
}

}  // namespace spheremix::formula
