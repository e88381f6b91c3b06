// retrieval on the device (formula and options in formula/retrieval.hpp), and relative alignment:
//
//   relative_alignment = mean_i ( |x_i - y_i|^2 - min_{j != i} |x_i - y_j|^2 )
//
// Shapes   X: n x d queries, Y: m x d candidates, n <= m (relative alignment: n = m >= 2), one
//          storage type.
// Errors   n = 0, shapes, more than 8 values of k or one below 1. A NaN row has rank m + 1.
// Accuracy scores run in the arithmetic type (f32: about d eps absolute for unit rows): relative
//          alignment of rows closer than that to each other is noise in f32.
// Cost     2 n m d operations on the ordinary units; nothing n x m is stored.
#pragma once

#include "spheremix/formula/retrieval.hpp"
#include "spheremix/gpu/core/device_sum.cuh"
#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/metrics/detail/ranks.cuh"
#if !defined(SPHEREMIX_EMULATOR)
#include <cub/device/device_radix_sort.cuh>
#endif

namespace spheremix::gpu::metrics {

inline constexpr int kMostRecalls = 8;

using spheremix::metrics::RetrievalOptions;

/// One of these in device memory.
struct Retrieval {
  double recall[kMostRecalls];  ///< one per k, in [0, 1]
  double median_rank;
  double mrr;  ///< mean reciprocal rank
};

namespace detail {

/// The values of k as a kernel takes them.
struct Recalls {
  Index k[kMostRecalls];
  int count;
};

/// One block: everything from sorted ranks.
template <int Threads>
__global__ void __launch_bounds__(Threads)
    summarise_ranks(const int* sorted, Index n, Recalls options, Retrieval* out) {
  double sums[kMostRecalls + 1] = {};
  for (Index i = threadIdx.x; i < n; i += Threads) {
    for (int c = 0; c < options.count; ++c) sums[c] += sorted[i] <= options.k[c];
    sums[kMostRecalls] += 1 / double(sorted[i]);
  }
  double* const shared = reinterpret_cast<double*>(shared_memory());
  constexpr int warps = Threads / 32;
  for (int c = 0; c <= kMostRecalls; ++c) {
    sums[c] = warp_sum(sums[c]);
    if (threadIdx.x % kWarp == 0) shared[c * warps + int(threadIdx.x / kWarp)] = sums[c];
  }
  block_barrier();
  if (threadIdx.x != 0) return;
  for (int c = 0; c <= kMostRecalls; ++c) {
    double total = 0;
    for (int w = 0; w < warps; ++w) total += shared[c * warps + w];
    (c < kMostRecalls ? out->recall[c] : out->mrr) = total / double(n);
  }
  out->median_rank = (double(sorted[(n - 1) / 2]) + double(sorted[n / 2])) / 2;
}

/// shares[i] = 2 (best - own) / n.
template <class A>
__global__ void __launch_bounds__(128) relative_shares(Ranks<A> ranks, Index n, double* shares) {
  for (Index i = Index(blockIdx.x) * 128 + threadIdx.x; i < n; i += Index(gridDim.x) * 128)
    shares[i] = 2 * (from_ordered_bits(ranks.best[i]) - double(ranks.own[i])) / double(n);
}

/// half[j] = |y_j|^2 / 2.
template <class T>
struct HalfSquare {
  View<const T> y;
  Arithmetic<T>* half;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a;
    group.load(y, row, a);
    Arithmetic<T> squares[1] = {0};
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) squares[0] += a[k] * a[k];
    group.sum(squares);
    if (group.leads()) half[row] = squares[0] / 2;
  }
};

template <class A>
Ranks<A> take_ranks(Work& work, Index n) {
  Ranks<A> ranks{};
  ranks.own = work.take<A>(n);
  ranks.best = work.take<unsigned long long>(n);
  ranks.rank = work.take<int>(n);
  return ranks;
}

/// What is wrong with queries, candidates and ranks.
template <class E>
Status ranks_error(const View<E>& x, const Input<std::remove_const_t<E>>& y, const void* to) {
  if (x.rows <= 0) return invalid("retrieval: there are no queries");
  if (x.cols != y.cols || x.rows > y.rows)
    return invalid("retrieval: the matrices differ in columns, or Y lacks answers");
  if (!gpu::detail::sound(x) || !gpu::detail::sound(y) || !to)
    return invalid("retrieval: a null pointer or a leading dimension below the columns");
  return {};
}

}  // namespace detail

/// Enqueues ranks[i] for every query.
template <class E>
Status retrieval_ranks(View<E> x, Input<std::remove_const_t<E>> y, int* ranks, Scratch scratch,
                       cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  if (const Status wrong = detail::ranks_error(x, y, ranks); !wrong) return wrong;
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        detail::Ranks<Arithmetic<T>> found = detail::take_ranks<Arithmetic<T>>(work, x.rows);
        found.rank = ranks;
        detail::find_ranks<T>(work, x, y, nullptr, found);
      },
      "retrieval: the scratch is too small");
}

/// Enqueues recall at every k, the median rank and the mean reciprocal rank.
template <class E>
Status retrieval(View<E> x, Input<std::remove_const_t<E>> y, const RetrievalOptions& options,
                 Retrieval* out, Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  using A = Arithmetic<T>;
  if (options.k.size() > std::size_t(kMostRecalls))
    return invalid("retrieval: at most 8 values of k");
  detail::Recalls recalls{{}, int(options.k.size())};
  for (int c = 0; c < recalls.count; ++c) {
    recalls.k[c] = options.k[std::size_t(c)];
    if (recalls.k[c] < 1) return invalid("retrieval: k must be at least 1");
  }
  if (const Status wrong = detail::ranks_error(x, y, out); !wrong) return wrong;
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        const detail::Ranks<A> found = detail::take_ranks<A>(work, x.rows);
        const int* const ranks = found.rank;
        int* const sorted = work.take<int>(x.rows);
        detail::find_ranks<T>(work, x, y, nullptr, found);
        work.library([&](void* storage, std::size_t& bytes, cudaStream_t on) {
          return cub::DeviceRadixSort::SortKeys(storage, bytes, ranks, sorted, x.rows, 0, 32, on);
        });
        work.launch(detail::summarise_ranks<256>, 1, 256, (kMostRecalls + 1) * 8 * sizeof(double),
                    sorted, x.rows, recalls, out);
      },
      "retrieval: the scratch is too small");
}

/// Enqueues *value = relative_alignment(X, Y).
template <class E>
Status relative_alignment(View<E> x, Input<std::remove_const_t<E>> y, double* value,
                          Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  using A = Arithmetic<T>;
  if (x.rows < 2) return invalid("relative_alignment: needs at least two rows");
  gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("relative_alignment"), x.rows, x.cols);
  if (const Status bad = check.input(x).input(y).vector(value).status(); !bad.ok()) return bad;
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        const detail::Ranks<A> found = detail::take_ranks<A>(work, x.rows);
        A* const half = work.take<A>(x.rows);
        double* const shares = work.take<double>(x.rows);
        work.then([&](cudaStream_t on) {
          return for_each_row<T>(detail::HalfSquare<T>{y, half}, y.rows, y.cols,
                                 gpu::detail::rows_on_16_bytes(View<const T>(y)), on);
        });
        detail::find_ranks<T>(work, x, y, half, found);
        work.launch(detail::relative_shares<A>, blocks_for(x.rows, 128), 128, 0, found, x.rows,
                    shares);
        device_sum(work, shares, x.rows, value);
      },
      "relative_alignment: the scratch is too small");
}

}  // namespace spheremix::gpu::metrics
