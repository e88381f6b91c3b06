// Pair policies: all that a contrastive loss has to say about one pair (i, j) of rows with cosine
// s = x_i . y_j. The engines (pairwise/ on the CPU, gpu/pairwise/ on the device) do the rest, tile
// by tile.
//
//   logit(s, i, j)            z_ij, what the softmax statistics are taken of; -infinity leaves the
//                             pair out
//   gradient(s, p, q, i, j)   dL/ds_ij of the softmax part, p = e^(z_ij - lse_row_i),
//                             q = e^(z_ij - lse_col_j)
//   kRows, kCols              which statistics are kept; p or q is 0 where one is not
//
// The positives (the diagonal of CLIP, the overridden diagonal of m2-Mix) are not the policy's
// business: there the sums cancel, and the losses treat them from the statistics of the other
// pairs.
//
// Host-device scalar code, one source for CPU lanes and GPU threads.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

/// z = s / tau with softmax statistics over rows, columns or both (InfoNCE, CLIP, m2-Mix and its
/// family). Loss sum_i row_weight lse_row_i + sum_j col_weight lse_col_j, so
///   dL/ds_ij = (row_weight p_ij + col_weight q_ij) / tau.
template <class T, bool Rows, bool Cols>
struct SoftmaxPair {
  static constexpr bool kRows = Rows;
  static constexpr bool kCols = Cols;

  T scale;       ///< 1 / tau, above 0
  T row_weight;  ///< dL/d lse of a row, 1/N or 1/(2N)
  T col_weight;  ///< dL/d lse of a column

  SPHEREMIX_HD SPHEREMIX_INLINE T logit(T s, Index, Index) const { return scale * s; }

  SPHEREMIX_HD SPHEREMIX_INLINE T gradient(T, T p, T q, Index, Index) const {
    if constexpr (Rows && Cols)
      return scale * (row_weight * p + col_weight * q);
    else if constexpr (Rows)
      return scale * row_weight * p;
    else
      return scale * col_weight * q;
  }
  /// dL/ds_ij = row_unit() p + col_unit() q.
  SPHEREMIX_HD SPHEREMIX_INLINE T row_unit() const { return scale * row_weight; }
  SPHEREMIX_HD SPHEREMIX_INLINE T col_unit() const { return scale * col_weight; }
};

}  // namespace spheremix::formula
