// What several losses hand back, on either machine. Matrix: RowMatrix<T>, an Eigen::Map of the caller's
// buffers, or core::MatrixView<T> in device memory, whose numbers are pointers (core::NumberBeside).
// The result of one loss alone stands with its formula.
#pragma once

#include "spheremix/core/view.hpp"

namespace spheremix::losses {

/// Loss and gradients of two batches and a temperature.
template <class Matrix>
struct ContrastiveGradient {
  core::NumberBeside<Matrix> loss{};             ///< in nats
  Matrix x;                                      ///< dL/dX, n x d
  Matrix y;                                      ///< dL/dY, n x d
  core::NumberBeside<Matrix> log_temperature{};  ///< dL/d ln(tau) = -dL/d logit_scale
};

/// Loss and gradients of two batches without a temperature.
template <class Matrix>
struct PairGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x;  ///< dL/dX
  Matrix y;  ///< dL/dY
};

/// Loss and gradients of the losses that mix. Lambda: a number for one lambda, Vector<T> (or a map)
/// for one a row; on the device a pointer to as many.
template <class Matrix, class Lambda = core::NumberBeside<Matrix>>
struct MixGradient {
  core::NumberBeside<Matrix> loss{};             ///< in nats
  Matrix x;                                      ///< dL/dX, n x d
  Matrix y;                                      ///< dL/dY, n x d
  Lambda lambda{};                               ///< dL/dlambda
  core::NumberBeside<Matrix> log_temperature{};  ///< dL/d ln(tau)
};

/// Loss and gradients of clip_m2_mix and m3_mix.
template <class Matrix, class Lambda = core::NumberBeside<Matrix>>
struct TwoTemperatureGradient {
  core::NumberBeside<Matrix> loss{};                 ///< in nats
  Matrix x;                                          ///< dL/dX, n x d
  Matrix y;                                          ///< dL/dY, n x d
  Lambda lambda{};                                   ///< dL/dlambda
  core::NumberBeside<Matrix> log_temperature{};      ///< dL/d ln(tau)
  core::NumberBeside<Matrix> log_mix_temperature{};  ///< dL/d ln(tau_mix)
};

/// Loss and gradient of a loss of one labelled batch.
template <class Matrix>
struct SupervisedGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix x;                                      ///< dL/dX
  core::NumberBeside<Matrix> log_temperature{};  ///< dL/d ln(tau)
  core::NumberBeside<Matrix, Index>
      skipped{};  ///< anchors without a positive: they have no part in the mean
};

/// Loss and gradients of a loss of logits and two labels a row.
template <class Matrix, class Lambda = core::NumberBeside<Matrix>>
struct MixedLabelGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix logits;
  Lambda lambda{};  ///< a number for one lambda, else one a row
};

/// Loss and gradient of a loss of logits.
template <class Matrix>
struct LogitGradient {
  core::NumberBeside<Matrix> loss{};
  Matrix logits;
};

}  // namespace spheremix::losses
