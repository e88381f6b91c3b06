// The Gaussian potential of pairs of rows on the device, K = exp(-t |x - y|^2): what
// uniformity.cuh, cross_uniformity.cuh and joint_uniformity.cuh are made of.
#pragma once

#include "spheremix/formula/gaussian_pair.hpp"
#include "spheremix/gpu/pairwise/one_sweep.cuh"
#include "spheremix/gpu/pairwise/operand.cuh"
#include "spheremix/gpu/pairwise/precision.cuh"

namespace spheremix::gpu::metrics::detail {

/// K in base 2 relative to *shift, c = t log2(e):
///   2^(min(0, 2 c s - c |x_i|^2 - c |y_j|^2) - shift)
/// Rows with an infinite norm count as NaN: a cosine of -infinity must not pass for a distance.
template <class T>
struct UniformityPair {
  static constexpr bool kRows = true, kCols = false, kLineSums = true;
  T two_c;
  const T* row_norms;  ///< c |x_i|^2
  const T* col_norms;
  const T* shift;  ///< nullptr: 0
  T weight;

  struct Row {
    T square;  ///< c |x_i|^2 + shift
  };
  struct Col {
    T norm, top;  ///< top: the logit 0, -shift
  };
  __device__ __forceinline__ Row row(Index i) const {
    const T norm = row_norms[i];
    return {norm + (shift ? *shift : T(0)) + (norm - norm)};
  }
  __device__ __forceinline__ Col col(Index j) const {
    const T norm = col_norms[j];
    return {norm + (norm - norm), shift ? -*shift : T(0)};
  }

  __device__ __forceinline__ T logit(T s, Row row, Col col) const {
    return smaller_or_nan(formula::gaussian_logit(two_c, s, row.square + col.norm), col.top);
  }
  __device__ __forceinline__ pairwise::PairTerm<T> pair(T s, Row row, Col col) const {
    const T k = pairwise::pair_exp2(logit(s, row, col));
    return {k, weight * k};
  }
};

/// norms[i] = c |x_i|^2; one warp a row.
template <class Input, class T>
struct NormsKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const Input> x;
  T c;
  T* norms;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= x.rows) return;
    T sum = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      const T v = T(widen(x(i, k)));
      sum += v * v;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) norms[i] = c * sum;
  }
};

/// *shift = the largest maximum of the rows; 0 without rows. One block.
template <class T>
struct LargestKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(T);
  const pairwise::RowPair<T>* rows;
  Index count;
  T* shift;
  __device__ void operator()() const {
    T top = -core::infinity<T>;
    for (Index k = threadIdx.x; k < count; k += kThreads) top = pairwise::larger(top, rows[k].a);
    top = warp_max(top);
    T* const part = reinterpret_cast<T*>(shared_memory());
    if (threadIdx.x % kWarp == 0) part[threadIdx.x / kWarp] = top;
    block_barrier();
    if (threadIdx.x > 0) return;
    for (unsigned w = 1; w < kThreads / kWarp; ++w) top = pairwise::larger(top, part[w]);
    *shift = count > 0 && top > -core::infinity<T> ? top : T(0);
  }
};

/// From the tiles' sums: the value, and the slope of the gradients. One block.
template <class T>
struct ValueKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);
  const double* partial;
  Index count;
  double pairs, t;
  double seen;  ///< of GaussianMean::slope
  const T* shift;
  double* value;
  double* slope;
  __device__ void operator()() const {
    double v = 0;
    for (Index k = threadIdx.x; k < count; k += kThreads) v += partial[k];
    v = pairwise::block_sum<kThreads>(v, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const formula::GaussianMean mean{v, pairs, 0.693147180559945309417 * double(*shift)};
    *value = mean.value();
    *slope = mean.slope(t, seen);
  }
};

/// dx_i = slope (sums_i x_i / weight - dx_i); one warp a row.
template <class Input, class T>
struct CentreKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const Input> x;
  const T* sums;
  const double* slope;
  T weight;
  core::MatrixView<T> dx;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= dx.rows) return;
    const T own = sums[i] / weight, factor = T(*slope);
    for (Index k = threadIdx.x % kWarp; k < dx.cols; k += kWarp)
      dx(i, k) = factor * formula::GaussianMean::pull(own, T(widen(x(i, k))), dx(i, k));
  }
};

template <class Tile>
std::size_t partial_count(const pairwise::RangeLimits& limits) {
  return std::size_t(limits.weights_rows * limits.weights_cols) / Tile::kEdge;
}

}  // namespace spheremix::gpu::metrics::detail
