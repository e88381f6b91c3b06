// clip on the device: formula, gradient and options in formula/clip.hpp.
//
// Shapes   X, Y: N x D, float, double, Half or Bfloat16, rows as they are (unit rows are meant).
// Memory   contrastive.cuh.
// Errors   shapes, an empty batch, a temperature that is not positive, gradients that overlap a
//          batch or each other, too small a scratch: a Status, nothing is enqueued. NaN or infinity
//          in a row gives a NaN loss.
#pragma once

#include "spheremix/formula/clip.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::ClipOptions;

/// *loss (device memory). `how`: precision, ranges and products (pairwise/precision.cuh).
template <class T, class Products = pairwise::KernelProducts>
Status clip(core::MatrixView<const T> x, core::MatrixView<const T> y, const ClipOptions& options,
            double* loss, Scratch scratch, cudaStream_t stream = nullptr,
            const Products& how = {}) {
  if (const char* wrong = detail::target_error(options)) return invalid(wrong);
  const double half = 0.5 / double(x.rows);
  return detail::contrastive_checked<true, true>(x, y, {options.temperature, half, half},
                                                 ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                                 scratch, stream, how);
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status clip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                          const ClipOptions& options, const ContrastiveGradient<T>& out,
                          Scratch scratch, cudaStream_t stream = nullptr,
                          const Products& how = {}) {
  if (const char* wrong = detail::target_error(options)) return invalid(wrong);
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  const double half = 0.5 / double(x.rows);
  return detail::contrastive_checked<true, true>(x, y, {options.temperature, half, half}, out,
                                                 scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
