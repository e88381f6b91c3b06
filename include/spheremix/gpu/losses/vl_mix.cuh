// vl_mix on the device: formula, gradient and options in formula/partner_mix.hpp.
//
// Shapes   X, Y: N x D unit rows, float, double, Half or Bfloat16; lambda one number, or one a row
//          in device memory. partners: a permutation in device memory; null: flip.
// Memory   side_tables.cuh.
// Errors   as in m2_mix.cuh; partners that are no permutation, and antipodal partners, give NaN.
#pragma once

#include "spheremix/gpu/losses/detail/side_tables.cuh"

namespace spheremix::gpu::losses {

using VlMixOptions = spheremix::losses::TargetMixOptions<const Index*>;

namespace detail {
inline SideCall vl_mix_call(const VlMixOptions& options) {
  return {options.temperature, 1, options.partners, true, true, options.targets, false};
}
}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status vl_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
              RowScalar<Arithmetic<T>> lambda, const VlMixOptions& options, double* loss,
              Scratch scratch, cudaStream_t stream = nullptr, const Products& how = {}) {
  if (const char* wrong = detail::target_error(options)) return invalid(wrong);
  return detail::side_checked(x, y, lambda, detail::vl_mix_call(options),
                              MixGradient<T>{loss, {}, {}, nullptr, nullptr}, scratch, stream, how);
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status vl_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            RowScalar<Arithmetic<T>> lambda, const VlMixOptions& options,
                            const MixGradient<T>& out, Scratch scratch,
                            cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  if (const char* wrong = detail::target_error(options)) return invalid(wrong);
  return detail::side_checked(x, y, lambda, detail::vl_mix_call(options), out, scratch, stream,
                              how);
}

}  // namespace spheremix::gpu::losses
