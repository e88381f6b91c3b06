// Cross-modal retrieval and relative alignment on the device.
//
//   rank_i      = 1 + #{ j != i : x_i . y_j >= x_i . y_i }       row i's answer is Y's row i
//   recall@k    = share of ranks <= k
//   mrr         = mean of 1 / rank
//   median rank = mean of the middle two
//   relative_alignment = mean_i ( |x_i - y_i|^2 - min_{j != i} |x_i - y_j|^2 )
//
// Ties count against the answer.
//
// Shapes   X: n x d queries, Y: m x d candidates, n <= m (relative alignment: n = m >= 2), one
//          storage type.
// Errors   n = 0, shapes, more than 8 values of k or one below 1. A NaN row has rank m + 1.
// Accuracy scores run in the arithmetic type (f32: about d eps absolute for unit rows): relative
//          alignment of rows closer than that to each other is noise in f32.
// Cost     2 n m d operations on the ordinary units; nothing n x m is stored.
#pragma once

#include "spheremix/gpu/core/device_sum.cuh"
#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/metrics/ranks.cuh"
#if !defined(SPHEREMIX_EMULATOR)
#include <cub/device/device_radix_sort.cuh>
#endif

namespace spheremix::gpu::metrics {

inline constexpr int kMostRecalls = 8;

struct RetrievalOptions {
  int k[kMostRecalls] = {1, 5, 10};
  int count = 3;  ///< how many of k are wanted
};

/// One of these in device memory.
struct Retrieval {
  double recall[kMostRecalls];  ///< one per k, in [0, 1]
  double median_rank;
  double mrr;  ///< mean reciprocal rank
};

namespace detail {

inline std::size_t rank_sort_bytes(Index n) {
  std::size_t bytes = 0;
  const int* in = nullptr;
  int* out = nullptr;
  if (cub::DeviceRadixSort::SortKeys(nullptr, bytes, in, out, n) != cudaSuccess) return 0;
  return scratch_bytes<char>(bytes);
}

/// One block: everything from sorted ranks.
template <int Threads>
__global__ void __launch_bounds__(Threads)
    summarise_ranks(const int* sorted, Index n, RetrievalOptions options, Retrieval* out) {
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
std::size_t ranks_bytes(Index n) {
  return scratch_bytes<A>(std::size_t(n)) + scratch_bytes<unsigned long long>(std::size_t(n)) +
         scratch_bytes<int>(std::size_t(n));
}

template <class A>
Ranks<A> take_ranks(ScratchFrame& frame, Index n) {
  Ranks<A> ranks{};
  ranks.own = frame.take<A>(std::size_t(n));
  ranks.best = frame.take<unsigned long long>(std::size_t(n));
  ranks.rank = frame.take<int>(std::size_t(n));
  return ranks;
}

}  // namespace detail

/// Scratch for retrieval_ranks and retrieval of n queries stored as T.
template <class T>
std::size_t retrieval_bytes(Index n) {
  return detail::ranks_bytes<Arithmetic<T>>(n) + scratch_bytes<int>(std::size_t(n)) +
         detail::rank_sort_bytes(n);
}

/// Enqueues ranks[i] for every query.
template <class E>
Status retrieval_ranks(View<E> x, Input<std::remove_const_t<E>> y, int* ranks, Scratch scratch,
                       cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  using A = Arithmetic<T>;
  if (x.rows <= 0) return invalid("retrieval: there are no queries");
  if (x.cols != y.cols || x.rows > y.rows)
    return invalid("retrieval: the matrices differ in columns, or Y lacks answers");
  if (!gpu::detail::sound(x) || !gpu::detail::sound(y) || !ranks)
    return invalid("retrieval: a null pointer or a leading dimension below the columns");
  ScratchFrame frame(scratch);
  detail::Ranks<A> found = detail::take_ranks<A>(frame, x.rows);
  if (!found.own || !found.best || !found.rank)
    return scratch_refused(scratch, "retrieval: the scratch is too small");
  found.rank = ranks;
  return detail::find_ranks<T>(x, y, nullptr, found, stream);
}

/// Enqueues recall at every k, the median rank and the mean reciprocal rank.
template <class E>
Status retrieval(View<E> x, Input<std::remove_const_t<E>> y, RetrievalOptions options,
                 Retrieval* out, Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  using A = Arithmetic<T>;
  if (options.count < 0 || options.count > kMostRecalls)
    return invalid("retrieval: at most 8 values of k");
  for (int c = 0; c < options.count; ++c)
    if (options.k[c] < 1) return invalid("retrieval: k must be at least 1");
  if (!out) return invalid("retrieval: a null pointer");
  ScratchFrame frame(scratch);
  const detail::Ranks<A> found = detail::take_ranks<A>(frame, x.rows > 0 ? x.rows : 0);
  int* const sorted = frame.take<int>(std::size_t(x.rows > 0 ? x.rows : 0));
  Scratch rest = frame.rest();
  if (!found.rank || !sorted || rest.bytes < detail::rank_sort_bytes(x.rows))
    return scratch_refused(scratch, "retrieval: the scratch is too small");
  Status status = retrieval_ranks(x, y, found.rank, scratch, stream);
  const int* const ranks = found.rank;
  if (status.ok())
    status = status_of(cub::DeviceRadixSort::SortKeys(rest.data, rest.bytes, ranks, sorted, x.rows,
                                                      0, 32, stream));
  if (!status.ok()) return status;
  return launch(detail::summarise_ranks<256>, 1, 256, (kMostRecalls + 1) * 8 * sizeof(double),
                stream, sorted, x.rows, options, out);
}

/// Scratch that relative_alignment needs for n rows stored as T.
template <class T>
std::size_t relative_alignment_bytes(Index n) {
  using A = Arithmetic<T>;
  return detail::ranks_bytes<A>(n) + scratch_bytes<A>(std::size_t(n)) +
         scratch_bytes<double>(std::size_t(n)) + device_sum_bytes(n);
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
  ScratchFrame frame(scratch);
  const detail::Ranks<A> found = detail::take_ranks<A>(frame, x.rows);
  A* const half = frame.take<A>(std::size_t(x.rows));
  double* const shares = frame.take<double>(std::size_t(x.rows));
  if (!shares || frame.rest().bytes < device_sum_bytes(x.rows))
    return scratch_refused(scratch, "relative_alignment: the scratch is too small");
  Status status = for_each_row<T>(detail::HalfSquare<T>{y, half}, y.rows, y.cols,
                                  gpu::detail::rows_on_16_bytes(View<const T>(y)), stream);
  if (status.ok()) status = detail::find_ranks<T>(x, y, half, found, stream);
  if (status.ok())
    status = launch(detail::relative_shares<A>, blocks_for(x.rows, 128), 128, 0, stream, found,
                    x.rows, shares);
  return status.ok() ? device_sum(shares, x.rows, value, frame.rest(), stream) : status;
}

}  // namespace spheremix::gpu::metrics
