// CyCLIP on the device: CLIP with the similarities made symmetric across and alike within the
// modalities.
//
//   L = clip(X, Y; tau) + (1/N) sum_jk  cross_weight (x_j.y_k - x_k.y_j)^2
//                                     + in_modal_weight (x_j.x_k - y_j.y_k)^2
//
// The squares are of cosines, without the temperature. Types, memory and errors as clip.cuh and
// geometric_consistency.cuh.
// [Goel et al. 2022, arXiv 2205.14459, equations 2 to 4]
#pragma once

#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/geometric_consistency.cuh"

namespace spheremix::gpu::losses {

struct CyclipOptions {
  double temperature = 0.07;
  double cross_weight = 0.25;
  double in_modal_weight = 0.25;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Scratch of cyclip_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t cyclip_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                         const CyclipOptions& options = {}, const Products& products = {}) {
  const std::size_t clip =
      clip_bytes<T>(x, y, {options.temperature, options.precision, options.block}, products);
  const std::size_t rest = geometric_consistency_bytes<T>(x, y);
  return clip > rest ? clip : rest;
}

/// Loss and gradients, all overwritten; dL/d log tau is clip's.
template <class T, class Products = pairwise::KernelProducts>
Status cyclip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const CyclipOptions& options, const ContrastiveGradient<T>& out,
                            Scratch scratch, cudaStream_t stream = nullptr,
                            const Products& products = {}) {
  if (const char* wrong = detail::weights_error(options.cross_weight, options.in_modal_weight))
    return invalid(wrong);
  if (const Status held = scratch_status(scratch, cyclip_bytes<T>(x, y, options, products)); !held)
    return held;
  const Status status =
      clip_with_gradient<T>(x, y, {options.temperature, options.precision, options.block}, out,
                            scratch, stream, products);
  if (!status) return status;
  return detail::consistency(x, y, {options.cross_weight, options.in_modal_weight}, out.loss, true,
                             out.x, out.y, true, scratch, stream);
}

}  // namespace spheremix::gpu::losses
