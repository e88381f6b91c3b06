// Geometric consistency: the similarities within one modality, and across, look the same from both
// sides.
//
//   geometric_consistency
//     L = (1/n) sum_jk [ c (x_j.y_k - x_k.y_j)^2 + w (x_j.x_k - y_j.y_k)^2 ]
//   augmented_geometric_consistency
//     L = (1/n) sum_jk [ w (x_j.x_k - xa_j.xa_k)^2 + w (y_j.y_k - ya_j.ya_k)^2 ]
//         + (1/n) sum_j  c (x_j.y_j - xa_j.ya_j)^2
//
// c is cross_weight, w in_modal_weight. The sum over pairs over n, not n^2, grows with n (as
// published). Zero for Y = X R with R orthogonal and symmetric: a large gap and zero loss can go
// together.
//
// Gradient   with A, B the two differences above:
//            dX = (4/n) (c A Y + w B X), dY = -(4/n) (c A X + w B Y).
// Source     Jiang et al. 2023, arXiv 2303.05952, section 4.3; Goel et al. 2022, "CyCLIP", arXiv
//            2205.14459.
#pragma once

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::losses {

struct GeometricConsistencyOptions {
  double cross_weight = 1;     ///< c, across the modalities
  double in_modal_weight = 1;  ///< w, within each
};

/// Loss and gradients of augmented_geometric_consistency.
template <class Matrix>
struct AugmentedConsistencyGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x, y;                      ///< dL/dX, dL/dY
  Matrix x_augmented, y_augmented;  ///< of the augmented views
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// F = each sum_jk c (x_j.y_k - x_k.y_j)^2 + w (x_j.x_k - y_j.y_k)^2 by products. With S = X + Y and
/// D = X - Y, K = D S^T is the sum of the two differences, one antisymmetric, one symmetric:
///
///   F = each (alpha |K|^2 + beta <K, K^T>),   alpha = (c + w) / 2, beta = (w - c) / 2
///   |K|^2 = tr(P Q), <K, K^T> = tr(R R),      P = S^T S, Q = D^T D, R = S^T D
///   dS = straight S Q + crossed D R,          dD = straight D P + crossed S R^T
///   dX = dS + dD,                             dY = dS - dD
struct ConsistencyParts {
  double alpha, beta, each;

  static ConsistencyParts of(double cross, double in_modal, double each) {
    return {(cross + in_modal) / 2, (in_modal - cross) / 2, each};
  }
  bool crosses() const { return beta != 0; }
  double straight() const { return 2 * alpha * each; }
  double crossed() const { return 2 * beta * each; }
};

/// (c / n) sum_j (x_j.y_j - xa_j.ya_j)^2: each view's gradient is the `step` times the difference of its
/// partner, minus that of the augmented ones.
SPHEREMIX_HD inline double paired_consistency_step(double cross, double n) { return 2 * cross / n; }

}  // namespace spheremix::formula
