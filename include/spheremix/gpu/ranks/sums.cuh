// What the ranks have of one sum, added in their order: rows of gradients at their owner, numbers on
// every rank. strip.cuh brings the parts together.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu {

/// to = part 0 + part 1 + ..., or that added to `to`. Part `own` lies in `here`, the others in
/// `from`, one after another in their places; a warp a row.
template <class T>
struct AddPartsKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  const T* from;
  core::MatrixView<const T> here;
  int parts, own;
  core::MatrixView<T> to;
  bool add;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= to.rows) return;
    for (Index k = threadIdx.x % kWarp; k < to.cols; k += kWarp) {
      T sum = part(0, i, k);
      for (int p = 1; p < parts; ++p) sum += part(p, i, k);
      to(i, k) = add ? to(i, k) + sum : sum;
    }
  }

 private:
  __device__ T part(int p, Index i, Index k) const {
    return p == own ? here(i, k) : from[(Index(p) * to.rows + i) * to.cols + k];
  }
};

/// *out = the ranks' sums in their order, or that added to *out; a thread a sum.
struct AddSumsKernel {
  static constexpr int kSums = 3;
  static constexpr unsigned kThreads = 32, kResident = 1;
  static constexpr std::size_t kShared = 0;
  const double* of;  ///< [rank][3]
  int ranks, count;
  pairwise::ReduceKernel reduce;  ///< where they go

  __device__ void operator()() const {
    const int k = int(threadIdx.x);
    if (k >= count) return;
    double v = of[k];
    for (int r = 1; r < ranks; ++r) v += of[r * kSums + k];
    const auto& to = reduce.sum[k];
    *to.out = to.accumulate ? *to.out + v : v;
  }
};

}  // namespace spheremix::gpu
