// DCL on the device: NT-Xent without the positive in the denominator. DCLW weights the positives.
//
//   Z = [X; Y],  p(i) = i +- N
//   L = (1/2N) sum_i ( log sum_{j != i, p(i)} e^(z_i.z_j/tau) - w_i z_i.z_p(i)/tau )      (nats)
//   w = 1 (DclWeighting::none), or
//       2 - N softmax over the pairs of (x_i.y_i / sigma) (DclWeighting::von_mises_fisher; the
//       weights are differentiated)
//
// May be negative. Gradients, cost, memory: stacked.cuh. Types and errors as in clip.cuh; N = 1 and
// a sigma that is not positive and finite are errors.
// [Yeh et al. 2022, arXiv 2110.06848, equations 3 and 6]
#pragma once

#include "spheremix/gpu/losses/stacked.cuh"

namespace spheremix::gpu::losses {

enum class DclWeighting { none, von_mises_fisher };

struct DecoupledContrastiveOptions {
  double temperature = 0.1;
  double sigma = 0.5;  ///< of the weights
  DclWeighting weighting = DclWeighting::none;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

namespace detail {
template <class T, class Products>
Status decoupled_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                         const DecoupledContrastiveOptions& options,
                         const ContrastiveGradient<T>& out, Scratch scratch, cudaStream_t stream,
                         const Products& products) {
  if (!(options.sigma > 0) || !(options.sigma <= core::largest<double>))
    return invalid("sigma is not a positive finite number");
  const bool weighted = options.weighting == DclWeighting::von_mises_fisher;
  return stacked_checked(x, y,
                         {options.temperature, true, options.block, weighted ? options.sigma : 0},
                         options.precision, out, scratch, stream, products);
}
}  // namespace detail

/// Scratch of decoupled_contrastive and decoupled_contrastive_with_gradient in bytes, for these
/// very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t decoupled_contrastive_bytes(core::MatrixView<const T> x, core::MatrixView<const T>,
                                        const DecoupledContrastiveOptions& asked = {},
                                        const Products& products = {}) {
  const DecoupledContrastiveOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::stacked_bytes<Tile>(x, options.block);
  });
}

/// *loss (device memory).
template <class T>
Status decoupled_contrastive(core::MatrixView<const T> x, core::MatrixView<const T> y,
                             const DecoupledContrastiveOptions& options, double* loss,
                             Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::decoupled_checked(x, y, options, ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                   scratch, stream, pairwise::KernelProducts{});
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status decoupled_contrastive_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                           const DecoupledContrastiveOptions& asked,
                                           const ContrastiveGradient<T>& out, Scratch scratch,
                                           cudaStream_t stream = nullptr,
                                           const Products& products = {}) {
  const DecoupledContrastiveOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::decoupled_checked(x, y, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
