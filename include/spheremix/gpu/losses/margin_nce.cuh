// margin_nce on the device: formula, gradient and options in formula/margin_nce.hpp.
//
// Shapes, types and memory as in clip.cuh; one kernel more than info_nce with gradients.
// Errors   as in clip.cuh, and a margin that is negative, not finite or too large for the
//          temperature.
#pragma once

#include "spheremix/formula/margin_nce.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::MarginNceOptions;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using MarginNceGradient = spheremix::losses::MarginNceGradient<Places<T>>;

namespace detail {
template <class T, class Products>
Status margin_nce_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                          const MarginNceOptions& options, const MarginNceGradient<T>& out,
                          Scratch scratch, cudaStream_t stream, const Products& how) {
  if (options.temperature > 0 &&
      !spheremix::losses::margin_fits<Arithmetic<T>>(options.margin, options.temperature))
    return invalid("the margin is not at least 0, or more than a logit can hold");
  return contrastive_checked<true, false>(
      x, y, {options.temperature, 1.0 / double(x.rows), 0, options.margin},
      ContrastiveGradient<T>{out.loss, out.x, out.y, out.log_temperature}, scratch, stream, how,
      out.margin);
}
}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status margin_nce(core::MatrixView<const T> x, core::MatrixView<const T> y,
                  const MarginNceOptions& options, double* loss, Scratch scratch,
                  cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::margin_nce_checked(
      x, y, options, MarginNceGradient<T>{loss, {}, {}, nullptr, nullptr}, scratch, stream, how);
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status margin_nce_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                const MarginNceOptions& options, const MarginNceGradient<T>& out,
                                Scratch scratch, cudaStream_t stream = nullptr,
                                const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::margin_nce_checked(x, y, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
