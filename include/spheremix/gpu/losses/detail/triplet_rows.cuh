// Triplets of a list on the device: each one's loss, the mean over those that are there, and the
// gradient row by row, in the order of the list.
#pragma once

#include "spheremix/formula/triplet.hpp"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses::detail {

using spheremix::losses::TripletDistance;
using spheremix::losses::TripletOptions;

/// Triplets of rows. Mined: triplet t is of anchor t, and has no positive (-1) where there is none.
struct TripletList {
  const Index* anchors;
  const Index* positive;
  const Index* negative;
  Index count;
  bool mined;
  __device__ Index anchor(Index t) const { return mined ? t : anchors[t]; }
};

/// One triplet a warp: its loss, and what its two distances weigh in the gradient.
template <class T>
struct TripletKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp,
                            kWarps = kRowsEach;
  static constexpr std::size_t kShared = 3 * kWarps * sizeof(double);
  core::MatrixView<const T> x;
  TripletOptions options;
  TripletList list;
  double *to_positive, *to_negative;
  double* partial;  ///< loss, active and counted of a block

  __device__ double distance(Index a, Index b) const {
    double square = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      const double away = double(widen(x(a, k))) - double(widen(x(b, k)));
      square += away * away;
    }
    square = warp_sum(square);
    return options.distance == TripletDistance::squared ? square : std::sqrt(square);
  }

  __device__ void operator()() const {
    const Index t = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double sums[3] = {0, 0, 0};
    if (t < list.count) {
      const Index a = list.anchor(t), p = list.positive[t], n = list.negative[t];
      double pull = 0, push = 0;
      const auto there = [&](Index i) { return i >= 0 && i < x.rows; };
      if (there(a) && there(p) && there(n)) {
        const double near = distance(a, p), far = distance(a, n);
        const formula::TripletTerm term = formula::triplet_term(near, far, options);
        const bool active = !(term.value <= 0);  // NaN counts
        sums[0] = active ? term.value : 0;
        sums[1] = double(active);
        sums[2] = 1;
        if (active) {
          pull = term.slope * formula::triplet_factor(near, options);
          push = -term.slope * formula::triplet_factor(far, options);
        }
      } else if (!list.mined) {  // a number outside
        sums[0] = pull = push = core::nan<double>;
        sums[2] = 1;
      }
      if (threadIdx.x % kWarp == 0 && to_positive) to_positive[t] = pull, to_negative[t] = push;
    }
    if (threadIdx.x % kWarp > 0) sums[0] = sums[1] = sums[2] = 0;
    pairwise::block_sums<kThreads>(sums, 3, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    for (int k = 0; k < 3; ++k) partial[3 * Index(blockIdx.x) + k] = sums[k];
  }
};

/// The mean over the triplets that are there. One block.
struct TripletMeanKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = 4 * (kThreads / kWarp) * sizeof(double);
  const double* partial;
  Index blocks;
  const double* sound;  ///< one a row
  Index rows;
  Index count;  ///< triplets there might have been
  double* loss;
  Index *active, *skipped;
  double* each;  ///< 1 over how many there are, NaN next to a NaN loss
  __device__ void operator()() const {
    double sums[4] = {0, 0, 0, 0};
    for (Index b = threadIdx.x; b < blocks; b += kThreads)
      for (int k = 0; k < 3; ++k) sums[k] += partial[3 * b + k];
    for (Index i = threadIdx.x; i < rows; i += kThreads) sums[3] += sound[i];
    pairwise::block_sums<kThreads>(sums, 4, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const double mean = (sums[2] > 0 ? sums[0] / sums[2] : 0) + sums[3];
    *loss = mean;
    *each = mean != mean ? mean : sums[2] > 0 ? 1 / sums[2] : 0;
    if (active) *active = Index(sums[1]);
    if (skipped) *skipped = count - Index(sums[2]);
  }
};

/// dL/dx of one row a block: the triplets that it is part of, in their order.
template <class T>
struct TripletRowKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 128, kResident = 8, kColumns = 4,
                            kAcross = kThreads * kColumns;
  struct Shared {
    unsigned mine[kThreads / kWarp];  ///< which threads of a warp found their triplet
  };
  static constexpr std::size_t kShared = sizeof(Shared);
  core::MatrixView<const T> x;
  TripletList list;
  const double *to_positive, *to_negative, *each;
  core::MatrixView<A> dx;

  __device__ void operator()() const {
    Shared& shared = *reinterpret_cast<Shared*>(shared_memory());
    const Index r = Index(blockIdx.x);
    for (Index first = 0; first < x.cols; first += kAcross) {
      double sums[kColumns] = {};
      const auto add = [&](double weight, Index other) {
        if (weight == 0) return;
#pragma unroll
        for (unsigned c = 0; c < kColumns; ++c) {
          const Index k = first + c * kThreads + threadIdx.x;
          if (k < x.cols) sums[c] += weight * (double(widen(x(r, k))) - double(widen(x(other, k))));
        }
      };
      for (Index t0 = 0; t0 < list.count; t0 += kThreads) {
        const Index own = t0 + threadIdx.x;
        const bool part = own < list.count && (list.anchor(own) == r || list.positive[own] == r ||
                                               list.negative[own] == r);
        const unsigned votes = ballot(part);
        if (threadIdx.x % kWarp == 0) shared.mine[threadIdx.x / kWarp] = votes;
        block_barrier();  // every warp's votes are there
        for (unsigned w = 0; w < kThreads / kWarp; ++w)
          for (unsigned left = shared.mine[w]; left; left &= left - 1) {
            const Index t = t0 + w * kWarp + unsigned(__ffs(int(left)) - 1);
            const Index a = list.anchor(t), p = list.positive[t], n = list.negative[t];
            if (!(to_positive[t] - to_positive[t] == 0)) continue;  // *each is NaN
            if (a == r) add(to_positive[t], p), add(to_negative[t], n);
            if (p == r) add(to_positive[t], a);
            if (n == r) add(to_negative[t], a);
          }
        block_barrier();  // the votes are used
      }
#pragma unroll
      for (unsigned c = 0; c < kColumns; ++c) {
        const Index k = first + c * kThreads + threadIdx.x;
        if (k < x.cols) dx(r, k) = A(*each * sums[c]);
      }
    }
  }
};

}  // namespace spheremix::gpu::losses::detail
