// geometric_consistency and augmented_geometric_consistency on the device: formulas, gradients and
// options in formula/geometric_consistency.hpp.
//
// Shapes   X, Y and the augmented views Xa, Ya: N x D, float, double, Half or Bfloat16, rows as they
//          are.
// Cost     N D^2 flops, see consistency_products.cuh; the augmented form twice, and one pass.
// Errors   shapes, no rows, weights negative or not finite, gradients that overlap a batch or each
//          other, too small a scratch.
#pragma once

#include "spheremix/formula/geometric_consistency.hpp"
#include "spheremix/gpu/losses/detail/consistency_products.cuh"
#include "spheremix/gpu/losses/detail/pair_results.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::GeometricConsistencyOptions;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using AugmentedConsistencyGradient = spheremix::losses::AugmentedConsistencyGradient<Places<T>>;

namespace detail {

template <class T>
Status consistency_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const GeometricConsistencyOptions& options, const PairGradient<T>& out,
                           Scratch scratch, cudaStream_t stream) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, 1, out.loss, out.x, out.y)) return invalid(wrong);
  if (const char* wrong = weights_error({options.cross_weight, options.in_modal_weight}))
    return invalid(wrong);
  return enqueue(scratch, stream, [&](Work& work) {
    consistency(work, x, y,
                formula::ConsistencyParts::of(options.cross_weight, options.in_modal_weight,
                                              1 / double(x.rows)),
                out.loss, false, out.x, out.y, false);
  });
}

/// Partial sums of (x_j.y_j - xa_j.ya_j)^2, its gradients added; one warp a row.
template <class T>
struct PairedKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);
  core::MatrixView<const T> in[4];  ///< x, y, xa, ya
  double step;                      ///< 2 c / n
  core::MatrixView<Arithmetic<T>> out[4];
  bool gradient;
  double* partial;

  __device__ void operator()() const {
    const Index j = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    const auto value = [&](int m, Index k) { return double(widen(in[m](j, k))); };
    double e = 0;
    if (j < in[0].rows) {
      for (Index k = threadIdx.x % kWarp; k < in[0].cols; k += kWarp)
        e += value(0, k) * value(1, k) - value(2, k) * value(3, k);
      e = warp_sum(e);
      for (Index k = threadIdx.x % kWarp; gradient && k < in[0].cols; k += kWarp) {
        SPHEREMIX_UNROLL
        for (int m = 0; m < 4; ++m)  // each view's gradient is its partner
          out[m](j, k) += Arithmetic<T>((m < 2 ? step : -step) * e * value(m ^ 1, k));
      }
    }
    e = threadIdx.x % kWarp == 0 ? e * e : 0;
    e = pairwise::block_sum<kThreads>(e, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = e;
  }
};

template <class T>
Status augmented_consistency(const core::MatrixView<const T> (&in)[4],
                             const GeometricConsistencyOptions& options,
                             const AugmentedConsistencyGradient<T>& to, bool gradient,
                             Scratch scratch, cudaStream_t stream) {
  const core::MatrixView<Arithmetic<T>> out[4] = {to.x, to.y, to.x_augmented, to.y_augmented},
                                        none{};
  if (const char* wrong = batches_error(in, gradient, out, to.loss)) return invalid(wrong);
  if (const char* wrong = weights_error({options.cross_weight, options.in_modal_weight}))
    return invalid(wrong);
  using Paired = PairedKernel<T>;
  const Index n = in[0].rows, blocks = pairwise::ceil_div(n, Paired::kRowsEach);
  return enqueue(scratch, stream, [&](Work& work) {
    double* const partial = work.take<double>(blocks);
    for (int side = 0; side < 2; ++side)
      consistency(work, in[side], in[side + 2],
                  formula::ConsistencyParts::of(0, options.in_modal_weight, 1 / double(n)), to.loss,
                  side == 1, gradient ? out[side] : none, gradient ? out[side + 2] : none, false);
    const double step = formula::paired_consistency_step(options.cross_weight, double(n));
    pairwise::start(work,
                    Paired{{in[0], in[1], in[2], in[3]},
                           step,
                           {out[0], out[1], out[2], out[3]},
                           gradient,
                           partial},
                    blocks);
    pairwise::ReduceKernel reduce{};
    reduce.sum[0] = {partial, blocks, step / 2, to.loss, true};
    pairwise::start(work, reduce, 1);
  });
}

}  // namespace detail

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
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::consistency_checked(x, y, options, out, scratch, stream);
}

/// *loss (device memory) of two batches and their augmented views.
template <class T>
Status augmented_geometric_consistency(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                       core::MatrixView<const T> x_augmented,
                                       core::MatrixView<const T> y_augmented,
                                       const GeometricConsistencyOptions& options, double* loss,
                                       Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::augmented_consistency<T>({x, y, x_augmented, y_augmented}, options,
                                          {loss, {}, {}, {}, {}}, false, scratch, stream);
}

/// Loss and gradients, all overwritten.
template <class T>
Status augmented_geometric_consistency_with_gradient(
    core::MatrixView<const T> x, core::MatrixView<const T> y, core::MatrixView<const T> x_augmented,
    core::MatrixView<const T> y_augmented, const GeometricConsistencyOptions& options,
    const AugmentedConsistencyGradient<T>& out, Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::augmented_consistency<T>({x, y, x_augmented, y_augmented}, options, out, true,
                                          scratch, stream);
}

}  // namespace spheremix::gpu::losses
