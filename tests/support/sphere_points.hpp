// Random points and tangents for tests. Everything is drawn in double from a fixed seed and rounded
// once to T, so float and double tests see the same points.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/eigen.hpp"

namespace spheremix::test {

using LongVector = Eigen::Matrix<long double, Eigen::Dynamic, 1>;
using LongMatrix = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Standard normal numbers (n x d).
template <class T>
RowMatrix<T> gaussian_rows(Index n, Index d, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  RowMatrix<T> x(n, d);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = T(normal(engine));
  return x;
}

/// Standard normal vector (d).
template <class T>
Vector<T> gaussian(Index d, std::uint32_t seed) {
  return gaussian_rows<T>(1, d, seed).transpose();
}

/// Uniform points on the sphere (n x d), unit to the rounding of T.
template <class T>
RowMatrix<T> unit_rows(Index n, Index d, std::uint32_t seed) {
  LongMatrix x = gaussian_rows<double>(n, d, seed).template cast<long double>();
  for (Index i = 0; i < n; ++i) x.row(i) /= x.row(i).norm();
  return x.template cast<T>();
}

/// Uniform point on the sphere (d).
template <class T>
Vector<T> unit(Index d, std::uint32_t seed) {
  return unit_rows<T>(1, d, seed).transpose();
}

/// The unit vector at `theta` from unit u in a random direction, computed in long double and
/// rounded to T.
template <class T>
Vector<T> at_angle(const Vector<T>& u, long double theta, std::uint32_t seed) {
  const LongVector a = u.template cast<long double>() / u.template cast<long double>().norm();
  LongVector direction = gaussian<double>(u.size(), seed).template cast<long double>();
  direction -= a.dot(direction) * a;
  direction /= direction.norm();
  const LongVector v = std::cos(theta) * a + std::sin(theta) * direction;
  return v.template cast<T>();
}

/// Rows of V at `spread` radians from the rows of U: pairs like the two halves of a trained model.
template <class T>
RowMatrix<T> rows_at_angle(const RowMatrix<T>& u, long double spread, std::uint32_t seed) {
  RowMatrix<T> v(u.rows(), u.cols());
  for (Index i = 0; i < u.rows(); ++i)
    v.row(i) =
        at_angle<T>(Vector<T>(u.row(i).transpose()), spread, seed + std::uint32_t(i)).transpose();
  return v;
}

/// n points evenly around the third axis, `angle` from it, turned by `turn` of their distance; at a
/// right angle in the plane of the first two.
inline RowMatrix<double> ring(Index n, Index d, double turn, double angle = core::pi<double> / 2) {
  RowMatrix<double> x = RowMatrix<double>::Zero(n, d);
  for (Index i = 0; i < n; ++i) {
    const double a = 2 * core::pi<double> * (double(i) + turn) / double(n);
    x(i, 0) = std::sin(angle) * std::cos(a);
    x(i, 1) = std::sin(angle) * std::sin(a);
    if (d > 2) x(i, 2) = angle == core::pi<double> / 2 ? 0 : std::cos(angle);
  }
  return x;
}

/// g without its part along x, in long double.
inline LongVector tangent_part(const LongVector& x, const LongVector& g) {
  return g - (x.dot(g) / x.squaredNorm()) * x;
}

}  // namespace spheremix::test
