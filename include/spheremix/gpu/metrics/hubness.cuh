// hubness on the device: formula and options in formula/hubness.hpp. Of equal products the lower row
// comes first.
//
// Shapes   X: N x d, Y: M x d of one storage type, 1 <= k <= M (k < N within one batch). Results in
//          device memory: O as M integers, skewness one double.
// Edges    a NaN product belongs to nobody's nearest and makes the skewness NaN.
// Accuracy products run in the arithmetic type: rows closer than its rounding may change places.
// Cost     2 N M d operations on the ordinary units, and 6 (double: 10) reads of each product.
// Memory   strips of products: 64 MiB, or 64 rows of them where that is more.
#pragma once

#include "spheremix/formula/hubness.hpp"
#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/core/work.cuh"
#include "spheremix/gpu/metrics/detail/ranks.cuh"
#include "spheremix/gpu/metrics/detail/top_k.cuh"

namespace spheremix::gpu::metrics {

using spheremix::metrics::HubnessOptions;

/// Where hubness writes.
struct HubnessResult {
  int* occurrences;  ///< O_j, M of them
  double* skewness;
};

namespace detail {

/// Queries whose products are kept at a time: a multiple of 64.
template <class A>
Index hub_strip(Index queries, Index candidates, Index bytes = Index(64) << 20) {
  const Index room = candidates > 0 ? bytes / (candidates * Index(sizeof(A))) : 1;
  const Index all = (queries + kTile - 1) / kTile, fit = room / kTile;
  return (fit < 1 ? 1 : fit < all ? fit : all) * kTile;
}

/// Block (b, s): products of the queries of tile b with every gridDim.y-th tile of candidates. With
/// `own` >= 0 query i's product with candidate own + i becomes NaN; other NaNs raise *bad
/// unless that is null.
template <class T>
__global__ void __launch_bounds__(kRankThreads)
    strip_products_kernel(View<const T> x, View<const T> y, Index own, Arithmetic<T>* out,
                          int* bad) {
  const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
  const Index first_i = Index(blockIdx.x) * kTile;
  for (Index tile = blockIdx.y; tile * kTile < y.rows; tile += gridDim.y) {
    Arithmetic<T> score[4][4];
    tile_scores<T>(x, y, nullptr, first_i, tile * kTile, score);
    for (int r = 0; r < 4; ++r)
      for (int n = 0; n < 4; ++n) {
        const Index i = first_i + 4 * ty + r, j = tile * kTile + tx + 16 * n;
        if (i >= x.rows || j >= y.rows) continue;
        const bool self = own >= 0 && j == own + i;
        if (bad && !self && score[r][n] != score[r][n]) atomicMax(bad, 1);
        out[i * y.rows + j] = self ? core::nan<Arithmetic<T>> : score[r][n];
      }
  }
}

/// Enqueues them: out is x.rows x y.rows, packed.
template <class T>
void strip_products(Work& work, View<const T> x, View<const T> y, Index own, Arithmetic<T>* out,
                    int* bad) {
  const unsigned tiles = blocks_for(y.rows, kTile);
  work.launch(strip_products_kernel<T>,
              dim3(blocks_for(x.rows, kTile), tiles < 65535 ? tiles : 65535), kRankThreads,
              rank_shared_bytes<Arithmetic<T>>, x, y, own, out, bad);
}

/// Counts a visit of candidate j.
struct CountVisit {
  int* occurrences;
  __device__ void operator()(Index, Index j) const { atomicAdd(&occurrences[j], 1); }
};

template <int Threads>
__global__ void __launch_bounds__(Threads) clear_hubs(int* occurrences, Index count, int* bad) {
  for (Index j = Index(blockIdx.x) * Threads + threadIdx.x; j < count;
       j += Index(gridDim.x) * Threads)
    occurrences[j] = 0;
  if (blockIdx.x == 0 && threadIdx.x == 0) *bad = 0;
}

/// One block: the skewness of the occurrences around their mean.
template <int Threads>
__global__ void __launch_bounds__(Threads)
    hub_skewness(const int* occurrences, Index count, double mean, const int* bad, double* out) {
  double second = 0, third = 0;
  for (Index j = threadIdx.x; j < count; j += Threads) {
    const double away = double(occurrences[j]) - mean;
    second += away * away;
    third += away * away * away;
  }
  double* const warps = reinterpret_cast<double*>(shared_memory());
  second = warp_sum(second);
  third = warp_sum(third);
  if (threadIdx.x % kWarp == 0) {
    warps[2 * (threadIdx.x / kWarp)] = second;
    warps[2 * (threadIdx.x / kWarp) + 1] = third;
  }
  block_barrier();  // every warp's sums are there
  if (threadIdx.x != 0) return;
  for (unsigned w = 1; w < Threads / kWarp; ++w) {
    second += warps[2 * w];
    third += warps[2 * w + 1];
  }
  *out = *bad ? core::nan<double> : formula::skewness_of(second, third, double(count));
}

template <class T>
Status hubness(View<const T> x, View<const T> y, Index k, bool within, Index strip,
               HubnessResult out, Scratch scratch, cudaStream_t stream) {
  using A = Arithmetic<T>;
  if (x.rows <= 0) return invalid("hubness: there are no queries");
  if (x.cols != y.cols) return invalid("hubness: the matrices differ in columns");
  if (!gpu::detail::sound(x) || !gpu::detail::sound(y) || !out.occurrences || !out.skewness)
    return invalid("hubness: a null pointer or a leading dimension below the columns");
  const Index candidates = y.rows - (within ? 1 : 0);
  if (k < 1 || k > candidates || y.rows > 0x7FFFFFFF)
    return invalid("hubness: k must lie between 1 and the number of candidates");
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        int* const bad = work.take<int>(1);
        A* const products = work.take<A>(strip * y.rows);
        work.launch(clear_hubs<256>, blocks_for(y.rows, 256), 256, 0, out.occurrences, y.rows, bad);
        for (Index first = 0; first < x.rows; first += strip) {
          const Index rows = first + strip < x.rows ? strip : x.rows - first;
          strip_products<T>(work, x.middle_rows(first, rows), y, within ? first : Index(-1),
                            products, bad);
          work.launch(visit_top<A, CountVisit>, blocks_for(rows, 1), kTopThreads, sizeof(TopShared),
                      products, rows, y.rows, unsigned(k), CountVisit{out.occurrences});
        }
        work.launch(hub_skewness<256>, 1, 256, 16 * sizeof(double), out.occurrences, y.rows,
                    double(x.rows) * double(k) / double(y.rows), bad, out.skewness);
      },
      "hubness: the scratch is too small");
}

}  // namespace detail

/// Enqueues hubness within one batch.
template <class E>
Status hubness(View<E> x, HubnessOptions options, HubnessResult out, Scratch scratch,
               cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  const Index strip = detail::hub_strip<Arithmetic<T>>(x.rows, x.rows);
  return detail::hubness<T>(x, x, options.k, true, strip, out, scratch, stream);
}

/// Enqueues hubness where rows of X ask and rows of Y answer.
template <class E>
Status hubness(View<E> x, Input<std::remove_const_t<E>> y, HubnessOptions options,
               HubnessResult out, Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  const Index strip = detail::hub_strip<Arithmetic<T>>(x.rows, y.rows);
  return detail::hubness<T>(x, y, options.k, false, strip, out, scratch, stream);
}

}  // namespace spheremix::gpu::metrics
