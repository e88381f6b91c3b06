// The Gaussian potential of pairs: the logit of pair (i, j) is -t |x_i - y_j|^2.
//
//   z = t (2 s - (|x_i|^2 + |y_j|^2)),  s = x_i . y_j          K = e^z
//   value     log mean K = shift + log(Z / pairs),  Z = sum of e^(z - shift) over the pairs
//   gradient  dx_i = -(2 t / Z) (r_i x_i - (K Y)_i),  r_i = sum_j K_ij
//
// Rows that are centred first (any common vector may be subtracted) keep z right to a few eps of
// t (|x_i|^2 + |y_j|^2), however far from the origin the batch lies. Pairs much closer to each
// other than to the centre lose their digits here: close() finds them, and the caller takes their
// difference.
// [Wang, Isola 2020, arXiv 2005.10242, equation 2]
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

/// z from s and |x|^2 + |y|^2, both times t or a multiple of it (twice that for s); where a shift goes off,
/// it is part of `squares`.
template <class T>
SPHEREMIX_HD SPHEREMIX_INLINE T gaussian_logit(T twice, T s, T squares) {
  return twice * s - squares;
}

/// The mean over the pairs, each counted once or all twice.
struct GaussianMean {
  double sum;    ///< Z
  double pairs;  ///< as many as the sum has
  double shift;

  SPHEREMIX_HD double value() const { return shift + std::log(sum / pairs); }
  /// dx is this times pull(). `seen`: how often the sum has a pair that r and K Y of a row have once.
  SPHEREMIX_HD double slope(double t, double seen) const { return -2 * t * seen / sum; }
  template <class T>
  SPHEREMIX_HD static T pull(T r, T x, T kx) {
    return r * x - kx;
  }
};

/// Policy for the statistics and weights of all pairs, in the sense of softmax_pair.hpp.
template <class T>
struct GaussianPair {
  static constexpr bool kRows = true;
  static constexpr bool kCols = false;

  T t;
  const T* x_square;  ///< |x_i|^2
  const T* y_square;  ///< |y_j|^2

  SPHEREMIX_HD SPHEREMIX_INLINE T logit(T s, Index i, Index j) const {
    return t * gaussian_logit(T(2), s, x_square[i] + y_square[j]);
  }

  /// The weight itself: p = e^(z - shift) times the row's scale.
  SPHEREMIX_HD SPHEREMIX_INLINE T gradient(T, T p, T, Index, Index) const { return p; }
};

/// True where |x - y|^2 = squares - 2 s is below a sixteenth of squares = |x|^2 + |y|^2: four bits
/// are lost.
template <class T>
SPHEREMIX_HD SPHEREMIX_INLINE bool gaussian_close(T s, T squares) {
  return s > T(15.0 / 32) * squares;
}

}  // namespace spheremix::formula
