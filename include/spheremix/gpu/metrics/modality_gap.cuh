// The distance between the centres of two batches, column means, and centring, on the device.
//
//   modality_gap(X, Y) = |mean x - mean y|,   its vector mean x - mean y
//   center_rows: x_i - mean
//
// Sums run in double in a fixed order: the same bits every run. Gradient of centring: center_rows
// of the cotangent with its own column means (the map is symmetric).
//
// Shapes   X: N x d and Y: M x d of one storage type, d <= 16384. Means, vector and gap are doubles
//          in device memory.
// Errors   N = 0 or M = 0.
#pragma once

#include <cmath>

#include "spheremix/gpu/core/column_sums.cuh"
#include "spheremix/gpu/core/rows.cuh"

namespace spheremix::gpu::metrics {

/// Enqueues mean[j] = the mean of column j.
template <class E>
Status column_means(View<E> x, double* mean, Scratch scratch, cudaStream_t stream = nullptr) {
  if (x.rows <= 0) return invalid("column_means: the mean over no rows is undefined");
  gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("column_means"), x.rows, x.cols);
  if (const Status bad = check.input(x).vector(mean).status(); !bad.ok()) return bad;
  return enqueue(
      scratch, stream, [&](Work& work) { gpu::column_means(work, x, check.wide(), mean); },
      "column_means: the scratch is too small");
}

namespace detail {

template <class T>
struct CenterRow {
  View<const T> x;
  const double* mean;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a;
    group.load(x, row, a);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k)
      if (group.column(k) < group.cols())
        a[k] = Arithmetic<T>(double(a[k]) - mean[group.column(k)]);
    group.store(out, row, a);
  }
};

/// One block: vector = a - b, *length = |a - b|.
template <int Threads>
__global__ void __launch_bounds__(Threads)
    difference_and_length(const double* a, const double* b, Index cols, double* vector,
                          double* length) {
  double squares = 0;
  for (Index j = threadIdx.x; j < cols; j += Threads) {
    const double d = a[j] - b[j];
    if (vector) vector[j] = d;
    squares += d * d;
  }
  double* const warps = reinterpret_cast<double*>(shared_memory());
  squares = warp_sum(squares);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = squares;
  block_barrier();
  if (threadIdx.x == 0) {
    for (unsigned w = 1; w < Threads / kWarp; ++w) squares += warps[w];
    *length = std::sqrt(squares);
  }
}

}  // namespace detail

/// Enqueues out_i = x_i - mean. `mean`: d doubles in device memory.
template <class T>
Status center_rows(Input<T> x, const double* mean, View<T> out, cudaStream_t stream = nullptr) {
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("center_rows"), out.rows, out.cols)
      .input(x)
      .vector(mean)
      .output(out, x)
      .template run<T>(detail::CenterRow<T>{x, mean, out}, stream);
}

/// Enqueues *gap = |mean x - mean y| and, unless null, vector = mean x - mean y.
template <class E>
Status modality_gap(View<E> x, Input<std::remove_const_t<E>> y, double* gap, double* vector,
                    Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  if (x.cols != y.cols) return invalid("modality_gap: the matrices differ in columns");
  if (!gap) return invalid("modality_gap: a null pointer");
  if (x.rows <= 0 || y.rows <= 0)
    return invalid("column_means: the mean over no rows is undefined");
  const View<const T> rows[] = {x, y};
  bool wide[2];
  for (int k = 0; k < 2; ++k) {
    gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("modality_gap"), rows[k].rows, x.cols);
    if (const Status bad = check.input(rows[k]).status(); !bad) return bad;
    wide[k] = check.wide();
  }
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        double* const mean_x = work.take<double>(x.cols);
        double* const mean_y = work.take<double>(x.cols);
        gpu::column_means(work, rows[0], wide[0], mean_x);
        gpu::column_means(work, rows[1], wide[1], mean_y);
        work.launch(detail::difference_and_length<256>, 1, 256, 8 * sizeof(double), mean_x, mean_y,
                    x.cols, vector, gap);
      },
      "modality_gap: the scratch is too small");
}

}  // namespace spheremix::gpu::metrics
