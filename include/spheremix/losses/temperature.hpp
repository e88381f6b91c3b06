// The temperature of a contrastive loss: checks, and the clamp of a learned one.
#pragma once

#include <cmath>

#include "spheremix/core/checks.hpp"

namespace spheremix::losses {

/// A learned logit scale after clamping, and the factor its gradient takes.
struct ClampedLogScale {
  double value;     ///< min(max(log_scale, low), high)
  double gradient;  ///< d value / d log_scale: 1 inside and at the ends, 0 outside
};

/// Keeps a learned log logit scale, ln(1 / tau), in [0, ln 100] (CLIP's range). Outside the range
/// the gradient is 0, as for torch.clamp: a scale that has run out stays where it is until
/// something else moves it, so clamp the *parameter* after each step if it should come back at
/// once. Since log_temperature is dL/d ln(tau), dL/d log_scale = -log_temperature * gradient.
/// NaN stays NaN.
inline ClampedLogScale clamp_log_scale(double log_scale, double low = 0,
                                       double high = 4.605170185988092) {
  core::expects(low <= high, "clamp_log_scale", "the range is [", low, ", ", high, "]");
  if (log_scale < low) return {low, 0};
  if (log_scale > high) return {high, 0};
  return {log_scale, 1};
}

namespace detail {

/// Throws unless tau > 0 and 1/tau is finite in T.
template <class T>
void expects_temperature(const char* function, const char* name, double tau) {
  core::expects(tau > 0 && std::isfinite(tau) && T(1 / tau) > 0 && std::isfinite(T(1 / tau)),
                function, name, " is ", tau,
                ", which must be positive and neither it nor its inverse may overflow");
}

}  // namespace detail
}  // namespace spheremix::losses
