// m3-Mix on the device: weighted sum of m2-Mix, V-Mix, L-Mix and VL-Mix, each with its own lambda,
// without CLIP.
//
//   L = weight_m2 m2_mix(tau_mix) + weight_v v_mix(tau) + weight_l l_mix(tau)
//       + weight_vl vl_mix(tau)
//
// Formulas, types, errors and memory as in the four; one after the other into the same gradients. A
// weight of 0 leaves its loss out.
// [Oh et al. 2023, arXiv 2203.03897, section 3.3]
#pragma once

#include "spheremix/gpu/losses/l_mix.cuh"
#include "spheremix/gpu/losses/v_mix.cuh"
#include "spheremix/gpu/losses/vl_mix.cuh"

namespace spheremix::gpu::losses {

template <class L>
struct MixLambdas {
  L m2, v, l, vl;
};

struct M3MixOptions {
  double temperature = 0.01;
  double mix_temperature = 0.07;
  double weight_m2 = 1;
  double weight_v = 1;
  double weight_l = 1;
  double weight_vl = 1;
  const Index* partners = nullptr;  ///< device memory; null: flip
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Results in device memory, f32 gradients (f64 for double rows). Each lambda: one number for one
/// lambda, else one a row; any may be null. What belongs to a loss that is left out is not written.
template <class T>
struct M3Gradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
  MixLambdas<double*> lambda{nullptr, nullptr, nullptr, nullptr};
  double* log_temperature = nullptr;
  double* log_mix_temperature = nullptr;
};

/// Scratch of m3_mix_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t m3_mix_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                         const M3MixOptions& asked = {}, const Products& products = {}) {
  const M3MixOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    const std::size_t m2 = detail::m2_bytes<Tile>(x, y, options.block);
    const std::size_t sides = detail::side_bytes<Tile>(x, y, options.block, true, true);
    return m2 > sides ? m2 : sides;
  });
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status m3_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const MixLambdas<RowScalar<Arithmetic<T>>>& lambda,
                            const M3MixOptions& asked, const M3Gradient<T>& out, Scratch scratch,
                            cudaStream_t stream = nullptr, const Products& products = {}) {
  const M3MixOptions options = pairwise::with_block<T>(asked, products);
  if (const char* wrong = detail::pair_error(x, y)) return invalid(wrong);
  for (const double tau : {options.temperature, options.mix_temperature})
    if (const char* wrong = detail::place_error(x, y, tau, out.loss, out.x, out.y))
      return invalid(wrong);
  for (const auto* l : {&lambda.m2, &lambda.v, &lambda.l, &lambda.vl})
    if (const char* wrong = detail::lambda_error<T>(*l)) return invalid(wrong);
  for (const double w : {options.weight_m2, options.weight_v, options.weight_l, options.weight_vl})
    if (!(w - w == 0)) return invalid("a weight is not finite");
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    using Sum = Arithmetic<T>;
    Status status = pairwise::fill(out.x, Sum(0), stream);
    if (status) status = pairwise::fill(out.y, Sum(0), stream);
    double* const numbers[] = {out.loss, out.log_temperature};
    for (double* p : numbers)
      if (status && p) status = pairwise::fill(core::MatrixView<double>{p, 1, 1, 1}, 0.0, stream);
    if (status && options.weight_m2 != 0)
      status = detail::m2_tables<Tile>(
          x, y, lambda.m2,
          {options.mix_temperature, options.weight_m2, Negatives::replace, options.block, true},
          MixGradient<T>{out.loss, out.x, out.y, out.lambda.m2, out.log_mix_temperature}, scratch,
          stream, products);
    const auto side = [&](bool exchanged, bool both, double weight, const RowScalar<Sum>& l,
                          double* slope) {
      if (!status || weight == 0) return;
      const detail::SideCall call{
          options.temperature, weight, options.partners, true, both, VlTargets::identity,
          options.block,       true};
      status = detail::side_tables<Tile>(
          exchanged ? y : x, exchanged ? x : y, l, call,
          MixGradient<T>{out.loss, exchanged ? out.y : out.x, exchanged ? out.x : out.y, slope,
                         out.log_temperature},
          scratch, stream, products);
    };
    side(false, false, options.weight_v, lambda.v, out.lambda.v);
    side(true, false, options.weight_l, lambda.l, out.lambda.l);
    side(false, true, options.weight_vl, lambda.vl, out.lambda.vl);
    return status;
  });
}

}  // namespace spheremix::gpu::losses
