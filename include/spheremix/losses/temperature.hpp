// The clamp of a learned temperature of a contrastive loss.
#pragma once

#include "spheremix/core/checks.hpp"

namespace spheremix::losses {

/// A learned logit scale after clamping, and the factor its gradient takes.
struct ClampedLogScale {
  double value;     ///< min(max(log_scale, low), high)
  double gradient;  ///< d value / d log_scale: 1 inside and at the ends, 0 outside
};

/// A learned log logit scale, ln(1 / tau), held in [0, ln 100]: tau in [.01, 1], CLIP's range.
///
///   after each step    log_scale = clamp_log_scale(log_scale).value;
///   its gradient       dL/d log_scale = -dL/d ln(tau) = -g.log_temperature
///
/// That is open_clip's way. Where the parameter is left alone and only its use is clamped, as by
/// torch.clamp, multiply by `gradient`: it is 0 outside, so such a parameter does not come back.
/// NaN stays NaN.
inline ClampedLogScale clamp_log_scale(double log_scale, double low = 0,
                                       double high = 4.605170185988092) {
  core::expects(low <= high, "clamp_log_scale", "the range is [", low, ", ", high, "]");
  if (log_scale < low) return {low, 0};
  if (log_scale > high) return {high, 0};
  return {log_scale, 1};
}

}  // namespace spheremix::losses
