// V-Mix on the device: the rows of X mixed with their partners' rows, against soft targets;
// Y as it is.
//
//   v_i = geodesic mix of x_i and x_J(i) with weight lambda on x_i;   logits z_ij = v_i . y_j / tau
//   targets w_ii = lambda_i, w_iJ(i) = 1 - lambda_i
//   L = (1/2N) [ sum_ij w_ij (lse_j' z_ij' - z_ij) + sum_ij w_ij (lse_i' z_i'j - z_ij) ]     (nats)
//
// Shapes   X, Y: N x D unit rows, float, double, Half or Bfloat16; lambda one number, or one a row
//          in device memory. partners: J, a permutation in device memory; null is the flip
//          J(i) = N - 1 - i.
// Memory   side_tables.cuh.
// Errors   as in m2_mix.cuh; partners that are no permutation, and antipodal partners, give NaN.
// [Oh et al. 2023, arXiv 2203.03897, section 3.3]
#pragma once

#include "spheremix/gpu/losses/side_tables.cuh"

namespace spheremix::gpu::losses {

struct VMixOptions {
  double temperature = 0.01;
  const Index* partners = nullptr;  ///< device memory; null: flip
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Scratch of v_mix and v_mix_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t v_mix_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        const VMixOptions& asked = {}, const Products& products = {}) {
  const VMixOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::side_bytes<Tile>(x, y, options.block, true, false);
  });
}

namespace detail {
inline SideCall v_mix_call(const VMixOptions& options) {
  return {options.temperature, 1,    options.partners, true, false, VlTargets::identity,
          options.block,       false};
}
}  // namespace detail

/// *loss (device memory).
template <class T>
Status v_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
             RowScalar<Arithmetic<T>> lambda, const VMixOptions& options, double* loss,
             Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::side_checked(x, y, lambda, detail::v_mix_call(options), options.precision,
                              MixGradient<T>{loss, {}, {}, nullptr, nullptr}, scratch, stream,
                              pairwise::KernelProducts{});
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status v_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                           RowScalar<Arithmetic<T>> lambda, const VMixOptions& asked,
                           const MixGradient<T>& out, Scratch scratch,
                           cudaStream_t stream = nullptr, const Products& products = {}) {
  const VMixOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::side_checked(x, y, lambda, detail::v_mix_call(options), options.precision, out,
                              scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
