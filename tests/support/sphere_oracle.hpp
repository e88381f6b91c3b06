// The sphere in long double, written straight from the definitions: Gram-Schmidt, then sines and
// cosines. Inputs are taken as directions (their lengths are divided out), differences of nearby
// components are exact.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "support/sphere_points.hpp"

namespace spheremix::test {

struct LongArc {
  LongVector e1, e2;
  long double theta;

  template <class A, class B>
  LongArc(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
    const LongVector x = a.template cast<long double>(), y = b.template cast<long double>();
    LongVector difference = y - x, sum = x + y;
    LongVector& shorter = difference.squaredNorm() < sum.squaredNorm() ? difference : sum;
    LongVector& longer = &shorter == &difference ? sum : difference;
    for (int twice = 0; twice < 2; ++twice)
      shorter -= (shorter.dot(longer) / longer.squaredNorm()) * longer;
    theta = 2 * std::atan2(difference.norm(), sum.norm());
    e1 = sum / sum.norm();
    e2 = difference.norm() > 0 ? LongVector(difference / difference.norm())
                               : LongVector::Zero(x.size());
  }

  LongVector slerp(long double t) const {
    const long double phi = (t - 0.5L) * theta;
    return std::cos(phi) * e1 + std::sin(phi) * e2;
  }
  LongVector log() const { return theta * (std::sin(theta / 2) * e1 + std::cos(theta / 2) * e2); }
};

/// Prints "name: error of promise" when SPHEREMIX_FIGURES is set, and returns whether the promise
/// holds.
inline bool keeps_promise(const char* name, double error, double promise) {
  if (std::getenv("SPHEREMIX_FIGURES")) std::printf("%-40s %10.3g of %g\n", name, error, promise);
  return error <= promise;
}

}  // namespace spheremix::test
