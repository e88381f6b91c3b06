// InfoNCE on the device: row i of X against all rows of Y, row i of Y is its positive.
//
//   loss = (1 / N) sum_i [ lse_j L_ij - L_ii ],   L = X Y^T / tau        (nats)
//   dX = G Y,  dY = G^T X,  G = (1 / N tau) (P - I),  dL/d log tau = -sum_i x_i . dX_i
//
// Shapes, types and errors as in clip.cuh.
// [van den Oord et al. 2018]
#pragma once

#include "spheremix/gpu/losses/contrastive.cuh"

namespace spheremix::gpu::losses {

struct InfoNceOptions {
  double temperature = 0.07;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Scratch of info_nce and info_nce_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t info_nce_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                           const InfoNceOptions& asked = {}, const Products& products = {}) {
  const InfoNceOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::contrastive_bytes<Tile>(x, y, options.block, true, false, true);
  });
}

/// *loss (device memory).
template <class T>
Status info_nce(core::MatrixView<const T> x, core::MatrixView<const T> y,
                const InfoNceOptions& options, double* loss, Scratch scratch,
                cudaStream_t stream = nullptr) {
  return detail::contrastive_checked<true, false>(
      x, y, {options.temperature, 1.0 / double(x.rows), 0}, options.precision, options.block,
      ContrastiveGradient<T>{loss, {}, {}, nullptr}, scratch, stream, pairwise::KernelProducts{});
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null. `products`:
/// how G Y and G^T X are done (pairwise/cublaslt.cuh has the other way).
template <class T, class Products = pairwise::KernelProducts>
Status info_nce_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                              const InfoNceOptions& asked, const ContrastiveGradient<T>& out,
                              Scratch scratch, cudaStream_t stream = nullptr,
                              const Products& products = {}) {
  const InfoNceOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::contrastive_checked<true, false>(
      x, y, {options.temperature, 1.0 / double(x.rows), 0}, options.precision, options.block, out,
      scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
