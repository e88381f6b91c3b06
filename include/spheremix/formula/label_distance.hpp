// How far apart labels are, where rounding has moved them: labels in fractional steps and the same
// in whole steps agree about which are equal and which lie in a window.
//
//   equal     b - a <= tolerance            inside    b - a < window - tolerance
//
// both to a few eps of what the labels and the length are; tolerance 0: the same value, nothing else.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/exact_number.hpp"

namespace spheremix::formula {

struct LabelDistance {
  double resolution = 0;  ///< eps of the labels' type, 0 for integers

  /// What rounding of the labels and of `length` may come to.
  SPHEREMIX_HD double slack(core::ExactNumber a, core::ExactNumber b, double length) const {
    const double x = a.high < 0 ? -a.high : a.high, y = b.high < 0 ? -b.high : b.high,
                 least = core::epsilon<double>;
    return 4 * (resolution * (x > y ? x : y) + (resolution > least ? resolution : least) * length);
  }
  /// For a <= b.
  SPHEREMIX_HD bool equal(core::ExactNumber a, core::ExactNumber b, double tolerance) const {
    return b - a <= (tolerance > 0 ? tolerance + slack(a, b, tolerance) : 0);
  }
  /// Nearer than `window`, and not within `tolerance` of its edge. For a <= b.
  SPHEREMIX_HD bool inside(core::ExactNumber a, core::ExactNumber b, double window,
                           double tolerance) const {
    if (!(window <= core::largest<double>)) return true;
    return b - a < window - tolerance - slack(a, b, window);
  }
};

}  // namespace spheremix::formula
