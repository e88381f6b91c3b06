// Deep feature separation: each modality has a second, independent feature, orthogonal to the
// shared one, told apart by contrast and spread over the sphere.
//
//   ortho       (1/n) sum_j [ (x_j.xi_j)^2 + (y_j.yi_j)^2 ]
//   contrast    -(1/n) sum_j log e^(xi_j.xa_j/tau) / sum_k e^(xi_j.key_k/tau), and the same for y:
//               Denominator::printed    keys are xi itself, k = j included (the text's formula)
//               Denominator::augmented  keys are xa: InfoNCE of xi against xa
//   uniformity  joint:    log (1/n) sum_jk ( e^(-2 |xi_j - xi_k|^2) + e^(-2 |yi_j - yi_k|^2) )
//               separate: the sum of two logarithms; k = j is included, and 1/n is not 1/n^2
//   L = ortho_weight ortho + contrast_weight contrast + uniformity_weight uniformity
//
// Gradient   the sum of the parts'. ortho: 2 (x.xi) xi / n. printed contrast: P / (n tau) over all
//            pairs less 1 / (n tau) of each positive. uniformity from metrics::uniformity u:
//            sum_jk = n + n (n - 1) e^u.
// Source     Jiang et al. 2023, arXiv 2303.05952, section 4.1.
#pragma once

#include <cmath>
#include <cstddef>

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::losses {

/// The keys of the contrast.
enum class Denominator { printed, augmented };

/// One logarithm of both modalities, or one each.
enum class UniformityReading { joint, separate };

struct FeatureSeparationOptions {
  double temperature = 0.07;                                ///< tau, > 0
  double ortho_weight = 1;                                  ///< of ortho
  double contrast_weight = 1;                               ///< of contrast
  double uniformity_weight = 1;                             ///< of uniformity
  Denominator denominator = Denominator::printed;           ///< keys of contrast: xi itself or xa
  UniformityReading uniformity = UniformityReading::joint;  ///< one logarithm, or one a modality
  std::size_t memory_budget = std::size_t(1) << 30;         ///< bytes of temporary memory
};

/// Loss and gradients of feature_separation.
template <class Matrix>
struct FeatureSeparationGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x, y;                          ///< of the shared features
  Matrix x_independent, y_independent;  ///< of the independent features
  Matrix x_augmented, y_augmented;      ///< of the independent features of the augmented views
  core::NumberBeside<Matrix> log_temperature{};  ///< dL/d ln(tau)
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// The uniformity part from the two batches' uniformities u: (1/n) sum over j != k of each.
struct SeparationSpread {
  bool joint;
  double sum[2];

  SPHEREMIX_HD static double others(double n, double u) { return (n - 1) * std::exp(u); }
  SPHEREMIX_HD double value() const {
    return joint ? std::log(2 + sum[0] + sum[1]) : std::log1p(sum[0]) + std::log1p(sum[1]);
  }
  /// dvalue/du of a side.
  SPHEREMIX_HD double factor(int side) const {
    return sum[side] / (joint ? 2 + sum[0] + sum[1] : 1 + sum[side]);
  }
};

}  // namespace spheremix::formula
