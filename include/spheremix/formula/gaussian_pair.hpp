// Pair policy of the Gaussian potential: the logit of pair (i, j) is -t |x_i - y_j|^2.
//
//   z = t (2 s - (|x_i|^2 + |y_j|^2)),  s = x_i . y_j          K = e^z
//
// Rows that are centred first (any common vector may be subtracted) keep z right to a few eps of
// t (|x_i|^2 + |y_j|^2), however far from the origin the batch lies. Pairs much closer to each
// other than to the centre lose their digits here: close() finds them, and the caller takes their
// difference.
// [Wang, Isola 2020, arXiv 2005.10242, equation 2]
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

/// Policy for the statistics and weights of all pairs, in the sense of softmax_pair.hpp.
template <class T>
struct GaussianPair {
  static constexpr bool kRows = true;
  static constexpr bool kCols = false;

  T t;
  const T* x_square;  ///< |x_i|^2
  const T* y_square;  ///< |y_j|^2

  SPHEREMIX_HD SPHEREMIX_INLINE T logit(T s, Index i, Index j) const {
    return t * (2 * s - (x_square[i] + y_square[j]));
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
