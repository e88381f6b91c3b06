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

/// Converts (or copies) rows: to = from, zeros after the last column.
template <class From, class To>
struct CopyRowsKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const From> from;
  core::MatrixView<To> to;
  __device__ void operator()() const {
    const Index q = Index(blockIdx.x) * kThreads + threadIdx.x, i = q / to.cols, k = q % to.cols;
    if (i < to.rows)
      to(i, k) = narrow<To>(k < from.cols ? Arithmetic<To>(widen(from(i, k))) : Arithmetic<To>(0));
  }
};
template <class From, class To>
Status copy_rows(const core::MatrixView<const From>& from, const core::MatrixView<To>& to,
                 cudaStream_t stream) {
  using Kernel = CopyRowsKernel<From, To>;
  return pairwise::start(Kernel{from, to}, pairwise::ceil_div(to.rows * to.cols, Kernel::kThreads),
                         stream);
}

template <class Tile>
std::size_t joint_bytes(Index rows, Index cols, bool gradient, Index block) {
  using Operand = typename Tile::Input;
  const Index wide = pairwise::round_up(cols, Tile::kAlign);
  const core::MatrixView<const Operand> z{nullptr, rows, wide, wide};
  return pairwise::operand_bytes<Tile>(rows, cols) + uniformity_bytes<Tile>(z, block) +
         (gradient ? scratch_bytes<typename Tile::Sum>(std::size_t(rows * wide)) : 0);
}

template <class Tile, class T, class Products>
Status joint_uniformity(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        const UniformityOptions& options, const PairUniformityGradient<T>& out,
                        Scratch scratch, cudaStream_t stream, const Products& products) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows, m = y.rows, wide = pairwise::round_up(x.cols, Tile::kAlign);
  if (const Status held =
          scratch_status(scratch, joint_bytes<Tile>(n + m, x.cols, gradient, options.block));
      !held)
    return held;
  ScratchFrame frame(scratch);
  const core::MatrixView<Operand> z{frame.take<Operand>(std::size_t((n + m) * wide)), n + m, wide,
                                    wide};
  core::MatrixView<Sum> dz{};
  if (gradient) dz = {frame.take<Sum>(std::size_t((n + m) * wide)), n + m, wide, wide};
  Status status = copy_rows(x, z.middle_rows(0, n), stream);
  if (status) status = copy_rows(y, z.middle_rows(n, m), stream);
  if (status)
    status = uniformity<Tile, Operand>(z, options, UniformityGradient<Operand>{out.value, dz},
                                       frame.rest(), stream, products);
  if (!status || !gradient) return status;
  core::MatrixView<const Sum> of_x = dz.middle_rows(0, n), of_y = dz.middle_rows(n, m);
  status = copy_rows(of_x, out.x, stream);
  return status ? copy_rows(of_y, out.y, stream) : status;
}

}  // namespace detail

/// Scratch of joint_uniformity_with_gradient in bytes.
template <class T, class Products = pairwise::KernelProducts>
std::size_t joint_uniformity_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                   const UniformityOptions& asked = {},
                                   const Products& products = {}) {
  const UniformityOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::joint_bytes<Tile>(x.rows + y.rows, x.cols, true, options.block);
  });
}

/// Value and, where out.x has data, both gradients; all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status joint_uniformity_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                      const UniformityOptions& asked,
                                      const PairUniformityGradient<T>& out, Scratch scratch,
                                      cudaStream_t stream = nullptr,
                                      const Products& products = {}) {
  const UniformityOptions options = pairwise::with_block<T>(asked, products);
  const Status status = detail::pair_uniformity_error(x, y, options, out);
  if (!status) return status;
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::joint_uniformity<Tile>(x, y, options, out, scratch, stream, products);
  });
}

/// *value (device memory).
template <class T>
Status joint_uniformity(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        const UniformityOptions& options, double* value, Scratch scratch,
                        cudaStream_t stream = nullptr) {
  return joint_uniformity_with_gradient<T>(x, y, options, {value, {}, {}}, scratch, stream);
}

}  // namespace spheremix::gpu::metrics
