// The arc between two rows, found by the threads of a group: the passes of math/arc.hpp over
// registers.
#pragma once

#include "spheremix/gpu/core/row_group.cuh"
#include "spheremix/math/arc.hpp"
#include "spheremix/math/arc_maps.hpp"

namespace spheremix::gpu::sphere::detail {

/// Rows stored in 16 bits are unit only to 2^-11 (2^-8): what the arc needs is made unit in f32
/// first.
template <class T, class Group>
__device__ void make_unit(const Group& group, typename Group::Values& x) {
  if constexpr (sizeof(T) == 2) {
    typename Group::A squares[1] = {0};
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) squares[0] += x[k] * x[k];
    group.sum(squares);
    const typename Group::A inverse = 1 / std::sqrt(squares[0]);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) x[k] *= inverse;
  }
}

/// Further passes where the first did not settle the arc (rows within a few eps of equal or
/// antipodal).
template <class Group, class A>
__device__ void refine(const Group& group, const typename Group::Values& a,
                       const typename Group::Values& b, math::ArcSums<A>& sums) {
  while (sums.unsettled()) {  // the same in every thread: the sums have the same bits
    sums.prepare();
    A pass[2] = {0, 0};
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) {
      const A d = b[k] - a[k], s = a[k] + b[k];
      const A shorter = sums.difference_is_shorter ? d : s,
              longer = sums.difference_is_shorter ? s : d;
      const A h = sums.scale * (shorter - sums.shift * longer);
      pass[0] += h * h;
      pass[1] += h * longer;
    }
    group.sum(pass);
    sums.refine(pass[0], pass[1]);
  }
}

/// The arc from row a to row b.
template <class Group>
__device__ math::Arc<typename Group::A> row_arc(const Group& group, const typename Group::Values& a,
                                                const typename Group::Values& b) {
  using A = typename Group::A;
  A pass[3] = {0, 0, 0};
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) {
    const A d = b[k] - a[k], s = a[k] + b[k];
    pass[0] += d * d;
    pass[1] += s * s;
    pass[2] += d * s;
  }
  group.sum(pass);
  math::ArcSums<A> sums(pass[0], pass[1], pass[2]);
  refine(group, a, b, sums);
  return math::Arc<A>(sums);
}

/// The arc from row a to row b, and the projections of a third row on their sum and difference.
template <class A>
struct ArcAndProjections {
  math::Arc<A> arc;
  A on_sum, on_difference;
};

template <class Group>
__device__ ArcAndProjections<typename Group::A> row_arc(const Group& group,
                                                        const typename Group::Values& a,
                                                        const typename Group::Values& b,
                                                        const typename Group::Values& g) {
  using A = typename Group::A;
  A pass[5] = {0, 0, 0, 0, 0};
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) {
    const A d = b[k] - a[k], s = a[k] + b[k];
    pass[0] += d * d;
    pass[1] += s * s;
    pass[2] += d * s;
    pass[3] += g[k] * s;
    pass[4] += g[k] * d;
  }
  group.sum(pass);
  math::ArcSums<A> sums(pass[0], pass[1], pass[2]);
  refine(group, a, b, sums);
  return {math::Arc<A>(sums), pass[3], pass[4]};
}

}  // namespace spheremix::gpu::sphere::detail
