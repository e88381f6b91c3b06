// nt_xent on the device: formula and options in formula/nt_xent.hpp; gradients, cost and memory in
// stacked.cuh. Types and errors as in clip.cuh.
#pragma once

#include "spheremix/formula/nt_xent.hpp"
#include "spheremix/gpu/losses/detail/stacked.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::NtXentOptions;

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status nt_xent(core::MatrixView<const T> x, core::MatrixView<const T> y,
               const NtXentOptions& options, double* loss, Scratch scratch,
               cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::stacked_checked(x, y, {options.temperature, false},
                                 ContrastiveGradient<T>{loss, {}, {}, nullptr}, scratch, stream,
                                 how);
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status nt_xent_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                             const NtXentOptions& options, const ContrastiveGradient<T>& out,
                             Scratch scratch, cudaStream_t stream = nullptr,
                             const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::stacked_checked(x, y, {options.temperature, false}, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
