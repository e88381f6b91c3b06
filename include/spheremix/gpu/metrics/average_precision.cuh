// mean_average_precision on the device: formula in formula/average_precision.hpp.
//
// Shapes   X: N x d, Y: M x d of one storage type; N and M labels. Results in device memory: the
//          value, and how many queries have no relevant row.
// Accuracy products run in the arithmetic type: rows closer than its rounding may change places.
// Cost     2 N M d operations on the ordinary units, N M (1 + R) comparisons, R the relevant rows of a
//          query, and M (N + M) of labels.
// Memory   strips of products: 64 MiB, or 64 rows of them where that is more; 20 (N + M) bytes.
// Errors   no queries, no candidates, widths, a null pointer. A product with NaN or infinity makes
//          the value NaN. A label of NaN equals none.
#pragma once

#include "spheremix/formula/average_precision.hpp"
#include "spheremix/gpu/core/labels.cuh"
#include "spheremix/gpu/metrics/hubness.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::metrics {

/// Where mean_average_precision writes, in device memory.
struct AveragePrecision {
  double* value = nullptr;
  Index* skipped = nullptr;  ///< may be null
};

namespace detail {

/// classes[i]: how many labels of `among` are below label i, or `none` where none equals it. A warp
/// a label.
struct LabelClassKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  Labels labels;
  Index n;
  const core::ExactNumber* among;
  Index count;
  int none;
  int* classes;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= n) return;
    const core::ExactNumber y = labels[i];
    int below = 0, equal = 0;
    for (Index j = threadIdx.x % kWarp; j < count; j += kWarp) {
      const core::ExactNumber other = among[j];
      below += other < y;
      equal += y == other;
    }
    below = warp_sum(below);
    equal = warp_sum(equal);
    if (threadIdx.x % kWarp == 0) classes[i] = equal > 0 ? below : none;
  }
};

/// One query a block: its average precision, or -1 where it has no relevant row.
template <class A>
struct PrecisionKernel {
  static constexpr unsigned kThreads = 256, kResident = 4, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = 2 * kWarps * sizeof(double);
  const A* products;  ///< of the strip's queries, `count` each
  Index first, count;
  const int *wanted, *classes;
  bool within;  ///< row `first + query` is no candidate
  double* each;

  __device__ void operator()() const {
    const Index i = first + Index(blockIdx.x), own = within ? i : Index(-1);
    const A* const s = products + Index(blockIdx.x) * count;
    const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int mine = wanted[i];
    double sums[2] = {0, 0};  // of the relevant rows' shares, and how many they are
    for (Index j0 = warp * kWarp; j0 < count; j0 += kThreads) {
      const Index at = j0 + lane;
      const bool seen = at < count && at != own;
      if (seen && s[at] - s[at] != 0) sums[0] = core::nan<double>;
      for (unsigned left = ballot(seen && classes[at] == mine); left; left &= left - 1) {
        const Index j = j0 + __ffs(int(left)) - 1;
        const A score = s[j];
        int relevant = 0, others = 0;  // before j, itself counted; the own product is NaN
        for (Index k = lane; k < count; k += kWarp) {
          const bool same = classes[k] == mine, level = s[k] == score;
          relevant += same && (s[k] > score || (level && k <= j));
          others += !same && (s[k] > score || level);
        }
        relevant = warp_sum(relevant);
        others = warp_sum(others);
        if (lane > 0) continue;
        sums[0] += formula::precision_at(double(relevant), double(others));
        sums[1] += 1;
      }
    }
    pairwise::block_sums<kThreads>(sums, 2, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0)
      each[i] = sums[0] != sums[0] ? sums[0] : sums[1] > 0 ? sums[0] / sums[1] : -1;
  }
};

/// The mean of what is not below 0, and how many are. One block.
struct PrecisionMeanKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = 2 * (kThreads / kWarp) * sizeof(double);
  const double* each;
  Index n;
  AveragePrecision out;
  __device__ void operator()() const {
    double sums[2] = {0, 0};
    for (Index i = threadIdx.x; i < n; i += kThreads) {
      const bool skipped = each[i] < 0;
      sums[0] += skipped ? 0 : each[i];
      sums[1] += double(skipped);
    }
    pairwise::block_sums<kThreads>(sums, 2, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const double counted = double(n) - sums[1];
    *out.value = counted > 0 ? sums[0] / counted : 0;
    if (out.skipped) *out.skipped = Index(sums[1]);
  }
};

template <class T>
Status average_precision(View<const T> x, View<const T> y, Labels label_x, Labels label_y,
                         bool within, Index strip, AveragePrecision out, Scratch scratch,
                         cudaStream_t stream) {
  using A = Arithmetic<T>;
  if (x.rows <= 0 || y.rows <= 0 || y.rows > 0x7FFFFFFF)
    return invalid("mean_average_precision: there are no queries or no candidates");
  if (x.cols != y.cols) return invalid("mean_average_precision: the matrices differ in columns");
  if (!gpu::detail::sound(x) || !gpu::detail::sound(y) || !label_x || !label_y || !out.value)
    return invalid(
        "mean_average_precision: a null pointer or a leading dimension below the columns");
  return enqueue(scratch, stream, [&](Work& work) {
    int* const wanted = work.take<int>(x.rows);
    int* const classes = work.take<int>(y.rows);
    auto* const labels = work.take<core::ExactNumber>(y.rows);
    double* const each = work.take<double>(x.rows);
    A* const products = work.take<A>(strip * y.rows);
    using Class = LabelClassKernel;
    pairwise::start(work, LabelsKernel{label_y, y.rows, labels},
                    pairwise::ceil_div(y.rows, LabelsKernel::kThreads));
    pairwise::start(work, Class{label_y, y.rows, labels, y.rows, -1, classes},
                    pairwise::ceil_div(y.rows, Class::kRowsEach));
    pairwise::start(work, Class{label_x, x.rows, labels, y.rows, -2, wanted},
                    pairwise::ceil_div(x.rows, Class::kRowsEach));
    for (Index first = 0; first < x.rows; first += strip) {
      const Index rows = first + strip < x.rows ? strip : x.rows - first;
      strip_products<T>(work, x.middle_rows(first, rows), y, within ? first : Index(-1), products,
                        nullptr);
      pairwise::start(
          work, PrecisionKernel<A>{products, first, y.rows, wanted, classes, within, each}, rows);
    }
    pairwise::start(work, PrecisionMeanKernel{each, x.rows, out}, 1);
  });
}

}  // namespace detail

/// Enqueues the mean average precision of rows of X that ask rows of Y.
template <class E>
Status mean_average_precision(View<E> x, Input<std::remove_const_t<E>> y, Labels label_x,
                              Labels label_y, AveragePrecision out, Scratch scratch,
                              cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  return detail::average_precision<T>(x, y, label_x, label_y, false,
                                      detail::hub_strip<Arithmetic<T>>(x.rows, y.rows), out,
                                      scratch, stream);
}

/// Enqueues it within one batch, each row asking all others.
template <class E>
Status mean_average_precision(View<E> x, Labels labels, AveragePrecision out, Scratch scratch,
                              cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  return detail::average_precision<T>(x, x, labels, labels, true,
                                      detail::hub_strip<Arithmetic<T>>(x.rows, x.rows), out,
                                      scratch, stream);
}

}  // namespace spheremix::gpu::metrics
