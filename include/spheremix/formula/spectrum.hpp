
//
// How many dimensions a batch uses, and how evenly.
//
//   sigma            singular values of X, or of X - 1 mean^T (centred)
//   effective_rank   exp H(p), H = -sum p log p, p = sigma / sum sigma (+ epsilon)
//                    centred = false, epsilon = 1e-7 on unit rows: RankMe
//   isotropy         IsoScore: 1 for equal variance along every axis, 0 for one axis alone:
//                    ((d - e^2 (d - sqrt d))^2 / d - 1) / (d - 1), with v the variances of the
//                    principal axes, w = sqrt(d) v / |v|, e = |w - 1| / sqrt(2 (d - sqrt d))
//   anisotropy       mean cosine of pairs i < j: (|sum u_i|^2 - N) / (N (N - 1)), u_i = x_i / |x_i|
//
// Source     Roy and Vetterli 2007, "The effective rank"; Garrido et al. 2023, "RankMe", arXiv
//            2210.02885; Rudman et al. 2022, "IsoScore", arXiv 2108.07344; Ethayarajh 2019, arXiv
//            1909.00512.
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"

namespace spheremix::metrics {

struct SpectrumOptions {
  bool centred = false;  ///< true: of X less its mean row
};

struct EffectiveRankOptions {
  double epsilon = 0;    ///< added to every share
  bool centred = false;  ///< true: of X less its mean row
};

}  // namespace spheremix::metrics

namespace spheremix::formula {

/// A singular value from its square, an eigenvalue of `size` second moments of which `top` is the largest:
/// what is noise counts as 0, NaN stays.
SPHEREMIX_HD inline double singular_value(double square, double top, double size) {
  const double noise = 4e-16 * size * (top > 0 ? top : 0.0);
  return square > noise ? std::sqrt(square) : square == square ? 0.0 : square;
}

/// -p log p.
SPHEREMIX_HD inline double entropy_of(double p) {
  return p > 0 ? -p * std::log(p) : p == 0 ? 0.0 : p;
}

/// Of d columns.
struct IsoScore {
  double d;

  /// (w - 1)^2 of an axis; `fourth`: the sum of sigma^4.
  SPHEREMIX_HD double off(double sigma, double fourth) const {
    const double w = std::sqrt(d) * sigma * sigma / std::sqrt(fourth);
    return (w - 1) * (w - 1);
  }
  /// From the sum over `count` axes; the others have no variance, w = 0.
  SPHEREMIX_HD double value(double sum, double count) const {
    const double slack = d - std::sqrt(d), defect = (sum + (d - count)) / (2 * slack);
    const double kept = d - defect * slack;
    return (kept * kept / d - 1) / (d - 1);
  }
};

}  // namespace spheremix::formula
