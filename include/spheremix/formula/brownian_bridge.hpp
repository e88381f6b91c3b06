// The Brownian bridge between the two embeddings of a pair: the augmented image lies near the point
// of the bridge from the text to the image.
//
//   m_i = r x_i + (1 - r) y_i      mu_i = m_i / |m_i|      L = (1/n) sum_i |a_i - mu_i|^2
//
// r is small: the point lies nearer to the text; one for all, or a time r_i a row. |m_i| >=
// |1 - 2 r| for unit rows. (The inner-product form printed beside it in the paper is another
// function; this is the squared distance.)
//
// Gradient   g = 2 (mu - a) / n: dA = -g, h = (g - (g.mu) mu) / |m|, dX = r h, dY = (1 - r) h.
// Source     Jiang et al. 2023, "Understanding and constructing latent modality structures in
//            multi-modal representation learning", arXiv 2303.05952, section 4.2.
#pragma once

#include <cmath>
#include <vector>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::losses {

struct BrownianBridgeOptions {
  double ratio = 0.25;              ///< r, the weight of X
  std::vector<double> ratios = {};  ///< one a row (of this rank's rows) in its place
};

/// Loss and gradients of brownian_bridge.
template <class Matrix>
struct BrownianBridgeGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix augmented;  ///< dL/dA
  Matrix x;          ///< dL/dX
  Matrix y;          ///< dL/dY
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// One pair's gradients, component by component, from e = a - mu.
struct BridgePull {
  double ratio, step;  ///< r, 2 / n
  double inverse;      ///< 1 / |m|
  double along;        ///< sum of e mu

  SPHEREMIX_HD static double middle(double r, double x, double y) { return r * x + (1 - r) * y; }
  /// 1 / |m| from |m|^2; NaN where the squares have lost their digits or overflowed.
  SPHEREMIX_HD static double inverse_of(double square) {
    return square >= 1e-280 && square <= core::largest<double> ? 1 / std::sqrt(square)
                                                               : core::nan<double>;
  }
  SPHEREMIX_HD double augmented(double e) const { return step * e; }
  /// h, of which X has r and Y the rest.
  SPHEREMIX_HD double middle_gradient(double e, double mu) const {
    return -step * (e - along * mu) * inverse;
  }
  SPHEREMIX_HD double x(double h) const { return ratio * h; }
  SPHEREMIX_HD double y(double h) const { return (1 - ratio) * h; }
};

}  // namespace spheremix::formula
