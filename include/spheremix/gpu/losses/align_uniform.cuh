// align_uniform on the device: formula and options in formula/align_uniform.hpp.
//
// Shapes   X, Y: N x D, N >= 2, float, double, Half or Bfloat16, rows as they are.
// Accuracy distances of pairs from differences in double, those of uniformity as
//          metrics/uniformity.cuh.
// Cost     6 N^2 D flops with gradients (t > 3: 10).
// Memory   as metrics/uniformity.cuh, once: the two sides take turns.
// Errors   as in clip.cuh, N < 2, alpha or t not positive and finite, a weight negative or not
//          finite.
#pragma once

#include "spheremix/formula/align_uniform.hpp"
#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::AlignUniformOptions;

namespace detail {

/// Partial sums of |x_i - y_i|^alpha, and its gradient added to `keep` times what is there; one warp
/// a row.
template <class Input>
struct AlignPairsKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);
  core::MatrixView<const Input> x, y;
  double alpha, each, keep;  ///< each: align_weight / N
  core::MatrixView<T> dx, dy;
  double* partial;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    const auto difference = [&](Index k) {
      return double(widen(x(i, k))) - double(widen(y(i, k)));
    };
    double square = 0;
    if (i < x.rows) {
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp)
        square += difference(k) * difference(k);
      square = warp_sum(square);
      const metrics::detail::PairPower power(square, alpha);
      for (Index k = threadIdx.x % kWarp; dx.data && k < x.cols; k += kWarp) {
        const double g = each * power.outer * (difference(k) / power.by);
        dx(i, k) = T(keep * double(dx(i, k)) + g);
        dy(i, k) = T(keep * double(dy(i, k)) - g);
      }
      square = threadIdx.x % kWarp == 0 ? power.value : 0;
    }
    const double sum =
        pairwise::block_sum<kThreads>(square, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  }
};

template <class Tile, class T, class Products>
void align_uniform(Work& work, const core::MatrixView<const T>& x,
                   const core::MatrixView<const T>& y, const AlignUniformOptions& o, Index block,
                   const PairGradient<T>& out, const Products& how) {
  using Align = AlignPairsKernel<T>;
  const Index blocks = pairwise::ceil_div(x.rows, Align::kRowsEach);
  const double each = o.align_weight / double(x.rows), half = o.uniform_weight / 2;
  double* const even = work.take<double>(2);
  double* const partial = work.take<double>(blocks);
  metrics::detail::uniformity<Tile>(work, x, {.t = o.t}, block, {even, out.x}, how);
  metrics::detail::uniformity<Tile>(work, y, {.t = o.t}, block, {even + 1, out.y}, how);
  pairwise::start(work, Align{x, y, o.alpha, each, half, out.x, out.y, partial}, blocks);
  pairwise::ReduceKernel aligned{}, uniform{};
  aligned.sum[0] = {partial, blocks, each, out.loss};
  uniform.sum[0] = {even, 2, half, out.loss, true};
  pairwise::start(work, aligned, 1);
  pairwise::start(work, uniform, 1);
}

template <class T, class Products>
Status align_uniform_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                             const AlignUniformOptions& o, const PairGradient<T>& out,
                             Scratch scratch, cudaStream_t stream, const Products& how) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, 1, out.loss, out.x, out.y)) return invalid(wrong);
  if (const char* wrong = weights_error({o.align_weight, o.uniform_weight})) return invalid(wrong);
  if (const Status bad = metrics::detail::check_alignment(x.rows, {.alpha = o.alpha}); !bad)
    return bad;
  if (const Status bad = metrics::detail::check_uniformity(x.rows, o.t); !bad) return bad;
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    align_uniform<Tile>(work, x, y, o, block, out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status align_uniform(core::MatrixView<const T> x, core::MatrixView<const T> y,
                     const AlignUniformOptions& options, double* loss, Scratch scratch,
                     cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::align_uniform_checked(x, y, options, PairGradient<T>{loss, {}, {}}, scratch,
                                       stream, how);
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status align_uniform_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                   const AlignUniformOptions& options, const PairGradient<T>& out,
                                   Scratch scratch, cudaStream_t stream = nullptr,
                                   const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::align_uniform_checked(x, y, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
