// vicreg on the device: formula, gradient and options in formula/vicreg.hpp. Both views at once.
//
// Shapes   X, Y: N x D, N >= 2, D <= 16384, float, double, Half or Bfloat16. No normalisation: columns
//          count, not rows.
// Accuracy means and sums in double, products in f32 (f64 for double rows) without tensor cores.
// Cost     4 N D^2 flops, with gradients 8.
// Memory   8 N D and 8 D^2 bytes (twice that for double rows), and 8 min(N, 2048) D of column sums.
// Errors   as in clip.cuh, N < 2, a weight negative or not finite, epsilon or gamma not positive.
#pragma once

#include "spheremix/formula/vicreg.hpp"
#include "spheremix/gpu/core/column_sums.cuh"
#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/pairwise/products.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::VicregOptions;

namespace detail {

/// to = x - mean. Block (b, side).
template <class T>
struct CentredKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const T> x[2];
  const double* mean[2];
  core::MatrixView<A> to[2];
  Index blocks;  ///< of one side
  __device__ void operator()() const {
    const int side = Index(blockIdx.x) >= blocks;
    const Index at = (Index(blockIdx.x) - side * blocks) * kThreads + threadIdx.x;
    const Index i = at / x[0].cols, k = at % x[0].cols;
    if (i < x[0].rows) to[side](i, k) = A(double(widen(x[side](i, k))) - mean[side][k]);
  }
};

/// A row of C a block: its share of the loss, the pull of its column, and 0 on the diagonal, so that
/// what is left is the covariance.
template <class A>
struct VicregTableKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);
  core::MatrixView<A> c[2];
  VicregOptions options;
  Index rows;       ///< N
  double* pull[2];  ///< of a column
  double* partial;  ///< a row of either C
  __device__ void operator()() const {
    const Index d = c[0].cols;
    const int side = Index(blockIdx.x) >= d;
    const Index k = Index(blockIdx.x) - side * d;
    A* const row = c[side].row(k);
    double squares = 0;
    for (Index l = threadIdx.x; l < d; l += kThreads)
      if (l != k) squares += double(row[l]) * double(row[l]);
    squares = pairwise::block_sum<kThreads>(squares, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const formula::VicregColumn column = formula::vicreg_column(double(row[k]), options, rows, d);
    row[k] = 0;
    pull[side][k] = column.pull;
    partial[blockIdx.x] = options.variance_weight * column.lack / (2 * double(d)) +
                          options.covariance_weight * squares / double(d);
  }
};

/// Partial sums of (X - Y)^2; the pulls and the invariance added to the gradients. One warp a row.
template <class T>
struct VicregRowsKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);
  core::MatrixView<const T> x, y;
  core::MatrixView<const A> centred[2];
  const double* pull[2];
  double step;  ///< 2 invariance_weight / (N D)
  core::MatrixView<A> dx, dy;
  double* partial;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double sum = 0;
    if (i < x.rows)
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const double away = double(widen(x(i, k))) - double(widen(y(i, k)));
        sum += away * away;
        if (!dx.data) continue;
        dx(i, k) = A(double(dx(i, k)) + pull[0][k] * double(centred[0](i, k)) + step * away);
        dy(i, k) = A(double(dy(i, k)) + pull[1][k] * double(centred[1](i, k)) - step * away);
      }
    sum = pairwise::block_sum<kThreads>(sum, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  }
};

template <class T>
void vicreg(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
            const VicregOptions& o, const PairGradient<T>& out) {
  using A = Arithmetic<T>;
  using Side = pairwise::ProductSide<pairwise::ExactTile<A>>;
  using Centred = CentredKernel<T>;
  using Rows = VicregRowsKernel<T>;
  const Index n = x.rows, d = x.cols, blocks = pairwise::ceil_div(n * d, Centred::kThreads),
              row_blocks = pairwise::ceil_div(n, Rows::kRowsEach);
  const auto batch = [&] { return core::MatrixView<A>{work.take<A>(n * d), n, d, d}; };
  const auto table = [&] { return core::MatrixView<A>{work.take<A>(d * d), d, d, d}; };
  const core::MatrixView<A> centred[2] = {batch(), batch()}, c[2] = {table(), table()};
  double* const mean[2] = {work.take<double>(d), work.take<double>(d)};
  double* const pull[2] = {work.take<double>(d), work.take<double>(d)};
  double* const columns = work.take<double>(2 * d);
  double* const rows = work.take<double>(row_blocks);
  const auto multiply = [&](const Side& one, const Side& other) {
    pairwise::multiply(work, pairwise::KernelProducts{}, one, other);
  };

  column_means(work, x, gpu::detail::rows_on_16_bytes(x), mean[0]);
  column_means(work, y, gpu::detail::rows_on_16_bytes(y), mean[1]);
  pairwise::start(work, Centred{{x, y}, {mean[0], mean[1]}, {centred[0], centred[1]}, blocks},
                  2 * blocks);
  const A covariance = A(1 / double(n - 1));
  multiply({centred[0].data, d, true, centred[0], c[0], covariance, false},
           {centred[1].data, d, true, centred[1], c[1], covariance, false});
  pairwise::start(work, VicregTableKernel<A>{{c[0], c[1]}, o, n, {pull[0], pull[1]}, columns},
                  2 * d);
  if (out.x.data) {
    const A factor = A(4 * o.covariance_weight / (double(d) * double(n - 1)));
    multiply({centred[0].data, d, false, c[0], out.x, factor, false},
             {centred[1].data, d, false, c[1], out.y, factor, false});
  }
  const double each = o.invariance_weight / (double(n) * double(d));
  pairwise::start(
      work, Rows{x, y, {centred[0], centred[1]}, {pull[0], pull[1]}, 2 * each, out.x, out.y, rows},
      row_blocks);
  pairwise::ReduceKernel invariance{}, rest{};
  invariance.sum[0] = {rows, row_blocks, each, out.loss};
  rest.sum[0] = {columns, 2 * d, 1, out.loss, true};
  pairwise::start(work, invariance, 1);
  pairwise::start(work, rest, 1);
}

template <class T>
Status vicreg_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                      const VicregOptions& o, const PairGradient<T>& out, Scratch scratch,
                      cudaStream_t stream) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (x.cols > kMostColumns) return invalid(kTooManyColumns);
  if (x.rows < 2) return invalid("vicreg needs two rows at least");
  if (const char* wrong = place_error(x, y, 1, out.loss, out.x, out.y)) return invalid(wrong);
  if (const char* wrong =
          weights_error({o.invariance_weight, o.variance_weight, o.covariance_weight}))
    return invalid(wrong);
  if (!(o.gamma > 0) || !(o.epsilon > 0)) return invalid("gamma or epsilon is not positive");
  return enqueue(scratch, stream, [&](Work& work) { vicreg(work, x, y, o, out); });
}

}  // namespace detail

/// *loss (device memory).
template <class T>
Status vicreg(core::MatrixView<const T> x, core::MatrixView<const T> y,
              const VicregOptions& options, double* loss, Scratch scratch,
              cudaStream_t stream = nullptr) {
  return detail::vicreg_checked(x, y, options, PairGradient<T>{loss, {}, {}}, scratch, stream);
}

/// Loss and gradients, all overwritten.
template <class T>
Status vicreg_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const VicregOptions& options, const PairGradient<T>& out,
                            Scratch scratch, cudaStream_t stream = nullptr) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::vicreg_checked(x, y, options, out, scratch, stream);
}

}  // namespace spheremix::gpu::losses
