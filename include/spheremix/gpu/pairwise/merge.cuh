// (maximum, sum) pairs of one line from several tiles or ranges, made one in a fixed order.
#pragma once

#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// a and b as one: the sum of both relative to the larger maximum. An empty one (-infinity, 0)
/// changes nothing.
template <class T>
__device__ __forceinline__ RowPair<T> merged(RowPair<T> a, RowPair<T> b) {
  const T top = a.a != a.a ? b.a : larger(a.a, b.a), base = top == -core::infinity<T> ? T(0) : top;
  return {top, a.b * pair_exp2(a.a - base) + b.b * pair_exp2(b.a - base)};
}

/// Adds the partial results of one range to the running ones, in the order of the tiles.
template <class T>
struct MergeKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = 0;

  struct Side {
    const RowPair<T>* partial;  ///< [part][line]
    Index lines, parts;
    RowPair<T>* running;  ///< of the range's first line
    bool first;           ///< overwrite what is there
  };
  Side rows, cols;

  __device__ void operator()() const {
    const Index blocks = ceil_div(rows.lines, kThreads);
    const bool for_rows = Index(blockIdx.x) < blocks;
    const Side& side = for_rows ? rows : cols;
    const Index k = (Index(blockIdx.x) - (for_rows ? 0 : blocks)) * kThreads + threadIdx.x;
    if (k >= side.lines) return;
    RowPair<T> all = side.first ? side.partial[k] : side.running[k];
    for (Index p = side.first ? 1 : 0; p < side.parts; ++p)
      all = merged(all, side.partial[p * side.lines + k]);
    side.running[k] = all;
  }
};

/// Adds the tiles' row and column sums of one range to the running ones, in the order of the tiles.
template <class T>
struct MergeSumsKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = 0;
  struct Side {
    const T* partial;  ///< [part][line]
    Index lines, parts;
    T* running;
  };
  Side rows, cols;  ///< of different lines

  __device__ void operator()() const {
    const Index blocks = ceil_div(rows.lines, kThreads);
    const bool for_rows = Index(blockIdx.x) < blocks;
    const Side& side = for_rows ? rows : cols;
    const Index k = (Index(blockIdx.x) - (for_rows ? 0 : blocks)) * kThreads + threadIdx.x;
    if (k >= side.lines) return;
    T sum = side.running[k];
    for (Index p = 0; p < side.parts; ++p) sum += side.partial[p * side.lines + k];
    side.running[k] = sum;
  }
};

}  // namespace spheremix::gpu::pairwise
