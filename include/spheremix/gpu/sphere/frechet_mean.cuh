// The Frechet mean of points on the sphere, on the device: least sum of weighted squared angles.
//
//   m <- exp_m( sum_i w_i log_m(x_i) / sum_i w_i ),   residual = |step| at the last m
//
// started at the normalised Euclidean mean. Converges for points in an open half sphere.
// `max_iterations` steps are enqueued; once a step is not above the tolerance the rest return at
// once, so nothing is read back and the call can be captured.
//
// Shapes   X: n x d of one storage type; weights: n doubles in device memory, or null for ones;
//          mean: d numbers of Arithmetic<T>; report: one FrechetMeanReport in device memory.
// Edges    a row antipodal to the current mean, a NaN row, all weights zero, balanced points
//          (Euclidean mean 0): NaN.
// [Karcher 1977; Buss and Fillmore 2001, "Spherical averages"]
#pragma once

#include "spheremix/gpu/core/column_sums.cuh"
#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/sphere/row_arc.cuh"

namespace spheremix::gpu::sphere {

/// Not sphere::FrechetMeanOptions: every step is enqueued, and does nothing once one was small.
struct FrechetMeanSteps {
  double tolerance = 0;  ///< on |step| in radians; 0: 4 eps of the arithmetic
  int steps = 64;        ///< that are enqueued
};

struct FrechetMeanReport {
  double residual;  ///< |step| that the last iteration found
  int iterations;   ///< steps taken
  int done;         ///< 1 once residual is not above the tolerance
};

namespace detail {

template <class A>
struct FrechetState {
  double* sum;  ///< d + 1 numbers: the sum over rows, and the sum of weights in the last one
  A* mean;
  FrechetMeanReport* report;
};

/// w_i x_i (First) or w_i log_m(x_i).
template <class T, bool First>
struct FrechetRow {
  using A = Arithmetic<T>;
  View<const T> x;
  const double* weights;
  const A* mean;
  const FrechetMeanReport* report;

  __device__ bool active() const { return First || report->done == 0; }

  template <class Group>
  __device__ void operator()(const Group& group, Index row, typename Group::Values& out) const {
    const A w = weights ? A(weights[row]) : A(1);
    group.load(x, row, out);
    make_unit<T>(group, out);
    if constexpr (First) {
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k) out[k] = w == 0 ? 0 : w * out[k];
    } else {
      typename Group::Values m;
      group.load_vector(mean, m);
      const math::Arc<A> arc = row_arc(group, m, out);
      const math::ArcVector<A> log = math::arc_log(arc);
      const A s = arc.antipodal ? core::nan<A> : w * log.s, d = w * log.d;
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k)
        out[k] = w == 0 ? 0 : s * (m[k] + out[k]) + d * (out[k] - m[k]);
    }
  }
};

/// The sum of two numbers a thread over the block, in a fixed order, in every thread.
template <int Threads>
__device__ void block_sum(double (&values)[2]) {
  double* const shared = reinterpret_cast<double*>(shared_memory());
  for (int n = 0; n < 2; ++n) values[n] = warp_sum(values[n]);
  if (threadIdx.x % kWarp == 0)
    for (int n = 0; n < 2; ++n) shared[n * (Threads / 32) + int(threadIdx.x / kWarp)] = values[n];
  block_barrier();  // all have written
  for (int n = 0; n < 2; ++n) {
    values[n] = 0;
    for (int w = 0; w < Threads / 32; ++w) values[n] += shared[n * (Threads / 32) + w];
  }
  block_barrier();  // all have read
}

/// One block: the sum of the weights.
template <int Threads>
__global__ void __launch_bounds__(Threads) weight_sum(const double* weights, Index n, double* out) {
  double sums[2] = {0, 0};
  for (Index i = threadIdx.x; i < n; i += Threads) sums[0] += weights ? weights[i] : 1.0;
  block_sum<Threads>(sums);
  if (threadIdx.x == 0) *out = sums[0];
}

/// One block: the start (First) or one step from the sums.
template <int Threads, bool First, class A>
__global__ void __launch_bounds__(Threads)
    frechet_step(FrechetState<A> state, Index cols, double tolerance) {
  if (!First && state.report->done != 0) return;
  const double by = First ? 1 : 1 / state.sum[cols];
  double sums[2] = {0, 0};
  if constexpr (!First) {
    for (Index j = threadIdx.x; j < cols; j += Threads)
      sums[0] += by * state.sum[j] * double(state.mean[j]);
    block_sum<Threads>(sums);
  }
  const double along = sums[0];
  sums[0] = 0;
  for (Index j = threadIdx.x; j < cols; j += Threads) {
    const double v = by * state.sum[j] - (First ? 0 : along * double(state.mean[j]));
    sums[0] += v * v;
  }
  block_sum<Threads>(sums);
  const double length = std::sqrt(sums[0]);
  if (!First &&
      !(length > tolerance)) {  // already there; a NaN stops here as well and is left in the mean
    if (length != length)
      for (Index j = threadIdx.x; j < cols; j += Threads) state.mean[j] = core::nan<A>;
    if (threadIdx.x == 0) *state.report = {length, state.report->iterations, 1};
    return;
  }
  const double c = First ? 0 : std::cos(length);
  const double s = First ? 1 / length : std::sin(length) / length;
  sums[0] = 0;
  for (Index j = threadIdx.x; j < cols; j += Threads) {
    const double m = First ? 0 : double(state.mean[j]);
    const double moved = c * m + s * (by * state.sum[j] - along * m);
    state.sum[j] = moved;
    sums[0] += moved * moved;
  }
  block_sum<Threads>(sums);
  const double inverse = 1 / std::sqrt(sums[0]);
  for (Index j = threadIdx.x; j < cols; j += Threads) state.mean[j] = A(state.sum[j] * inverse);
  if (threadIdx.x == 0)
    *state.report = {First ? core::infinity<double> : length,
                     First ? 0 : state.report->iterations + 1, 0};
}

}  // namespace detail

/// Enqueues the mean of the rows of X and what the iteration did.
template <class E>
Status frechet_mean(View<E> x, const double* weights, FrechetMeanSteps options,
                    Arithmetic<std::remove_const_t<E>>* mean, FrechetMeanReport* report,
                    Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  using A = Arithmetic<T>;
  if (x.rows <= 0 || x.cols <= 0)
    return invalid("frechet_mean: the mean over no points is undefined");
  if (!(options.tolerance >= 0) || options.steps < 0)
    return invalid("frechet_mean: the tolerance or the number of iterations is negative");
  gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("frechet_mean"), x.rows, x.cols);
  if (const Status bad = check.input(x).vector(mean).vector(report).status(); !bad.ok()) return bad;
  constexpr int threads = 256;
  const std::size_t shared = 2 * (threads / 32) * sizeof(double);
  const double tolerance = options.tolerance > 0 ? options.tolerance : 4 * double(core::epsilon<A>);
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        double* const sum = work.take<double>(x.cols + 1);
        const detail::FrechetState<A> state{sum, mean, report};
        work.launch(detail::weight_sum<threads>, 1, threads, shared, weights, x.rows, sum + x.cols);
        column_sums<T>(work, detail::FrechetRow<T, true>{x, weights, mean, report}, x.rows, x.cols,
                       check.wide(), 1.0, sum);
        work.launch(detail::frechet_step<threads, true, A>, 1, threads, shared, state, x.cols,
                    tolerance);
        for (int i = 0; i < options.steps; ++i) {
          column_sums<T>(work, detail::FrechetRow<T, false>{x, weights, mean, report}, x.rows,
                         x.cols, check.wide(), 1.0, sum);
          work.launch(detail::frechet_step<threads, false, A>, 1, threads, shared, state, x.cols,
                      tolerance);
        }
      },
      "frechet_mean: the scratch is too small");
}

}  // namespace spheremix::gpu::sphere
