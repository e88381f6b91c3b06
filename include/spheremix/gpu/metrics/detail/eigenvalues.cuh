// The eigenvalues of a symmetric matrix of doubles on the device, all of them, ascending.
//
//   A -> Q^T A Q tridiagonal by d - 2 reflections  H = I - tau v v^T:
//     p = tau A v,  w = p - (tau/2) (p.v) v,  A - v w^T - w v^T = H A H
//   eigenvalue number k: bisection on the count of negative pivots of T - x (Sturm), one thread
//   each
//
// Three launches a reflection, nothing read back: the call can be captured. Sums in a fixed order.
// Error about d eps of the largest |eigenvalue|, absolute.
//
// Cost     (4/3) d^3 flops in double; the matrix is read twice and written once a reflection, so
//          8 d^3 bytes in all. A is destroyed.
// [Golub and Van Loan, "Matrix Computations", 8.3 and 8.4.1]
#pragma once

#include <cmath>

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/launch.cuh"
#include "spheremix/gpu/core/work.cuh"

namespace spheremix::gpu::metrics::detail {

inline constexpr int kEigenThreads = 256, kEigenWarps = kEigenThreads / 32;
inline constexpr std::size_t kEigenShared = std::size_t(kEigenWarps) * sizeof(double);

/// The matrix and what the reduction keeps beside it.
struct Tridiagonal {
  double* a;  ///< d x d, packed
  Index d;
  double* diagonal;  ///< d numbers
  double* beside;    ///< d - 1 numbers (the last is not used)
  double* v;         ///< the reflection
  double* p;
  double* tau;
};

/// The sum over a block of kEigenThreads, in every thread; once a kernel (no barrier at its end).
__device__ inline double eigen_sum(double value) {
  double* const warps = reinterpret_cast<double*>(shared_memory());
  value = warp_sum(value);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = value;
  block_barrier();  // every warp's sum is there
  value = 0;
  for (int w = 0; w < kEigenWarps; ++w) value += warps[w];
  return value;
}

/// One block: the reflection that clears row k beyond its neighbour of the diagonal.
template <int>
__global__ void __launch_bounds__(kEigenThreads) find_reflection(Tridiagonal t, Index k) {
  const double* const row = t.a + k * t.d;
  double squares = 0;
  for (Index j = k + 2 + Index(threadIdx.x); j < t.d; j += kEigenThreads)
    squares += row[j] * row[j];
  squares = eigen_sum(squares);
  const double next = k + 1 < t.d ? row[k + 1] : 0.0;
  const double beside =
      squares == 0 ? next : (next > 0 ? -1.0 : 1.0) * std::sqrt(next * next + squares);
  const double head = next - beside;
  for (Index j = k + 1 + Index(threadIdx.x); j < t.d; j += kEigenThreads)
    t.v[j] = j == k + 1 ? head : row[j];
  if (threadIdx.x == 0) {
    t.diagonal[k] = row[k];
    t.beside[k] = beside;
    *t.tau = squares == 0 ? 0.0 : 2 / (squares + head * head);
  }
}

/// p = tau A v, a warp a row.
template <int>
__global__ void __launch_bounds__(kEigenThreads) times_reflection(Tridiagonal t, Index k) {
  const Index i = k + 1 + Index(blockIdx.x) * kEigenWarps + threadIdx.x / kWarp;
  if (i >= t.d) return;
  double sum = 0;
  for (Index j = k + 1 + threadIdx.x % kWarp; j < t.d; j += kWarp) sum += t.a[i * t.d + j] * t.v[j];
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) t.p[i] = *t.tau * sum;
}

/// A -= v w^T + w v^T, a warp a row; every block finds p.v for itself.
template <int>
__global__ void __launch_bounds__(kEigenThreads) apply_reflection(Tridiagonal t, Index k) {
  double along = 0;
  for (Index j = k + 1 + Index(threadIdx.x); j < t.d; j += kEigenThreads) along += t.p[j] * t.v[j];
  const double half = *t.tau / 2 * eigen_sum(along);
  const Index i = k + 1 + Index(blockIdx.x) * kEigenWarps + threadIdx.x / kWarp;
  if (i >= t.d) return;
  const double v = t.v[i], w = t.p[i] - half * v;
  for (Index j = k + 1 + threadIdx.x % kWarp; j < t.d; j += kWarp)
    t.a[i * t.d + j] -= v * (t.p[j] - half * t.v[j]) + w * t.v[j];
}

/// How many eigenvalues of the tridiagonal matrix lie below x.
__device__ inline Index count_below(const Tridiagonal& t, double x, double least_pivot) {
  Index below = 0;
  double pivot = 1;
  for (Index k = 0; k < t.d; ++k) {
    const double b = k > 0 ? t.beside[k - 1] : 0.0;
    pivot = t.diagonal[k] - x - b * b / pivot;
    if (std::abs(pivot) < least_pivot) pivot = -least_pivot;
    below += pivot < 0;
  }
  return below;
}

/// values[k] for every k, a thread each; all NaN when the matrix holds one.
template <int>
__global__ void __launch_bounds__(kEigenThreads) bisect(Tridiagonal t, double* values) {
  const Index k = Index(blockIdx.x) * kEigenThreads + threadIdx.x;
  if (k >= t.d) return;
  double bound = 0;  // |eigenvalues| are not above the largest row sum
  for (Index j = 0; j < t.d; ++j) {
    const double sum = (j > 0 ? std::abs(t.beside[j - 1]) : 0.0) + std::abs(t.diagonal[j]) +
                       (j + 1 < t.d ? std::abs(t.beside[j]) : 0.0);
    bound = bound < sum || sum != sum ? sum : bound;
    if (bound != bound) break;
  }
  if (!(bound <= core::largest<double>)) {
    values[k] = core::nan<double>;
    return;
  }
  const double least_pivot = bound * 1e-30 > 1e-290 ? bound * 1e-30 : 1e-290;
  double low = -bound, high = bound;
  while (high - low > bound * (core::epsilon<double> / 4)) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (count_below(t, middle, least_pivot) > k ? high : low) = middle;
  }
  values[k] = low + (high - low) / 2;
}

/// Enqueues values[0] <= ... <= values[d - 1] of the d x d matrix `a`, d >= 1, which is overwritten.
inline void eigenvalues(Work& work, double* a, Index d, double* values) {
  const Work::Part part(work);
  const auto vector = [&] { return work.take<double>(d); };
  const Tridiagonal t{a, d, vector(), vector(), vector(), vector(), work.take<double>(1)};
  for (Index k = 0; k < d; ++k) {
    work.launch(find_reflection<0>, 1, kEigenThreads, kEigenShared, t, k);
    const unsigned blocks = blocks_for(d - k - 1, kEigenWarps);
    if (k + 2 < d) work.launch(times_reflection<0>, blocks, kEigenThreads, 0, t, k);
    if (k + 2 < d) work.launch(apply_reflection<0>, blocks, kEigenThreads, kEigenShared, t, k);
  }
  work.launch(bisect<0>, blocks_for(d, kEigenThreads), kEigenThreads, 0, t, values);
}

}  // namespace spheremix::gpu::metrics::detail
