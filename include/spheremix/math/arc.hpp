// The arc between two unit vectors a and b, from three sums over their components.
//
//   D = b - a,  S = a + b,  the SHORTER of the two made orthogonal to the longer:
//   e1 = S/|S|,  e2 = D/|D|,  theta = 2 atan2(|D|, |S|)
//
// This midpoint frame keeps full relative accuracy from angle 0 to pi. No acos, no threshold on
// theta. Every map of sphere/ (arc_maps.hpp) is a combination s S + d D, evaluated with S and D
// formed component by component: a combination of a and b themselves would cancel near pi.
//
// How to use it for a row, on the host or by a warp on the device:
//   1. one pass, three sums:   ArcSums<T> sums(D.D, S.S, D.S)
//   2. rarely (unit rows within a few eps of equal or antipodal), at most kArcRefinements times,
//      one more pass with two sums; h and l are the shorter and the longer of D and S:
//        while (sums.unsettled()) {
//          sums.prepare();
//          // h'_k = sums.scale * (h_k - sums.shift * l_k)
//          sums.refine(h'.h', h'.l);
//        }
//   3. Arc<T> arc(sums)        scalars only
//   4. one pass that writes s (a + b) + d (b - a) with the coefficients of arc_maps.hpp.
// The vjp of slerp needs g.S and g.D besides: five sums in the first pass, no further one.
//
// Errors: none here. Antipodal points give arc.antipodal and infinite or NaN coefficients; NaN
// gives NaN. Angles below the smallest normal number count as 0.
// [Kahan 2006, "How Futile are Mindless Assessments of Roundoff", section 12, for the angle]
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::math {

/// Further passes at most, for unit rows within a few eps of equal or antipodal.
inline constexpr int kArcRefinements = 3;

/// The sums that an arc is made of, and what the next pass must compute where the first did not
/// suffice.
template <class T>
struct ArcSums {
  bool difference_is_shorter;  ///< true: h = D, l = S; false: h = S, l = D
  T shorter, longer, cross;  ///< h.h, l.l, h.l, with h = scale * (shorter one - shift * longer one)
  T shift = 0, scale = 1;    ///< what h has had done to it so far
  int refinements = 0;
  T first;  ///< h.h before any refinement

  /// From D.D, S.S and D.S.
  SPHEREMIX_HD ArcSums(T dd, T ss, T ds)
      : difference_is_shorter(!(dd > ss)),
        shorter(difference_is_shorter ? dd : ss),
        longer(difference_is_shorter ? ss : dd),
        cross(ds),
        first(shorter) {}

  /// True where h.h is too small for its squares or h is nearly parallel to l: |cos| > 1/sqrt(2).
  SPHEREMIX_HD bool unsettled() const {
    if (refinements >= kArcRefinements || (refinements > 0 && shorter == 0)) return false;
    const bool vanishing = refinements == 0 && shorter < tiny();
    return vanishing || cross * (cross / longer) > T(0.5) * shorter;
  }

  /// Sets the shift and scale to form h with in the next pass.
  SPHEREMIX_HD void prepare() {
    if (refinements == 0 && shorter < tiny())
      scale = rescale();  // the same sums anew, at a scale where they have all their digits
    else
      shift += cross / longer / scale;
  }

  /// Takes h.h and h.l of the pass. What is left of h at its own rounding level is 0.
  SPHEREMIX_HD void refine(T hh, T hl) {
    ++refinements;
    if (shift == 0) first = hh;
    shorter = hh <= 16 * core::epsilon<T> * core::epsilon<T> * first ? T(0) : hh;
    cross = shorter == 0 ? T(0) : hl;
  }

 private:
  // Below tiny() squares lose digits or vanish. h * rescale() squares to at most 2^122 (2^1002) for
  // unit rows.
  SPHEREMIX_HD static constexpr T tiny() {
    if constexpr (sizeof(T) == 4)
      return T(0x1p-80);
    else
      return T(0x1p-900);
  }
  SPHEREMIX_HD static constexpr T rescale() {
    if constexpr (sizeof(T) == 4)
      return T(0x1p60);
    else
      return T(0x1p500);
  }
};

/// The midpoint frame in coordinates: e1 = e1_s S + e1_d D, e2 = e2_s S + e2_d D.
template <class T>
struct Arc {
  T theta;               ///< angle, [0, pi]
  T sin_half, cos_half;  ///< of theta / 2
  T e1_s, e1_d;
  T e2_s, e2_d;     ///< 0, 0 where a = b (e2 is then undefined and never needed)
  bool coincident;  ///< theta is 0
  bool antipodal;   ///< theta is pi to the last digit: e1 is undefined

  SPHEREMIX_HD explicit Arc(const ArcSums<T>& sums) {
    const T c = sums.cross / sums.longer;
    const T left = sums.shorter - sums.cross * c;  // |h|^2 once orthogonal, still scaled
    const T h = left < 0 ? T(0) : std::sqrt(left);
    const T l = std::sqrt(sums.longer);
    const T inverse_h = sums.scale / h, inverse_l = 1 / l;
    const T shift = sums.shift + c / sums.scale;
    const T length = h / sums.scale;
    const T sum = sums.difference_is_shorter ? l : length,
            difference = sums.difference_is_shorter ? length : l;
    const T both = std::sqrt(sum * sum + difference * difference);
    theta = 2 * std::atan2(difference, sum);
    sin_half = difference / both;
    cos_half = sum / both;
    coincident = difference == 0 && sum > 0;
    antipodal = sum == 0 && difference > 0;
    if (sums.difference_is_shorter) {
      e1_s = inverse_l;
      e1_d = 0;
      e2_s = coincident ? T(0) : -shift * inverse_h;
      e2_d = coincident ? T(0) : inverse_h;
    } else {
      e1_s = inverse_h;
      e1_d = -shift * inverse_h;
      e2_s = 0;
      e2_d = inverse_l;
    }
  }

  /// sin(theta) from the lengths: relative accuracy up to pi, which the sine of the angle has not.
  SPHEREMIX_HD T sine() const { return 2 * sin_half * cos_half; }
};

}  // namespace spheremix::math
