// Rank-N-Contrast's batch in the order of its labels, on the device.
#pragma once

#include "spheremix/formula/rank_n_contrast.hpp"
#include "spheremix/gpu/losses/detail/supervised.cuh"

namespace spheremix::gpu::losses::detail {

/// Labels exactly, what their distances may differ by and be equal (NaN where one is not finite), and
/// how many anchors have no other. One block.
struct RankLabelsKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = 2 * kThreads / kWarp * sizeof(double);
  Labels from;
  Index n;
  double tolerance;
  ExactNumber* to;
  double* slack;
  Index* skipped;  ///< may be null
  __device__ void operator()() const {
    double most = 0, bad = 0;
    for (Index i = threadIdx.x; i < n; i += kThreads) {
      const ExactNumber y = from[i];
      const bool sound = y.finite();
      to[i] = sound ? y : ExactNumber{};
      most = pairwise::larger(most, std::abs(to[i].high));
      bad += !sound;
    }
    double* const shared = reinterpret_cast<double*>(shared_memory());
    most = pairwise::block_max<kThreads>(most, shared);
    pairwise::block_sums<kThreads>(&bad, 1, shared + kThreads / kWarp);
    if (threadIdx.x > 0) return;
    *slack = bad > 0 ? core::nan<double> : formula::rank_slack(tolerance, from.resolution(), most);
    if (skipped) *skipped = n == 1;
  }
};

/// Row i's label and its row of X less row 0 (of cosines: as it is) to its place in the order; a warp
/// a row, N^2 comparisons.
template <class Input>
struct RankPlacesKernel {
  using A = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const Input> x;
  const ExactNumber* labels;
  bool cosine;
  ExactNumber* sorted;
  Index* place;  ///< row of X at each place
  core::MatrixView<A> rows;
  A* transposed;  ///< rows^T, packed
  double* squares;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp, n = x.rows;
    if (i >= n) return;
    const ExactNumber y = labels[i];
    int below = 0;
    for (Index j = threadIdx.x % kWarp; j < n; j += kWarp)
      below += labels[j] < y || (labels[j] == y && j < i);
    const Index at = warp_sum(below);
    double square = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      const A v = widen(x(i, k)) - (cosine ? A(0) : A(widen(x(0, k))));
      rows(at, k) = v;
      transposed[k * n + at] = v;
      square += double(v) * double(v);
    }
    square = warp_sum(square);
    if (threadIdx.x % kWarp > 0) return;
    sorted[at] = y;
    place[at] = i;
    squares[at] = square;
  }
};

}  // namespace spheremix::gpu::losses::detail
