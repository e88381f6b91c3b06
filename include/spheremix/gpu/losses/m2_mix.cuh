// m2_mix on the device: formula, gradient and options in formula/m2_mix.hpp.
//
// Shapes   X, Y: N x D unit rows, float, double, Half or Bfloat16; lambda one number, or one a row
//          in device memory (f32; f64 for double rows).
// Memory   the operands (4 N D bytes unless fp16 and aligned), 35 N bytes and at most 50 MiB
//          (D up to 4096).
// Errors   as in clip.cuh; one lambda outside [0, 1] is a Status, one in device memory gives NaN,
//          as does an antipodal pair.
#pragma once

#include "spheremix/gpu/losses/detail/m2_tables.cuh"

namespace spheremix::gpu::losses {

namespace detail {

template <class T>
const char* lambda_error(const RowScalar<Arithmetic<T>>& lambda) {
  return lambda.each || (lambda.all >= 0 && lambda.all <= 1) ? nullptr
                                                             : "lambda lies outside [0, 1]";
}

template <class T, class Products>
Status m2_mix_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                      const RowScalar<Arithmetic<T>>& lambda, const M2MixOptions& options,
                      const MixGradient<T>& out, Scratch scratch, cudaStream_t stream,
                      const Products& how) {
  if (const char* wrong = target_error(options)) return invalid(wrong);
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  const M2Call call{options.temperature, options.reduction == Reduction::sum ? 1.0 : 0.5,
                    options.negatives, false};
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    m2_tables<Tile>(work, x, y, lambda, call, block, out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status m2_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
              RowScalar<Arithmetic<T>> lambda, const M2MixOptions& options, double* loss,
              Scratch scratch, cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::m2_mix_checked(
      x, y, lambda, options, MixGradient<T>{loss, {}, {}, nullptr, nullptr}, scratch, stream, how);
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status m2_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            RowScalar<Arithmetic<T>> lambda, const M2MixOptions& options,
                            const MixGradient<T>& out, Scratch scratch,
                            cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::m2_mix_checked(x, y, lambda, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
