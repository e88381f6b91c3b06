// NT-Xent on the device, the loss of SimCLR: each of 2 N stacked views finds its other view among
// all but itself.
//
//   Z = [X; Y],  p(i) = i +- N
//   L = -(1/2N) sum_i log e^(z_i.z_p(i)/tau) / sum_{j != i} e^(z_i.z_j/tau)      (nats)
//
// Gradients, cost, memory: stacked.cuh. Types and errors as in clip.cuh. L = 0 for N = 1.
// [Chen et al. 2020, arXiv 2002.05709]
#pragma once

#include "spheremix/gpu/losses/stacked.cuh"

namespace spheremix::gpu::losses {

struct NtXentOptions {
  double temperature = 0.1;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Scratch of nt_xent and nt_xent_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t nt_xent_bytes(core::MatrixView<const T> x, core::MatrixView<const T>,
                          const NtXentOptions& asked = {}, const Products& products = {}) {
  const NtXentOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::stacked_bytes<Tile>(x, options.block);
  });
}

/// *loss (device memory).
template <class T>
Status nt_xent(core::MatrixView<const T> x, core::MatrixView<const T> y,
               const NtXentOptions& options, double* loss, Scratch scratch,
               cudaStream_t stream = nullptr) {
  return detail::stacked_checked(x, y, {options.temperature, false, options.block},
                                 options.precision, ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                 scratch, stream, pairwise::KernelProducts{});
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status nt_xent_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                             const NtXentOptions& asked, const ContrastiveGradient<T>& out,
                             Scratch scratch, cudaStream_t stream = nullptr,
                             const Products& products = {}) {
  const NtXentOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::stacked_checked(x, y, {options.temperature, false, options.block},
                                 options.precision, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
