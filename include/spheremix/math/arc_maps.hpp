// The maps of the sphere in the midpoint frame of arc.hpp: slerp, logarithm, distance, gradients.
// Each gives coefficients of S = a + b and D = b - a (and of the cotangent g) for the rows.
//
//   slerp(a, b, t) = gamma(t)  =  cos((t - 1/2) theta) e1 + sin((t - 1/2) theta) e2
//   unit velocity    gamma'(t) = -sin((t - 1/2) theta) e1 + cos((t - 1/2) theta) e2
//   log_a(b)       = theta ( sin(theta/2) e1 + cos(theta/2) e2 )
//   weights        w_a = sin((1-t) theta)/sin(theta),  w_b = sin(t theta)/sin(theta)
//
// Gradients are tangent at a and at b.
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"
#include "spheremix/math/arc.hpp"

namespace spheremix::math {

/// The vector s S + d D.
template <class T>
struct ArcVector {
  T s, d;
};

/// x e1 + y e2 in terms of S and D.
template <class T>
SPHEREMIX_HD inline ArcVector<T> arc_vector(const Arc<T>& arc, T x, T y) {
  return {x * arc.e1_s + y * arc.e2_s, x * arc.e1_d + y * arc.e2_d};
}

/// gamma(t). Where t is 0 or 1, or arc.coincident, the caller copies the input instead: those are
/// exact.
template <class T>
SPHEREMIX_HD inline ArcVector<T> arc_slerp(const Arc<T>& arc, T t) {
  const T phi = (t - T(0.5)) * arc.theta;
  return arc_vector(arc, T(std::cos(phi)), T(std::sin(phi)));
}

/// log_a(b), |log| = theta.
template <class T>
SPHEREMIX_HD inline ArcVector<T> arc_log(const Arc<T>& arc) {
  return arc_vector(arc, arc.theta * arc.sin_half, arc.theta * arc.cos_half);
}

/// gamma'(0), the unit direction of b from a; 0 where a = b.
template <class T>
SPHEREMIX_HD inline ArcVector<T> arc_leave(const Arc<T>& arc) {
  return arc_vector(arc, arc.sin_half, arc.cos_half);
}

/// gamma'(1), the unit direction of travel on arrival at b; 0 where a = b.
template <class T>
SPHEREMIX_HD inline ArcVector<T> arc_arrive(const Arc<T>& arc) {
  return arc_vector(arc, -arc.sin_half, arc.cos_half);
}

/// The slerp weights of a and b: gamma(t) = a_weight a + b_weight b (up to rounding / sin(theta)).
template <class T>
struct ArcWeights {
  T a, b;
};

/// The weights of a and b in slerp(a, b, t).
template <class T>
SPHEREMIX_HD inline ArcWeights<T> arc_weights(const Arc<T>& arc, T t) {
  if (arc.coincident) return {1 - t, t};
  const T sine = arc.sine();
  return {std::sin((1 - t) * arc.theta) / sine, std::sin(t * arc.theta) / sine};
}

/// Pullbacks to a and b:  dL/da = g_a g + s_a S + d_a D, dL/db = g_b g + s_b S + d_b D, and dL/dt.
template <class T>
struct ArcGradient {
  T g_a, s_a, d_a;
  T g_b, s_b, d_b;
  T t;
};

/// Gradient of L through gamma(t) for g = dL/dgamma, from gs = g.S and gd = g.D. With
/// k = g.gamma'(t) and gp the part of g outside the plane of a and b:
///   dL/da = w_a gp + (1-t) k gamma'(0),   dL/db = w_b gp + t k gamma'(1),   dL/dt = theta k
/// because a displacement out of the plane is carried with weight w, and one along the arc in
/// proportion.
template <class T>
SPHEREMIX_HD inline ArcGradient<T> arc_slerp_vjp(const Arc<T>& arc, T t, T gs, T gd) {
  const T g1 = arc.e1_s * gs + arc.e1_d * gd, g2 = arc.e2_s * gs + arc.e2_d * gd;
  const T phi = (t - T(0.5)) * arc.theta;
  const T k = std::cos(phi) * g2 - std::sin(phi) * g1;
  const ArcWeights<T> w = arc_weights(arc, t);
  const T ka = (1 - t) * k, kb = t * k;
  const ArcVector<T> a =
      arc_vector(arc, ka * arc.sin_half - w.a * g1, ka * arc.cos_half - w.a * g2);
  const ArcVector<T> b =
      arc_vector(arc, -kb * arc.sin_half - w.b * g1, kb * arc.cos_half - w.b * g2);
  return {w.a, a.s, a.d, w.b, b.s, b.d, arc.theta * k};
}

/// Gradient of g theta(a, b): dtheta/da = -gamma'(0), dtheta/db = gamma'(1), and 0 where theta is 0
/// or pi.
template <class T>
SPHEREMIX_HD inline ArcGradient<T> arc_distance_vjp(const Arc<T>& arc, T g) {
  if (arc.coincident || arc.antipodal) return {0, 0, 0, 0, 0, 0, 0};
  const ArcVector<T> a = arc_leave(arc), b = arc_arrive(arc);
  return {0, -g * a.s, -g * a.d, 0, g * b.s, g * b.d, 0};
}

}  // namespace spheremix::math
