// What the losses of one labelled batch share on the device: the result, the labels, how many rows
// have an equal one, and the mean over anchors, whose number only the device knows.
#pragma once

#include "spheremix/formula/label_distance.hpp"
#include "spheremix/gpu/core/labels.cuh"
#include "spheremix/gpu/losses/detail/contrastive.cuh"

namespace spheremix::gpu::losses {

using gpu::Labels;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using SupervisedGradient = spheremix::losses::SupervisedGradient<Places<T>>;

namespace detail {

using core::ExactNumber;
using formula::LabelDistance;

/// Do two rows count as equal?
__device__ __forceinline__ bool equal_labels(const LabelDistance& distance, ExactNumber a,
                                             ExactNumber b, double tolerance) {
  return a < b ? distance.equal(a, b, tolerance) : distance.equal(b, a, tolerance);
}

/// Where a row's label lies among all of them, and which labels equal it, in whole numbers: row j's
/// label equals that of row i where its rank lies in [first, first + count) of window i. Equality within
/// a tolerance is an interval of the sorted labels, because rounding keeps the order of differences.
struct LabelWindow {
  int rank = -1;  ///< labels below the row's own; -1 for one that is not finite
  int first = 0;  ///< labels below all those that equal it
  int count = 0;  ///< labels that equal it, its own among them; 0 for one that is not finite

  /// Other rows whose label equals its own, -1 where it is not finite.
  __device__ __forceinline__ int others() const { return count - 1; }
};

/// The windows of all rows. A warp a row: N^2 comparisons, next to 2 N^2 D flops a sweep.
struct WindowKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  const ExactNumber* labels;
  Index n;
  double tolerance;
  LabelDistance distance;
  LabelWindow* windows;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= n) return;
    const ExactNumber y = labels[i];
    int below = 0, first = 0, equal = 0;
    for (Index j = threadIdx.x % kWarp; j < n; j += kWarp) {
      const ExactNumber other = labels[j];
      const bool same = equal_labels(distance, y, other, tolerance), less = other < y;
      equal += same;
      below += less;
      first += less && !same;
    }
    equal = warp_sum(equal);
    below = warp_sum(below);
    first = warp_sum(first);
    if (threadIdx.x % kWarp > 0) return;
    windows[i] = y.finite() ? LabelWindow{below, first, equal} : LabelWindow{};
  }
};

/// The mean over the anchors that have positives: *loss, *skipped, and *line = 1 / anchors (0
/// without any, NaN next to a NaN loss). One block.
template <class T>
struct AnchorsKernel {
  static constexpr unsigned kThreads = 256, kResident = 4, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = 3 * kWarps * sizeof(double);
  const double* losses;   ///< a block's sums
  const double* anchors;  ///< and how many anchors they are of
  Index count, n;
  double* loss;
  Index* skipped;
  T* line;
  const double* moments = nullptr;    ///< sums of dL/ds s, where
  double* log_temperature = nullptr;  ///< minus their mean is wanted
  __device__ void operator()() const {
    double sums[3] = {0, 0, 0};
    for (Index k = threadIdx.x; k < count; k += kThreads) {
      sums[0] += losses[k];
      sums[1] += anchors[k];
      if (moments) sums[2] += moments[k];
    }
    pairwise::block_sums<kThreads>(sums, 3, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const double size = sums[1], each = size > 0 ? 1 / size : 0;
    *loss = size > 0 ? sums[0] / size : sums[0];
    if (skipped) *skipped = n - Index(size);
    if (line) *line = sums[0] != sums[0] ? core::nan<T> : T(each);
    if (log_temperature) *log_temperature = -each * sums[2];
  }
};

/// dX *= *line; sum of x_i . dX_i, one a block; one warp a row.
template <class Input>
struct LineKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);
  core::MatrixView<const Input> x;
  const T* line;
  core::MatrixView<T> dx;
  double* along;  ///< may be null
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double sum = 0;
    if (i < x.rows)
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const T g = *line * dx(i, k);
        dx(i, k) = g;
        sum += double(widen(x(i, k))) * double(g);
      }
    sum = pairwise::block_sum<kThreads>(sum, reinterpret_cast<double*>(shared_memory()));
    if (along && threadIdx.x == 0) along[blockIdx.x] = sum;
  }
};

/// What is wrong with one batch and the places for its results.
template <class T>
const char* rows_error(const core::MatrixView<const T>& x, const double* loss,
                       const core::MatrixView<Arithmetic<T>>& dx) {
  if (x.rows <= 0 || x.cols <= 0) return "X is empty";
  if (!x.data) return "X is a null pointer";
  if (x.stride < x.cols) return "a stride is less than the columns";
  if (x.rows > 0x7FFFFFFF) return "X has more than 2^31 - 1 rows";
  if (!loss) return "no place for the loss";
  if (dx.data && (dx.rows != x.rows || dx.cols != x.cols || dx.stride < x.cols))
    return "the gradient has another shape than X";
  return dx.data && core::overlap(dx, x) ? "the gradient overlaps X" : nullptr;
}

template <class T>
const char* supervised_error(const core::MatrixView<const T>& x, const Labels& labels,
                             double temperature, double tolerance,
                             const SupervisedGradient<T>& out) {
  if (!labels) return "the labels are a null pointer";
  if (!(temperature > 0) || !(temperature <= core::largest<double>))
    return "the temperature is not a positive finite number";
  if (!(tolerance >= 0) || !(tolerance <= core::largest<double>))
    return "label_tolerance is not a finite number >= 0";
  return rows_error(x, out.loss, out.x);
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
