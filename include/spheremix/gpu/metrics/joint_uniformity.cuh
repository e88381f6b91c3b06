// Joint uniformity on the device: the uniformity of the rows of X and Y together.
//
//   joint_uniformity(X, Y) = log mean_{i < j} exp(-t |z_i - z_j|^2),   Z = [X; Y]
//
// Types, accuracy and errors as uniformity.cuh.
// Cost     3 (N + M)^2 D flops with gradient.
// Memory   Z and its gradient, 6 (N + M) D bytes (8 exact, 16 for double rows), and what
//          uniformity.cuh takes for Z.
#pragma once

#include "spheremix/gpu/metrics/cross_uniformity.cuh"

namespace spheremix::gpu::metrics {

namespace detail {

template <class Tile, class T, class Products>
void joint_uniformity(Work& work, const core::MatrixView<const T>& x,
                      const core::MatrixView<const T>& y, const UniformityOptions& options,
                      Index block, const PairUniformityGradient<T>& out, const Products& how) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows, m = y.rows;
  const core::MatrixView<Operand> z = pairwise::take_operand<Tile>(work, n + m, x.cols);
  core::MatrixView<Sum> dz{};
  if (gradient) dz = {work.take<Sum>((n + m) * z.cols), n + m, z.cols, z.cols};
  pairwise::copy_rows(work, x, z.middle_rows(0, n));
  pairwise::copy_rows(work, y, z.middle_rows(n, m));
  uniformity<Tile, Operand>(work, z, options, block, UniformityGradient<Operand>{out.value, dz},
                            how);
  if (!gradient) return;
  const core::MatrixView<const Sum> of_x = dz.middle_rows(0, n), of_y = dz.middle_rows(n, m);
  pairwise::copy_rows(work, of_x, out.x);
  pairwise::copy_rows(work, of_y, out.y);
}

}  // namespace detail

/// Value and, where out.x has data, both gradients; all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status joint_uniformity_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                      const UniformityOptions& options,
                                      const PairUniformityGradient<T>& out, Scratch scratch,
                                      cudaStream_t stream = nullptr, const Products& how = {}) {
  if (const Status wrong = detail::pair_uniformity_error(x, y, options, out); !wrong) return wrong;
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    detail::joint_uniformity<Tile>(work, x, y, options, block, out, how);
  });
}

/// *value (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status joint_uniformity(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        const UniformityOptions& options, double* value, Scratch scratch,
                        cudaStream_t stream = nullptr, const Products& how = {}) {
  return joint_uniformity_with_gradient<T>(x, y, options, {value, {}, {}}, scratch, stream, how);
}

}  // namespace spheremix::gpu::metrics
