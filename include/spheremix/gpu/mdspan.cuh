// The row functions, mixup and metrics over libcu++'s mdspan: wherever a function of these takes a
// view, it also takes a ::cuda::std::mdspan of rank 2 whose columns lie next to each other
// (layout_right, layout_stride). Any other is refused with a status.
//
//   sphere::slerp_rows(u, v, 0.3, out)
//   sphere::slerp_rows_vjp(u, v, 0.3, g, sphere::SlerpGradient<float>{view(du), view(dv), dt})
#pragma once

#include <utility>

#include "spheremix/gpu/core/mdspan.cuh"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/hubness.cuh"
#include "spheremix/gpu/metrics/modality_gap.cuh"
#include "spheremix/gpu/metrics/retrieval.cuh"
#include "spheremix/gpu/metrics/spectrum.cuh"
#include "spheremix/gpu/mixup/geodesic.cuh"
#include "spheremix/gpu/mixup/linear.cuh"
#include "spheremix/gpu/mixup/sampling.cuh"
#include "spheremix/gpu/sphere/distance.cuh"
#include "spheremix/gpu/sphere/exp_log.cuh"
#include "spheremix/gpu/sphere/frechet_mean.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "spheremix/gpu/sphere/sampling.cuh"
#include "spheremix/gpu/sphere/slerp.cuh"

namespace spheremix::gpu::detail {

template <class>
inline constexpr bool is_mdspan = false;
template <class T, class Extents, class Layout, class Accessor>
inline constexpr bool is_mdspan<::cuda::std::mdspan<T, Extents, Layout, Accessor>> = true;

template <class... Arguments>
concept SomeMdspan = (is_mdspan<std::remove_cvref_t<Arguments>> || ...);

/// A view of an mdspan; anything else as it is.
template <class Argument>
decltype(auto) without_mdspan(Argument&& argument) {
  if constexpr (is_mdspan<std::remove_cvref_t<Argument>>)
    return view(argument);
  else
    return std::forward<Argument>(argument);
}

}  // namespace spheremix::gpu::detail

/// The overload of `function` for arguments with an mdspan among them.
#define SPHEREMIX_TAKES_MDSPAN(function)                                                  \
  template <class... Arguments>                                                           \
  requires ::spheremix::gpu::detail::SomeMdspan<Arguments...> Status function(            \
      Arguments&&... arguments) {                                                         \
    return function(                                                                      \
        ::spheremix::gpu::detail::without_mdspan(std::forward<Arguments>(arguments))...); \
  }

namespace spheremix::gpu::sphere {
SPHEREMIX_TAKES_MDSPAN(normalize_rows)
SPHEREMIX_TAKES_MDSPAN(normalize_rows_vjp)
SPHEREMIX_TAKES_MDSPAN(geodesic_distance_rows)
SPHEREMIX_TAKES_MDSPAN(geodesic_distance_rows_vjp)
SPHEREMIX_TAKES_MDSPAN(slerp_rows)
SPHEREMIX_TAKES_MDSPAN(slerp_rows_vjp)
SPHEREMIX_TAKES_MDSPAN(tangent_rows)
SPHEREMIX_TAKES_MDSPAN(exp_map_rows)
SPHEREMIX_TAKES_MDSPAN(log_map_rows)
SPHEREMIX_TAKES_MDSPAN(parallel_transport_rows)
SPHEREMIX_TAKES_MDSPAN(frechet_mean)
SPHEREMIX_TAKES_MDSPAN(sample_uniform)
SPHEREMIX_TAKES_MDSPAN(sample_von_mises_fisher)
}  // namespace spheremix::gpu::sphere

namespace spheremix::gpu::mixup {
SPHEREMIX_TAKES_MDSPAN(geodesic)
SPHEREMIX_TAKES_MDSPAN(geodesic_vjp)
SPHEREMIX_TAKES_MDSPAN(linear)
SPHEREMIX_TAKES_MDSPAN(linear_vjp)
SPHEREMIX_TAKES_MDSPAN(gather_rows)
}  // namespace spheremix::gpu::mixup

namespace spheremix::gpu::metrics {
SPHEREMIX_TAKES_MDSPAN(alignment)
SPHEREMIX_TAKES_MDSPAN(alignment_with_gradient)
SPHEREMIX_TAKES_MDSPAN(modality_gap)
SPHEREMIX_TAKES_MDSPAN(column_means)
SPHEREMIX_TAKES_MDSPAN(center_rows)
SPHEREMIX_TAKES_MDSPAN(retrieval)
SPHEREMIX_TAKES_MDSPAN(retrieval_ranks)
SPHEREMIX_TAKES_MDSPAN(relative_alignment)
SPHEREMIX_TAKES_MDSPAN(hubness)
SPHEREMIX_TAKES_MDSPAN(singular_values)
SPHEREMIX_TAKES_MDSPAN(effective_rank)
SPHEREMIX_TAKES_MDSPAN(isotropy)
SPHEREMIX_TAKES_MDSPAN(anisotropy)
}  // namespace spheremix::gpu::metrics

#undef SPHEREMIX_TAKES_MDSPAN
