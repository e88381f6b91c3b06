// Oracles for gradients, and errors counted in the precision under test.
#pragma once

#include <cmath>

#include "spheremix/core/eigen.hpp"

namespace spheremix::test {

/// f'(0) by five-point differences in long double: error about 1e-15 for functions of scale 1.
template <class F>
long double slope(const F& f, long double h = 1e-4L) {
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

/// |got - want| / |want|; 0 when both are 0.
inline double relative_error(long double got, long double want) {
  if (got == want) return 0;
  return double(std::abs(got - want) / std::abs(want));
}

/// |got - want| over the precision of T.
template <class T>
double eps_error(long double got, long double want, long double scale = 1) {
  if (got == want) return 0;
  const double error = double(std::abs(got - want) / (scale * (long double)(core::epsilon<T>)));
  return error == error ? error : double(core::infinity<double>);
}

/// Largest component of |got - want| over scale * epsilon<T>; infinity for NaN.
template <class T, class A, class B>
double max_eps_error(const Eigen::MatrixBase<A>& got, const Eigen::MatrixBase<B>& want,
                     long double scale = 1) {
  double worst = 0;
  for (Index i = 0; i < got.rows(); ++i)
    for (Index j = 0; j < got.cols(); ++j)
      worst =
          std::max(worst, eps_error<T>((long double)(got(i, j)), (long double)(want(i, j)), scale));
  return worst;
}

/// |got - want| / |want| of whole matrices (Frobenius), |got| where want is 0.
template <class A, class B>
double matrix_error(const Eigen::MatrixBase<A>& got, const Eigen::MatrixBase<B>& want) {
  const auto a = got.template cast<long double>().eval();
  const auto b = want.template cast<long double>().eval();
  const long double scale = b.norm();
  return double((a - b).norm() / (scale > 0 ? scale : 1.0L));
}

/// Same bits: equal, or both NaN, everywhere.
template <class A, class B>
bool same_bits(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j)
      if (!(a(i, j) == b(i, j) || (a(i, j) != a(i, j) && b(i, j) != b(i, j)))) return false;
  return true;
}

}  // namespace spheremix::test
