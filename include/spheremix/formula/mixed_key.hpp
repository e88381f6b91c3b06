// An anchor against a mixed row as the key, m = a x + b y, from the anchor's cosines with x and y: of
// CLIP + m2-Mix and SupReMix, for numbers and vectors.
//
//   logit      z = scale (a anchor.x + b anchor.y)
//   gradient   with u = dL/d(anchor.m):  u a to anchor.x,  u b to anchor.y,  u anchor.x to a,
//              u anchor.y to b
#pragma once

#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

template <class N, class S, class W>
SPHEREMIX_HD SPHEREMIX_INLINE void mixed_logit(const S& scale, const W& a, const W& b,
                                               const N& to_x, const N& to_y, N& z) {
  z = scale * (a * to_x + b * to_y);
}

/// With the weights `share` and 1 - share.
template <class T>
SPHEREMIX_HD SPHEREMIX_INLINE T shared_logit(T scale, T share, T to_x, T to_y) {
  T z;
  mixed_logit(scale, share, T(1) - share, to_x, to_y, z);
  return z;
}

/// Adds.
template <class N, class W>
SPHEREMIX_HD SPHEREMIX_INLINE void mixed_gradient(const N& u, const W& a, const W& b, const N& to_x,
                                                  const N& to_y, N& of_x, N& of_y, N& of_a,
                                                  N& of_b) {
  of_x += u * a;
  of_y += u * b;
  of_a += u * to_x;
  of_b += u * to_y;
}

}  // namespace spheremix::formula
