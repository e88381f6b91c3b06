// The midpoint frame (math/arc.hpp) of two rows in memory: the passes over the components.
#pragma once

#include "spheremix/math/arc_maps.hpp"
#include "spheremix/sphere/row_kernels.hpp"

namespace spheremix::sphere::detail {

/// Repeats the passes that math::ArcSums asks for, then makes the arc.
template <class T>
math::Arc<T> settle(math::ArcSums<T> sums, const T* a, const T* b, Index d) {
  while (sums.unsettled()) [[unlikely]] {
      sums.prepare();
      // l = S, h = D or the other way round; with D = b - a the sign of b's part tells which.
      const T sign = sums.difference_is_shorter ? T(1) : T(-1);
      const T shift = sums.shift, scale = sums.scale;
      const auto [hh, hl] = row_sums<2, T>(d, [=](auto at, auto* sum) {
        SPHEREMIX_SUMS_IN_ORDER
        using V = typename decltype(at)::Value;
        V x, y;
        at.get(a, x);
        at.get(b, y);
        const V l = y + sign * x;
        V difference = y - sign * x;  // exact
        core::form(difference);
        const V h = scale * (difference - shift * l);
        sum[0] += h * h;
        sum[1] += h * l;
      });
      sums.refine(hh, hl);
    }
  return math::Arc<T>(sums);
}

/// The arc from row a to row b.
template <class T>
math::Arc<T> arc_between(const T* a, const T* b, Index d) {
  const auto [dd, ss, ds] = row_sums<3, T>(d, [=](auto at, auto* sum) {
    using V = typename decltype(at)::Value;
    V x, y;
    at.get(a, x);
    at.get(b, y);
    const V difference = y - x, both = x + y;
    sum[0] += difference * difference;
    sum[1] += both * both;
    sum[2] += difference * both;
  });
  return settle(math::ArcSums<T>(dd, ss, ds), a, b, d);
}

template <class T>
struct ArcAndCotangent {
  math::Arc<T> arc;
  T gs, gd;  ///< g.(a + b), g.(b - a)
};

/// The arc, and what its pullbacks need to know of g, in one pass.
template <class T>
ArcAndCotangent<T> arc_and_cotangent(const T* a, const T* b, const T* g, Index d) {
  const auto [dd, ss, ds, gs, gd] = row_sums<5, T>(d, [=](auto at, auto* sum) {
    using V = typename decltype(at)::Value;
    V x, y, z;
    at.get(a, x);
    at.get(b, y);
    at.get(g, z);
    const V difference = y - x, both = x + y;
    sum[0] += difference * difference;
    sum[1] += both * both;
    sum[2] += difference * both;
    sum[3] += z * both;
    sum[4] += z * difference;
  });
  return {settle(math::ArcSums<T>(dd, ss, ds), a, b, d), gs, gd};
}

/// out = s (a + b) + d (b - a).
template <class T>
void write_arc_vector(math::ArcVector<T> v, const T* a, const T* b, T* out, Index d) {
  over_row<T>(d, [=](auto at) {
    using V = typename decltype(at)::Value;
    V x, y;
    at.get(a, x);
    at.get(b, y);
    at.put(out, V(v.s * (x + y) + v.d * (y - x)));
  });
}

/// Both pullbacks of an arc map: out_a = g_a g + s_a S + d_a D and the same for b.
template <class T>
void write_arc_gradient(const math::ArcGradient<T>& w, const T* a, const T* b, const T* g, T* out_a,
                        T* out_b, Index d) {
  over_row<T>(d, [=](auto at) {
    using V = typename decltype(at)::Value;
    V x, y, z;
    at.get(a, x);
    at.get(b, y);
    at.get(g, z);
    const V both = x + y, difference = y - x;
    at.put(out_a, V(w.g_a * z + w.s_a * both + w.d_a * difference));
    at.put(out_b, V(w.g_b * z + w.s_b * both + w.d_b * difference));
  });
}

}  // namespace spheremix::sphere::detail
