// For every query row, where its answer stands among all candidates, on the device: the one N x M
// sweep that retrieval and relative alignment share.
//
//   score_ij = x_i . y_j - bias_j        (bias null: 0)
//   own[i]   = score_ii                  best[i] = max over j != i of score_ij
//   rank[i]  = 1 + #{ j != i : score_ij >= score_ii }      ties count against the answer
//
// A block sweeps 64 queries over a stretch of candidates in 64 x 64 tiles from shared memory, sums
// in the arithmetic type in one order for every pair: an equal pair of rows gives an equal score,
// bit for bit. Counts and maxima are merged by integer atomics, which no order changes.
//
// Edges    a NaN own score gives rank M; NaN candidates count against the answer and make best NaN.
#pragma once

#include <cstdint>

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/core/work.cuh"
#include "spheremix/gpu/metrics/detail/outer_tile.cuh"

namespace spheremix::gpu::metrics::detail {

inline constexpr int kTile = 64;          ///< queries, and candidates, a block looks at together
inline constexpr int kDepth = 16;         ///< columns in shared memory at a time
inline constexpr int kPitch = kTile + 1;  ///< of a shared column, apart in banks
inline constexpr int kRankThreads = 256;  ///< 16 x 16, each 4 x 4 pairs

/// Floats and doubles as integers of the same order; NaN above everything.
__device__ __forceinline__ std::uint64_t ordered_bits(double x) {
  if (x != x) return ~std::uint64_t(0);
  std::uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits >> 63 ? ~bits : bits | std::uint64_t(1) << 63;
}
__device__ __forceinline__ double from_ordered_bits(std::uint64_t bits) {
  if (bits == ~std::uint64_t(0)) return core::nan<double>;
  bits = bits >> 63 ? bits & ~(std::uint64_t(1) << 63) : ~bits;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// What one sweep leaves. `best` holds ordered bits until finish_ranks.
template <class A>
struct Ranks {
  A* own;
  unsigned long long* best;
  int* rank;
};

/// Shared bytes of a tile: kDepth columns of kTile queries and of kTile candidates.
template <class A>
inline constexpr std::size_t rank_shared_bytes = 2 * std::size_t(kDepth) * kPitch * sizeof(A);

/// The scores of a thread's 4 x 4 pairs: queries first_i + 4 ty + r, candidates
/// first_j + tx + 16 c.
template <class T>
__device__ void tile_scores(View<const T> x, View<const T> y, const Arithmetic<T>* bias,
                            Index first_i, Index first_j, Arithmetic<T> (&score)[4][4]) {
  using A = Arithmetic<T>;
  A* const queries = reinterpret_cast<A*>(shared_memory());
  A* const candidates = queries + kDepth * kPitch;
  const int tx = int(threadIdx.x) % 16;
  for (auto& line : score)
    for (A& s : line) s = 0;
  for (Index first_k = 0; first_k < x.cols; first_k += kDepth) {
    SPHEREMIX_UNROLL
    for (int part = 0; part < kTile * kDepth / kRankThreads; ++part) {
      const int at = part * kRankThreads + int(threadIdx.x), k = at % kDepth, row = at / kDepth;
      const bool inside = first_k + k < x.cols;
      queries[k * kPitch + row] =
          inside && first_i + row < x.rows ? widen(x(first_i + row, first_k + k)) : A(0);
      candidates[k * kPitch + row] =
          inside && first_j + row < y.rows ? widen(y(first_j + row, first_k + k)) : A(0);
    }
    block_barrier();  // the tile is there
    add_outer_products<kDepth, kPitch>(queries, candidates, score);
    block_barrier();  // the tile is used
  }
  if (bias)
    for (int n = 0; n < 4; ++n) {
      const Index j = first_j + tx + 16 * n;
      for (int r = 0; r < 4; ++r) score[r][n] -= j < y.rows ? bias[j] : A(0);
    }
}

/// Own scores from the tiles on the diagonal; ranks and maxima start.
template <class T>
__global__ void __launch_bounds__(kRankThreads)
    own_scores(View<const T> x, View<const T> y, const Arithmetic<T>* bias,
               Ranks<Arithmetic<T>> out) {
  for (Index tile = blockIdx.x; tile * kTile < x.rows; tile += gridDim.x) {
    Arithmetic<T> score[4][4];
    tile_scores(x, y, bias, tile * kTile, tile * kTile, score);
    const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
    for (int r = 0; r < 4; ++r)
      for (int n = 0; n < 4; ++n) {
        const Index i = tile * kTile + 4 * ty + r;
        if (4 * ty + r != tx + 16 * n || i >= x.rows) continue;
        out.own[i] = score[r][n];
        out.best[i] = ordered_bits(-core::infinity<double>);
        out.rank[i] = 1;
      }
  }
}

/// Block (b, s): the queries of tile b over every gridDim.y-th tile of candidates, from s on.
template <class T>
__global__ void __launch_bounds__(kRankThreads)
    count_ranks(View<const T> x, View<const T> y, const Arithmetic<T>* bias,
                Ranks<Arithmetic<T>> out) {
  using A = Arithmetic<T>;
  const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
  for (Index tile = blockIdx.x; tile * kTile < x.rows; tile += gridDim.x) {
    int count[4] = {0, 0, 0, 0};
    A best[4], own[4];
    for (int r = 0; r < 4; ++r) {
      const Index i = tile * kTile + 4 * ty + r;
      own[r] = i < x.rows ? out.own[i] : A(0);
      best[r] = -core::infinity<A>;
    }
    for (Index other = blockIdx.y; other * kTile < y.rows; other += gridDim.y) {
      A score[4][4];
      tile_scores(x, y, bias, tile * kTile, other * kTile, score);
      for (int r = 0; r < 4; ++r)
        for (int n = 0; n < 4; ++n) {
          const Index i = tile * kTile + 4 * ty + r, j = other * kTile + tx + 16 * n;
          if (j >= y.rows || j == i) continue;
          const A s = score[r][n];
          count[r] += !(s < own[r]);
          best[r] = s > best[r] || s != s ? s : best[r];
          if (best[r] != best[r]) best[r] = core::nan<A>;
        }
    }
    for (int r = 0; r < 4; ++r) {
      std::uint64_t top = ordered_bits(double(best[r]));
      for (unsigned bits = 8; bits > 0; bits /= 2) {  // over the 16 threads of the same queries
        const std::uint64_t other = shuffle_xor(top, bits);
        top = other > top ? other : top;
        count[r] += shuffle_xor(count[r], bits);
      }
      const Index i = tile * kTile + 4 * ty + r;
      if (tx == 0 && i < x.rows) {
        atomicMax(&out.best[i], static_cast<unsigned long long>(top));
        atomicAdd(&out.rank[i], count[r]);
      }
    }
  }
}

/// Enqueues both passes. X: n x d, Y: m x d, n <= m; the answer of query i is candidate i.
template <class T>
void find_ranks(Work& work, View<const T> x, View<const T> y, const Arithmetic<T>* bias,
                Ranks<Arithmetic<T>> out) {
  const unsigned tiles = blocks_for(x.rows, kTile);
  const Index candidates = blocks_for(y.rows, kTile);
  const Index wanted = (1024 + Index(tiles) - 1) / Index(tiles);  // blocks enough to fill a device
  const unsigned splits = unsigned(wanted < candidates ? wanted : candidates);
  const std::size_t shared = rank_shared_bytes<Arithmetic<T>>;
  work.launch(own_scores<T>, tiles, kRankThreads, shared, x, y, bias, out);
  work.launch(count_ranks<T>, dim3(tiles, splits), kRankThreads, shared, x, y, bias, out);
}

}  // namespace spheremix::gpu::metrics::detail
