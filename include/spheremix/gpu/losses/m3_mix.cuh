// m3_mix on the device: formula, gradient and options in formula/m3_mix.hpp. The four losses one
// after the other into the same gradients; types, errors and memory as theirs.
#pragma once

#include "spheremix/formula/m3_mix.hpp"
#include "spheremix/gpu/losses/l_mix.cuh"
#include "spheremix/gpu/losses/v_mix.cuh"
#include "spheremix/gpu/losses/vl_mix.cuh"

namespace spheremix::gpu::losses {

using M3MixOptions = spheremix::losses::M3MixOptionsOf<const Index*>;

/// Something of each of the four mixes: fields m2, v, l, vl.
template <class L>
using MixLambdas = spheremix::losses::MixLambdas<L, L, L, L>;

/// In device memory, as ClipM2Gradient. What belongs to a loss that is left out is not written.
template <class T>
using M3Gradient = spheremix::losses::TwoTemperatureGradient<Places<T>, MixLambdas<double*>>;

namespace detail {

template <class Tile, class T, class Products>
void m3_mix(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
            const MixLambdas<RowScalar<Arithmetic<T>>>& lambda, const M3MixOptions& options,
            Index block, const M3Gradient<T>& out, const Products& how) {
  using A = Arithmetic<T>;
  pairwise::fill(work, out.x, A(0));
  pairwise::fill(work, out.y, A(0));
  double* const numbers[] = {out.loss, out.log_temperature};
  for (double* const p : numbers)
    if (p) pairwise::fill(work, core::MatrixView<double>{p, 1, 1, 1}, 0.0);
  if (options.weight_m2 != 0)
    m2_tables<Tile>(work, x, y, lambda.m2,
                    {options.mix_temperature, options.weight_m2, Negatives::replace, true}, block,
                    MixGradient<T>{out.loss, out.x, out.y, out.lambda.m2, out.log_mix_temperature},
                    how);
  const auto side = [&](bool exchanged, bool both, double weight, const RowScalar<A>& l,
                        double* slope) {
    if (weight == 0) return;
    const SideCall call{options.temperature, weight, options.partners, true, both,
                        VlTargets::identity, true};
    side_tables<Tile>(work, exchanged ? y : x, exchanged ? x : y, l, call, block,
                      MixGradient<T>{out.loss, exchanged ? out.y : out.x, exchanged ? out.x : out.y,
                                     slope, out.log_temperature},
                      how);
  };
  side(false, false, options.weight_v, lambda.v, out.lambda.v);
  side(true, false, options.weight_l, lambda.l, out.lambda.l);
  side(false, true, options.weight_vl, lambda.vl, out.lambda.vl);
}

}  // namespace detail

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status m3_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const MixLambdas<RowScalar<Arithmetic<T>>>& lambda,
                            const M3MixOptions& options, const M3Gradient<T>& out, Scratch scratch,
                            cudaStream_t stream = nullptr, const Products& how = {}) {
  if (const char* wrong = detail::target_error(options)) return invalid(wrong);
  if (const char* wrong = detail::pair_error(x, y)) return invalid(wrong);
  for (const double tau : {options.temperature, options.mix_temperature})
    if (const char* wrong = detail::place_error(x, y, tau, out.loss, out.x, out.y))
      return invalid(wrong);
  for (const auto* l : {&lambda.m2, &lambda.v, &lambda.l, &lambda.vl})
    if (const char* wrong = detail::lambda_error<T>(*l)) return invalid(wrong);
  for (const double w : {options.weight_m2, options.weight_v, options.weight_l, options.weight_vl})
    if (!(w - w == 0)) return invalid("a weight is not finite");
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    detail::m3_mix<Tile>(work, x, y, lambda, options, block, out, how);
  });
}

}  // namespace spheremix::gpu::losses
