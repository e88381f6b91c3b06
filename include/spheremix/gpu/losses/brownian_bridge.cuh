// brownian_bridge on the device: formula, gradient and options in formula/brownian_bridge.hpp.
//
// Shapes   A (augmented), X, Y: N x D, float, double, Half or Bfloat16, rows as they are.
// Cost     one pass, a warp a row.
// Errors   shapes, no rows, r outside [0, 1], overlapping gradients, options.ratios (which lie on the
//          host); a row with m = 0, or a time in device memory outside [0, 1], gives NaN.
#pragma once

#include "spheremix/formula/brownian_bridge.hpp"
#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::BrownianBridgeOptions;

/// In device memory, gradients in the type of the rows; any number but the loss may be null.
template <class T>
using BrownianBridgeGradient = spheremix::losses::BrownianBridgeGradient<View<T>>;

namespace detail {

/// In double throughout: the pass waits for memory, and nothing of a small loss is lost.
template <class T>
struct BridgeKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);
  core::MatrixView<const T> a, x, y;
  RowScalar<double> times;
  core::MatrixView<T> da, dx, dy;  ///< data nullptr: value only
  double* partial;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double loss = 0;
    if (i < x.rows) {
      const double given = times(i), ratio = given >= 0 && given <= 1 ? given : core::nan<double>;
      const auto middle = [&](Index k) {
        return formula::BridgePull::middle(ratio, double(widen(x(i, k))), double(widen(y(i, k))));
      };
      double square = 0, along = 0;
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) square += middle(k) * middle(k);
      const double inverse = formula::BridgePull::inverse_of(warp_sum(square));
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const double mu = middle(k) * inverse, e = double(widen(a(i, k))) - mu;
        loss += e * e;
        along += e * mu;
      }
      const formula::BridgePull pull{ratio, 2 / double(x.rows), inverse, warp_sum(along)};
      if (da.data)
        for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
          const double mu = middle(k) * inverse, e = double(widen(a(i, k))) - mu;
          const double h = pull.middle_gradient(e, mu);
          da(i, k) = stored(pull.augmented(e));
          dx(i, k) = stored(pull.x(h));
          dy(i, k) = stored(pull.y(h));
        }
    }
    loss = pairwise::block_sum<kThreads>(loss, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = loss;
  }

 private:
  __device__ static T stored(double v) { return narrow<T>(Arithmetic<T>(v)); }
};

}  // namespace detail

/// Loss and, where out.x has data, gradients; all overwritten. ratios: one a row, device memory, in
/// place of options.ratio.
template <class U, class T = std::remove_const_t<U>>
Status brownian_bridge_with_gradient(View<U> rows, Input<T> x, Input<T> y,
                                     const BrownianBridgeOptions& options,
                                     const std::type_identity_t<BrownianBridgeGradient<T>>& out,
                                     Scratch scratch, cudaStream_t stream = nullptr,
                                     const double* ratios = nullptr) {
  const View<const T> augmented = rows;
  const View<const T> in[] = {rows, x, y};
  const View<T> to[] = {out.augmented, out.x, out.y};
  const bool gradient = out.augmented.data || out.x.data || out.y.data;
  if (const char* wrong = detail::batches_error(in, gradient, to, out.loss)) return invalid(wrong);
  if (!(options.ratio >= 0 && options.ratio <= 1)) return invalid("the ratio lies outside [0, 1]");
  if (!options.ratios.empty()) return invalid("ratios come by the last argument, in device memory");
  const RowScalar<double> times =
      ratios ? RowScalar<double>(ratios) : RowScalar<double>(options.ratio);
  using Kernel = detail::BridgeKernel<T>;
  const Index blocks = pairwise::ceil_div(x.rows, Kernel::kRowsEach);
  return enqueue(scratch, stream, [&](Work& work) {
    double* const partial = work.take<double>(blocks);
    pairwise::start(
        work,
        Kernel{augmented, x, y, times, out.x.data ? out.augmented : core::MatrixView<T>{}, out.x,
               out.y, partial},
        blocks);
    pairwise::ReduceKernel reduce{};
    reduce.sum[0] = {partial, blocks, 1 / double(x.rows), out.loss};
    pairwise::start(work, reduce, 1);
  });
}

/// *loss (device memory).
template <class U, class T = std::remove_const_t<U>>
Status brownian_bridge(View<U> augmented, Input<T> x, Input<T> y,
                       const BrownianBridgeOptions& options, double* loss, Scratch scratch,
                       cudaStream_t stream = nullptr, const double* ratios = nullptr) {
  return brownian_bridge_with_gradient(augmented, x, y, options, {loss, {}, {}, {}}, scratch,
                                       stream, ratios);
}

}  // namespace spheremix::gpu::losses
