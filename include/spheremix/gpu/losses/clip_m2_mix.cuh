// CLIP and m2-Mix together on the device.
//
//   L = clip(X, Y; tau) + weight m2_mix(X, Y, lambda; tau_mix)
//
// The formulas, gradients, types and errors are those of clip.cuh and m2_mix.cuh.
//
// Cost     16 N^2 D flops from shared tiles of cosines (clip_m2_shared.cuh). With Negatives::append,
//          and where ClipM2MixOptions::shared is false, one loss after the other: 24, append 32.
// Memory   the operands (4 N D bytes unless fp16 and aligned), 70 N bytes and at most 34 MiB; one
//          after the other as m2_mix.cuh.
#pragma once

#include "spheremix/gpu/losses/clip_m2_shared.cuh"
#include "spheremix/gpu/losses/m2_mix.cuh"

namespace spheremix::gpu::losses {

struct ClipM2MixOptions {
  double temperature = 0.01;
  double mix_temperature = 0.07;
  double weight = 1;
  Reduction reduction = Reduction::sum;
  Negatives negatives = Negatives::replace;
  Precision precision = Precision::fast;
  Index block = 0;     ///< edge of the ranges kept at a time; 0: chosen
  bool shared = true;  ///< shared tiles; false for pairs within 0.1 rad of antipodal
};

/// Results in device memory, f32 gradients (f64 for double rows).
template <class T>
struct ClipM2Gradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
  double* lambda =
      nullptr;  ///< one number for one lambda, else one a row; may be null, as those below
  double* log_temperature = nullptr;
  double* log_mix_temperature = nullptr;
};

namespace detail {

inline bool shares(const ClipM2MixOptions& options) {
  return options.shared && options.negatives == Negatives::replace;
}

template <class T, class Products>
Status clip_m2_mix_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const RowScalar<Arithmetic<T>>& lambda, const ClipM2MixOptions& options,
                           const ClipM2Gradient<T>& out, Scratch scratch, cudaStream_t stream,
                           const Products& products) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.mix_temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  if (!(options.weight - options.weight == 0)) return invalid("the weight of m2_mix is not finite");
  const double half = 0.5 / double(x.rows),
               weight = options.weight * (options.reduction == Reduction::sum ? 1.0 : 0.5);
  const M2Call call{options.mix_temperature, weight, options.negatives, options.block, true};
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    if (shares(options))
      return clip_m2_shared<pairwise::FormingTile<Tile>>(
          x, y, lambda, {options.temperature, options.mix_temperature, weight, options.block},
          MixGradient<T>{out.loss, out.x, out.y, out.lambda, out.log_mix_temperature},
          out.log_temperature, scratch, stream, products);
    const Status first = contrastive<Tile, true, true>(
        x, y, {options.temperature, half, half}, options.block,
        ContrastiveGradient<T>{out.loss, out.x, out.y, out.log_temperature}, scratch, stream,
        products);
    if (!first) return first;
    return m2_tables<Tile>(
        x, y, lambda, call,
        MixGradient<T>{out.loss, out.x, out.y, out.lambda, out.log_mix_temperature}, scratch,
        stream, products);
  });
}

}  // namespace detail

/// Scratch of clip_m2_mix and clip_m2_mix_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t clip_m2_mix_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                              const ClipM2MixOptions& asked = {}, const Products& products = {}) {
  const ClipM2MixOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    if (detail::shares(options))
      return detail::clip_m2_shared_bytes<pairwise::FormingTile<Tile>>(x, y, options.block);
    const std::size_t clip = detail::contrastive_bytes<Tile>(x, y, options.block, true, true, true);
    const std::size_t m2 = detail::m2_bytes<Tile>(x, y, options.block);
    return clip > m2 ? clip : m2;
  });
}

/// *loss (device memory).
template <class T>
Status clip_m2_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
                   RowScalar<Arithmetic<T>> lambda, const ClipM2MixOptions& options, double* loss,
                   Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::clip_m2_mix_checked(x, y, lambda, options,
                                     ClipM2Gradient<T>{loss, {}, {}, nullptr, nullptr, nullptr},
                                     scratch, stream, pairwise::KernelProducts{});
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status clip_m2_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                 RowScalar<Arithmetic<T>> lambda, const ClipM2MixOptions& asked,
                                 const ClipM2Gradient<T>& out, Scratch scratch,
                                 cudaStream_t stream = nullptr, const Products& products = {}) {
  const ClipM2MixOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::clip_m2_mix_checked(x, y, lambda, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
