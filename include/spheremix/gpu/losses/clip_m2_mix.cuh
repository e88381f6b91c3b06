// clip_m2_mix on the device: formula and options in formula/clip_m2_mix.hpp; gradients, types and
// errors as clip.cuh and m2_mix.cuh.
//
// Cost     16 N^2 D flops from shared tiles of cosines (clip_m2_shared.cuh). With Negatives::append,
//          and where ClipM2MixOptions::shared is false, one loss after the other: 24, append 32.
// Memory   the operands (4 N D bytes unless fp16 and aligned), 70 N bytes and at most 34 MiB; one
//          after the other as m2_mix.cuh.
#pragma once

#include "spheremix/formula/clip_m2_mix.hpp"
#include "spheremix/gpu/losses/detail/clip_m2_shared.cuh"
#include "spheremix/gpu/losses/m2_mix.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::ClipM2MixOptions;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using ClipM2Gradient = spheremix::losses::TwoTemperatureGradient<Places<T>>;

namespace detail {

template <class T, class Products>
Status clip_m2_mix_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const RowScalar<Arithmetic<T>>& lambda, const ClipM2MixOptions& options,
                           const ClipM2Gradient<T>& out, Scratch scratch, cudaStream_t stream,
                           const Products& how) {
  if (const char* wrong = target_error(options)) return invalid(wrong);
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.mix_temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  if (!(options.weight - options.weight == 0)) return invalid("the weight of m2_mix is not finite");
  const double half = 0.5 / double(x.rows),
               weight = options.weight * (options.reduction == Reduction::sum ? 1.0 : 0.5);
  const MixGradient<T> mix{out.loss, out.x, out.y, out.lambda, out.log_mix_temperature};
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    if (options.shared && options.negatives == Negatives::replace)
      return clip_m2_shared<pairwise::FormingTile<Tile>>(
          work, x, y, lambda, {options.temperature, options.mix_temperature, weight}, block, mix,
          out.log_temperature, how);
    contrastive<Tile, true, true>(
        work, x, y, {options.temperature, half, half}, block,
        ContrastiveGradient<T>{out.loss, out.x, out.y, out.log_temperature}, how);
    m2_tables<Tile>(work, x, y, lambda, {options.mix_temperature, weight, options.negatives, true},
                    block, mix, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status clip_m2_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
                   RowScalar<Arithmetic<T>> lambda, const ClipM2MixOptions& options, double* loss,
                   Scratch scratch, cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::clip_m2_mix_checked(x, y, lambda, options,
                                     ClipM2Gradient<T>{loss, {}, {}, nullptr, nullptr, nullptr},
                                     scratch, stream, how);
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status clip_m2_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                 RowScalar<Arithmetic<T>> lambda, const ClipM2MixOptions& options,
                                 const ClipM2Gradient<T>& out, Scratch scratch,
                                 cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::clip_m2_mix_checked(x, y, lambda, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
