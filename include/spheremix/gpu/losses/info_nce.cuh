// info_nce on the device: formula, gradient and options in formula/info_nce.hpp.
//
// Shapes, types, memory and errors as in clip.cuh.
#pragma once

#include "spheremix/formula/info_nce.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::InfoNceOptions;

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status info_nce(core::MatrixView<const T> x, core::MatrixView<const T> y,
                const InfoNceOptions& options, double* loss, Scratch scratch,
                cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::contrastive_checked<true, false>(
      x, y, {options.temperature, 1.0 / double(x.rows), 0},
      ContrastiveGradient<T>{loss, {}, {}, nullptr}, scratch, stream, how);
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status info_nce_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                              const InfoNceOptions& options, const ContrastiveGradient<T>& out,
                              Scratch scratch, cudaStream_t stream = nullptr,
                              const Products& how = {}) {
  if (const char* wrong = detail::target_error(options)) return invalid(wrong);
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::contrastive_checked<true, false>(
      x, y, {options.temperature, 1.0 / double(x.rows), 0}, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
