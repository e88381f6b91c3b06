// decoupled_contrastive on the device: formula and options in formula/decoupled_contrastive.hpp;
// gradients, cost and memory in stacked.cuh. Types and errors as in clip.cuh; N = 1 and a sigma that
// is not positive and finite are errors.
#pragma once

#include "spheremix/formula/decoupled_contrastive.hpp"
#include "spheremix/gpu/losses/detail/stacked.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::DclWeighting;
using spheremix::losses::DecoupledContrastiveOptions;

namespace detail {
template <class T, class Products>
Status decoupled_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                         const DecoupledContrastiveOptions& options,
                         const ContrastiveGradient<T>& out, Scratch scratch, cudaStream_t stream,
                         const Products& how) {
  if (!(options.sigma > 0) || !(options.sigma <= core::largest<double>))
    return invalid("sigma is not a positive finite number");
  const bool weighted = options.weighting == DclWeighting::von_mises_fisher;
  return stacked_checked(x, y, {options.temperature, true, weighted ? options.sigma : 0}, out,
                         scratch, stream, how);
}
}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status decoupled_contrastive(core::MatrixView<const T> x, core::MatrixView<const T> y,
                             const DecoupledContrastiveOptions& options, double* loss,
                             Scratch scratch, cudaStream_t stream = nullptr,
                             const Products& how = {}) {
  return detail::decoupled_checked(x, y, options, ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                   scratch, stream, how);
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status decoupled_contrastive_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                           const DecoupledContrastiveOptions& options,
                                           const ContrastiveGradient<T>& out, Scratch scratch,
                                           cudaStream_t stream = nullptr,
                                           const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::decoupled_checked(x, y, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
