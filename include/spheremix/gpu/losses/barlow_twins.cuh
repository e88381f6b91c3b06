// barlow_twins on the device: formula, gradient and options in formula/barlow_twins.hpp.
//
// Shapes   X, Y: N x D, float, double, Half or Bfloat16, N >= 2; at most 16,384 columns.
// Cost     4 N D^2 flops, 8 with gradients: C and C^T are products of their own, so that M^T needs no
//          transposition. Products in f32 (f64 for double rows) without tensor cores; means,
//          variances and the loss in double.
// Memory   scratch: 12 N D and 8 D^2 bytes (twice that for double rows), and 8 min(N, 2048) D of column
//          sums.
// Errors   shapes, N < 2, off_diagonal_weight negative, epsilon not positive, gradients that overlap
//          a batch or each other, too small a scratch.
#pragma once

#include "spheremix/formula/barlow_twins.hpp"
#include "spheremix/gpu/core/column_sums.cuh"
#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/pairwise/products.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::BarlowTwinsOptions;

namespace detail {

/// (x - mean)^2.
template <class T>
struct SquaredDeviations {
  View<const T> x;
  const double* mean;
  __device__ bool active() const { return true; }
  template <class Group>
  __device__ void operator()(const Group& group, Index row, typename Group::Values& out) const {
    group.load(x, row, out);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) {
      const int j = group.column(k);
      const double e = j < group.cols() ? double(out[k]) - mean[j] : 0;
      out[k] = typename Group::A(e * e);
    }
  }
};

/// to = (x - mean) / sqrt(variance + epsilon).
template <class T>
struct StandardKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const T> x;
  const double* mean;
  const double* variance;
  double epsilon;
  Arithmetic<T>* to;
  __device__ void operator()() const {
    const Index at = Index(blockIdx.x) * kThreads + threadIdx.x, k = at % x.cols;
    if (at >= x.rows * x.cols) return;
    to[at] = Arithmetic<T>((double(widen(x(at / x.cols, k))) - mean[k]) *
                           formula::inverse_deviation(variance[k], epsilon));
  }
};

/// Of every row of C (or C^T): M in its place, sum_l M_kl C_kl, its part of the loss; one warp a row.
template <class A>
struct CorrelationKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);
  core::MatrixView<A> c;
  double off_diagonal_weight;
  double* along;
  double* partial;  ///< nullptr: none
  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double loss = 0, sum = 0;
    if (k < c.rows) {
      for (Index l = threadIdx.x % kWarp; l < c.cols; l += kWarp) {
        const double e = double(c(k, l));
        const auto term = formula::correlation_term(k == l, e, off_diagonal_weight);
        loss += term.loss;
        sum += term.slope * e;
        c(k, l) = A(term.slope);
      }
      sum = warp_sum(sum);
      if (threadIdx.x % kWarp == 0) along[k] = sum;
    }
    loss = pairwise::block_sum<kThreads>(loss, reinterpret_cast<double*>(shared_memory()));
    if (partial && threadIdx.x == 0) partial[blockIdx.x] = loss;
  }
};

/// dX from its ys M^T.
template <class A>
struct ThroughColumnsKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  const A* back;
  const A* standard;
  const double* along;
  const double* variance;
  double epsilon;
  core::MatrixView<A> dx;
  __device__ void operator()() const {
    const Index at = Index(blockIdx.x) * kThreads + threadIdx.x, k = at % dx.cols;
    if (at >= dx.rows * dx.cols) return;
    dx(at / dx.cols, k) = A((double(back[at]) - double(standard[at]) * along[k]) *
                            formula::inverse_deviation(variance[k], epsilon) / double(dx.rows));
  }
};

template <class T>
void barlow_twins(Work& work, const core::MatrixView<const T>& x,
                  const core::MatrixView<const T>& y, const BarlowTwinsOptions& options,
                  const PairGradient<T>& out) {
  using A = Arithmetic<T>;
  using Tile = pairwise::ExactTile<A>;
  using Correlation = CorrelationKernel<A>;
  using Standard = StandardKernel<T>;
  using Through = ThroughColumnsKernel<A>;
  const core::MatrixView<const T> in[2] = {x, y};
  const Index n = x.rows, d = x.cols, rows_blocks = pairwise::ceil_div(n * d, Standard::kThreads),
              blocks = pairwise::ceil_div(d, Correlation::kRowsEach);
  core::MatrixView<A> z[2], c[2];
  double *variance[2], *along[2];
  for (int s = 0; s < 2; ++s) {
    z[s] = {work.take<A>(n * d), n, d, d};
    c[s] = {work.take<A>(d * d), d, d, d};
    variance[s] = work.take<double>(d);
    along[s] = work.take<double>(d);
  }
  double* const partial = work.take<double>(blocks);
  for (int s = 0; s < 2; ++s) {
    const Work::Part part(work);
    const bool wide = gpu::detail::rows_on_16_bytes(in[s]);
    double* const mean = work.take<double>(d);
    column_means(work, in[s], wide, mean);
    column_sums<T>(work, SquaredDeviations<T>{in[s], mean}, n, d, wide, 1 / double(n), variance[s]);
    pairwise::start(work, Standard{in[s], mean, variance[s], options.epsilon, z[s].data},
                    rows_blocks);
  }
  const pairwise::KernelProducts how{};
  for (int s = 0; s < 2; ++s)
    pairwise::multiply<Tile>(work, how,
                             {z[s].data, d, true, z[1 - s], c[s], A(1 / double(n)), false}, {});
  for (int s = 0; s < 2; ++s)
    pairwise::start(
        work, Correlation{c[s], options.off_diagonal_weight, along[s], s == 0 ? partial : nullptr},
        blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {partial, blocks, 1, out.loss};
  pairwise::start(work, reduce, 1);
  if (!out.x.data) return;
  A* const back = work.take<A>(n * d);
  for (int s = 0; s < 2; ++s) {  // dX: ys M^T, and c[1] is M^T; dY: xs M
    pairwise::multiply<Tile>(work, how,
                             {z[1 - s].data, d, false, c[1 - s], {back, n, d, d}, A(1), false}, {});
    pairwise::start(
        work,
        Through{back, z[s].data, along[s], variance[s], options.epsilon, s == 0 ? out.x : out.y},
        rows_blocks);
  }
}

template <class T>
Status barlow_twins_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                            const BarlowTwinsOptions& options, const PairGradient<T>& out,
                            Scratch scratch, cudaStream_t stream) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (x.cols > kMostColumns) return invalid(kTooManyColumns);
  if (x.rows < 2) return invalid("at least two rows are needed");
  if (const char* wrong = place_error(x, y, 1, out.loss, out.x, out.y)) return invalid(wrong);
  if (const char* wrong = weights_error({options.off_diagonal_weight})) return invalid(wrong);
  if (!(options.epsilon > 0 && options.epsilon <= core::largest<double>))
    return invalid("epsilon is not a positive finite number");
  return enqueue(scratch, stream, [&](Work& work) { barlow_twins(work, x, y, options, out); });
}

}  // namespace detail

/// *loss (device memory).
template <class T>
Status barlow_twins(core::MatrixView<const T> x, core::MatrixView<const T> y,
                    const BarlowTwinsOptions& options, double* loss, Scratch scratch,
                    cudaStream_t stream = nullptr) {
  return detail::barlow_twins_checked(x, y, options, PairGradient<T>{loss, {}, {}}, scratch,
                                      stream);
}

/// Loss and gradients, all overwritten.
template <class T>
Status barlow_twins_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                  const BarlowTwinsOptions& options, const PairGradient<T>& out,
                                  Scratch scratch, cudaStream_t stream = nullptr) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::barlow_twins_checked(x, y, options, out, scratch, stream);
}

}  // namespace spheremix::gpu::losses
