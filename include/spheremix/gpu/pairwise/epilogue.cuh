// What the epilogues of a tile of cosines share (statistics.cuh, weights.cuh, one_sweep.cuh): what a
// policy reads, brought to shared memory once a row and once a column, and sums over lanes.
//
// Every tile goes through one loop over its pairs, in straight code: no branch, no address to work
// out, no load from global memory. A tile with pairs that take no part (excluded ones, a ragged
// edge) gets a pass of its own: before that loop, their cosines become -infinity (left_out.cuh), or
// after it their weights are cleared (weight_stage.cuh).
//
// What a policy of the device says (those of math/ are read the same way):
//
//   Row, Col              what belongs to a row or a column of the table; absent: nothing
//   row(i), col(j)        fetched once a tile and row; rows that do not exist get Row{}
//   scale                 z = scale s, above 0
//   logit(s, row, col)    z where it is not scale s; -infinity where s is
//   row_unit, col_unit    dL/ds = row_unit p + col_unit q
//   gradient(s, p, q, row, col)   where dL/ds is not that sum; p and q come times their units
//   wanted(s, row, col)   statistics.cuh; 0 where s is -infinity
//   pair(s, row, col)     one_sweep.cuh; {0, 0} where s is -infinity
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

struct Nothing {};

namespace detail {
template <class Policy>
struct RowOf {
  using Type = Nothing;
};
template <class Policy>
requires requires { typename Policy::Row; }
struct RowOf<Policy> {
  using Type = typename Policy::Row;
};
template <class Policy>
struct ColOf {
  using Type = Nothing;
};
template <class Policy>
requires requires { typename Policy::Col; }
struct ColOf<Policy> {
  using Type = typename Policy::Col;
};
}  // namespace detail
template <class Policy>
using RowOf = typename detail::RowOf<Policy>::Type;
template <class Policy>
using ColOf = typename detail::ColOf<Policy>::Type;

/// Does the policy read anything by row or by column?
template <class Policy>
inline constexpr bool kReadsLines =
    !std::is_same_v<RowOf<Policy>, Nothing> || !std::is_same_v<ColOf<Policy>, Nothing>;

/// Shared memory after the tile's operands are done with, piece by piece, on 16-byte boundaries.
struct SharedPieces {
  unsigned char* at;
  template <class T>
  __device__ __forceinline__ T* take(std::size_t count) {
    T* const piece = reinterpret_cast<T*>(at);
    at += bytes<T>(count);
    return piece;
  }
  template <class T>
  __host__ __device__ static constexpr std::size_t bytes(std::size_t count) {
    return std::is_empty_v<T> ? 0 : (count * sizeof(T) + 15) / 16 * 16;
  }
};

/// What a policy reads, by row and by column of the tile, in shared memory.
template <class Tile, class Policy>
struct Lines {
  using Row = RowOf<Policy>;
  using Col = ColOf<Policy>;
  static constexpr std::size_t kBytes =
      SharedPieces::bytes<Row>(Tile::kEdge) + SharedPieces::bytes<Col>(Tile::kEdge);
  Row* rows;
  Col* cols;

  __device__ explicit Lines(SharedPieces& shared)
      : rows(shared.take<Row>(Tile::kEdge)), cols(shared.take<Col>(Tile::kEdge)) {}

  /// One thread a line. Read after a barrier.
  __device__ void fetch(const Policy& policy, Index i0, Index j0, Index height, Index width) const {
    static_assert(Tile::kEdge <= Tile::kThreads);
    const unsigned k = threadIdx.x;
    if (k >= Tile::kEdge) return;
    if constexpr (!std::is_empty_v<Row>) rows[k] = Index(k) < height ? policy.row(i0 + k) : Row{};
    if constexpr (!std::is_empty_v<Col>) cols[k] = Index(k) < width ? policy.col(j0 + k) : Col{};
  }
  __device__ __forceinline__ Row row(int r) const {
    if constexpr (std::is_empty_v<Row>)
      return {};
    else
      return rows[Tile::row(r)];
  }
  __device__ __forceinline__ Col col(int c) const {
    if constexpr (std::is_empty_v<Col>)
      return {};
    else
      return cols[Tile::col(c)];
  }
};

/// Joins each of v[0] .. v[Count - 1] over the Lanes lanes that differ in bits Low, 2 Low ... of their
/// number: lane l gets the one of index l / Low % Count. Count - 1 shuffles and a few, where one value
/// after the other would take Count log2(Lanes). The order of the terms is the same in all lanes.
template <unsigned Low, unsigned Lanes, int Count, class T, class Join>
__device__ __forceinline__ T join_lanes(T (&v)[Count], Join join) {
  static_assert(Count <= int(Lanes));
  const unsigned lane = threadIdx.x % kWarp;
#pragma unroll
  for (int half = Count / 2; half > 0; half /= 2) {
    const bool upper = lane & (Low * unsigned(half));
#pragma unroll
    for (int k = 0; k < half; ++k) {
      const T keep = upper ? v[k + half] : v[k], give = upper ? v[k] : v[k + half];
      v[k] = join(keep, shuffle_xor(give, Low * unsigned(half)));
    }
  }
#pragma unroll
  for (unsigned bit = Low * Count; bit < Low * Lanes; bit *= 2)
    v[0] = join(v[0], shuffle_xor(v[0], bit));
  return v[0];
}
struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return greater(a, b);
  }
};

/// Lanes that share a row, and a column, of every tile.
inline constexpr int kRowLanes = 4, kColLanes = 8;

/// part[row or column of the tile] = the joined values of the lines `first` to first + Count - 1.
template <class Tile, class T, class Join = Sum>
__device__ __forceinline__ void put_rows(T* part, int first, T (&v)[kRowLanes], Join join = {}) {
  const T own = join_lanes<1, 4>(v, join);
  part[Tile::warp_col() * Tile::kEdge + Tile::row(first + int(threadIdx.x % 4))] = own;
}
template <class Tile, class T, class Join = Sum>
__device__ __forceinline__ void put_cols(T* part, int first, T (&v)[kColLanes], Join join = {}) {
  const T own = join_lanes<4, 8>(v, join);
  part[Tile::warp_row() * Tile::kEdge + Tile::col(first + int(threadIdx.x % kWarp / 4))] = own;
}

/// put(index, sum) of every v[index] over the lanes, each by one lane at least.
template <unsigned Low, unsigned Lanes, int Count, class T, class Put>
__device__ __forceinline__ void sum_lanes(const T (&v)[Count], Put put) {
  constexpr int kGroup = Count < int(Lanes) ? Count : int(Lanes);
  static_assert(Count % kGroup == 0);
#pragma unroll
  for (int first = 0; first < Count; first += kGroup) {
    T group[kGroup];
#pragma unroll
    for (int k = 0; k < kGroup; ++k) group[k] = v[first + k];
    const T sum = join_lanes<Low, Lanes>(group, Sum{});
    const int own = int(threadIdx.x % kWarp / Low % Lanes);
    if (own < kGroup) put(first + own, sum);
  }
}
template <class Tile, class T>
__device__ __forceinline__ void put_all_rows(T* part, const T (&v)[Tile::kRows]) {
  static_assert(Tile::kRows % kRowLanes == 0 && Tile::kCols % kColLanes == 0);
  sum_lanes<1, kRowLanes>(
      v, [&](int r, T sum) { part[Tile::warp_col() * Tile::kEdge + Tile::row(r)] = sum; });
}

/// The thread's columns from By on become its first ones.
template <int By, class Tile>
__device__ __forceinline__ void shift_columns(Tile& tile) {
#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
    for (int c = 0; c + By < Tile::kCols; ++c) tile.sum(r, c) = tile.sum(r, c + By);
}

}  // namespace spheremix::gpu::pairwise
