// Geometric consistency on the device: similarities within one modality, and across, look the same
// from both sides.
//
//   L = (1/N) sum_jk  c (x_j.y_k - x_k.y_j)^2 + w (x_j.x_k - y_j.y_k)^2
//   dX = (4/N) (c A Y + w B X),  dY = -(4/N) (c A X + w B Y),  A, B the two differences
//
// c is cross_weight, w in_modal_weight. The sum over pairs over N, not N^2, grows with N (as
// published).
//
// Shapes   X, Y: N x D, float, double, Half or Bfloat16, rows as they are.
// Cost     N D^2 flops, see consistency_products.cuh.
// Errors   shapes, no rows, weights negative or not finite, too small a scratch.
// [Jiang et al. 2023, arXiv 2303.05952, section 4.3]
#pragma once

#include "spheremix/gpu/losses/consistency_products.cuh"
#include "spheremix/gpu/losses/contrastive.cuh"

namespace spheremix::gpu::losses {

struct GeometricConsistencyOptions {
  double cross_weight = 1;
  double in_modal_weight = 1;
};

/// Results in device memory, f32 gradients (f64 for double rows).
template <class T>
struct PairGradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
};

namespace detail {

inline const char* weights_error(double cross, double in_modal) {
  for (const double w : {cross, in_modal})
    if (!(w >= 0 && w <= core::largest<double>)) return "a weight is not a finite number >= 0";
  return nullptr;
}

template <class T>
Status consistency_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const GeometricConsistencyOptions& options, const PairGradient<T>& out,
                           Scratch scratch, cudaStream_t stream) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, 1, out.loss, out.x, out.y)) return invalid(wrong);
  if (const char* wrong = weights_error(options.cross_weight, options.in_modal_weight))
    return invalid(wrong);
  return consistency(x, y, {options.cross_weight, options.in_modal_weight}, out.loss, false, out.x,
                     out.y, false, scratch, stream);
}

}  // namespace detail

/// Scratch of geometric_consistency and geometric_consistency_with_gradient in bytes.
template <class T>
std::size_t geometric_consistency_bytes(core::MatrixView<const T> x, core::MatrixView<const T>) {
  return detail::consistency_bytes<T>(x.rows, x.cols);
}

/// *loss (device memory).
template <class T>
Status geometric_consistency(core::MatrixView<const T> x, core::MatrixView<const T> y,
                             const GeometricConsistencyOptions& options, double* loss,
                             Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::consistency_checked(x, y, options, PairGradient<T>{loss, {}, {}}, scratch, stream);
}

/// Loss and gradients, all overwritten.
template <class T>
Status geometric_consistency_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                           const GeometricConsistencyOptions& options,
                                           const PairGradient<T>& out, Scratch scratch,
                                           cudaStream_t stream = nullptr) {
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::consistency_checked(x, y, options, out, scratch, stream);
}

}  // namespace spheremix::gpu::losses
