// CLIP's loss on the device: symmetric InfoNCE over N pairs of rows.
//
//   loss = (1 / 2N) sum_i [ lse_j L_ij + lse_j L_ji - 2 L_ii ],   L = X Y^T / tau        (nats)
//   dX = G Y,  dY = G^T X,  G = (1 / 2 N tau) [(P_row - I) + (P_col - I)]
//   dL/d log tau = -sum_i x_i . dX_i
//
// Shapes   X, Y: N x D, float, double, Half or Bfloat16, rows as they are (unit rows are meant).
// Errors   shapes, an empty batch, a temperature that is not positive, too small a scratch: a
//          Status, nothing is enqueued. NaN or infinity in a row gives a NaN loss.
// [Radford et al. 2021]
#pragma once

#include "spheremix/gpu/losses/contrastive.cuh"

namespace spheremix::gpu::losses {

struct ClipOptions {
  double temperature = 0.07;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Scratch of clip and clip_with_gradient in bytes, for these very views (aligned fp16 rows need no
/// copy) and products.
template <class T, class Products = pairwise::KernelProducts>
std::size_t clip_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                       const ClipOptions& asked = {}, const Products& products = {}) {
  const ClipOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::contrastive_bytes<Tile>(x, y, options.block, true, true, true);
  });
}

/// *loss (device memory).
template <class T>
Status clip(core::MatrixView<const T> x, core::MatrixView<const T> y, const ClipOptions& options,
            double* loss, Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::contrastive_checked<true, true>(
      x, y, {options.temperature, 0.5 / double(x.rows), 0.5 / double(x.rows)}, options.precision,
      options.block, ContrastiveGradient<T>{loss, {}, {}, nullptr}, scratch, stream,
      pairwise::KernelProducts{});
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null. `products`:
/// how G Y and G^T X are done (pairwise/cublaslt.cuh has the other way).
template <class T, class Products = pairwise::KernelProducts>
Status clip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                          const ClipOptions& asked, const ContrastiveGradient<T>& out,
                          Scratch scratch, cudaStream_t stream = nullptr,
                          const Products& products = {}) {
  const ClipOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::contrastive_checked<true, true>(
      x, y, {options.temperature, 0.5 / double(x.rows), 0.5 / double(x.rows)}, options.precision,
      options.block, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
