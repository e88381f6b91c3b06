// m2-Mix on the device: hard negatives made by mixing each image-text pair along the great circle
// between them.
//
//   m_j = geodesic mix of x_j and y_j with weight lambda on x_j (lambda = 1 gives x_j)
//   x finds y:  -(1/N) sum_i log e^(x_i.y_i/tau) / ( e^(x_i.y_i/tau)
//                                                    + sum_{j != i} e^(x_i.m_j/tau) )
//   y finds x:  the same with anchors y_i and the same m_j
//   L = their sum (Reduction::sum) or half of it
//
// Negatives::append keeps the ordinary negatives sum_{j != i} e^(x_i.y_j/tau) in the denominator
// too. Gradients: ambient through the dot products, tangent through the mixing.
//
// Shapes   X, Y: N x D unit rows, float, double, Half or Bfloat16; lambda one number, or one a row
//          in device memory (f32; f64 for double rows).
// Memory   the operands (4 N D bytes unless fp16 and aligned), 31 N bytes and at most 50 MiB
//          (D up to 4096).
// Errors   as in clip.cuh; one lambda outside [0, 1] is a Status, one in device memory gives NaN,
//          as does an antipodal pair.
// [Oh et al. 2023, arXiv 2203.03897, equation 4]
#pragma once

#include "spheremix/gpu/losses/m2_tables.cuh"

namespace spheremix::gpu::losses {

struct M2MixOptions {
  double temperature = 0.07;
  Reduction reduction = Reduction::sum;
  Negatives negatives = Negatives::replace;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

namespace detail {

template <class T>
const char* lambda_error(const RowScalar<Arithmetic<T>>& lambda) {
  return lambda.each || (lambda.all >= 0 && lambda.all <= 1) ? nullptr
                                                             : "lambda lies outside [0, 1]";
}

template <class T, class Products>
Status m2_mix_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                      const RowScalar<Arithmetic<T>>& lambda, const M2MixOptions& options,
                      const MixGradient<T>& out, Scratch scratch, cudaStream_t stream,
                      const Products& products) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  const M2Call call{options.temperature, options.reduction == Reduction::sum ? 1.0 : 0.5,
                    options.negatives, options.block, false};
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return m2_tables<Tile>(x, y, lambda, call, out, scratch, stream, products);
  });
}

}  // namespace detail

/// Scratch of m2_mix and m2_mix_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t m2_mix_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                         const M2MixOptions& asked = {}, const Products& products = {}) {
  const M2MixOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(
      options.precision, [&]<class Tile>() { return detail::m2_bytes<Tile>(x, y, options.block); });
}

/// *loss (device memory).
template <class T>
Status m2_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
              RowScalar<Arithmetic<T>> lambda, const M2MixOptions& options, double* loss,
              Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::m2_mix_checked(x, y, lambda, options,
                                MixGradient<T>{loss, {}, {}, nullptr, nullptr}, scratch, stream,
                                pairwise::KernelProducts{});
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status m2_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            RowScalar<Arithmetic<T>> lambda, const M2MixOptions& asked,
                            const MixGradient<T>& out, Scratch scratch,
                            cudaStream_t stream = nullptr, const Products& products = {}) {
  const M2MixOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::m2_mix_checked(x, y, lambda, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
