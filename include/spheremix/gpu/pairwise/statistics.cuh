// The first sweep: of every row and column of a range of the table, the maximum of its logits and
// the sum of 2^(logit - maximum), without the excluded pairs. The cosines never leave the
// registers.
//
// A tile takes one exponential a pair, relative to the tile's own maximum M: rows and columns share
// it. Where a row or a column lies so far below M that its sum is under 2^-90, the tile is done
// again with each row's and each column's own maximum, so that nothing is lost whatever the scale.
// Partial results go to row_partial[tile column][row] and col_partial[tile row][column];
// merge.cuh adds them up in that order: no atomics, the same bits from run to run.
//
// A policy with kRowSums has the sum of policy.wanted(s, i, j) over a row's pairs taken too (what
// its loss says of cosines, not of their exponentials): sum_partial[tile column][row].
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// Adds what eight (columns) or four (rows) lanes hold; the same bits in all of them.
template <class T>
__device__ __forceinline__ T row_lanes_sum(T v) {
  v += shuffle_xor(v, 1);
  return v + shuffle_xor(v, 2);
}
template <class T>
__device__ __forceinline__ T col_lanes_sum(T v) {
  v += shuffle_xor(v, 4);
  v += shuffle_xor(v, 8);
  return v + shuffle_xor(v, 16);
}

/// Does a policy ask for the sums of policy.wanted over rows?
template <class Policy>
inline constexpr bool kWantsRowSums = requires {
  Policy::kRowSums;
};

template <class Tile, class Policy>
struct StatisticsKernel {
  using T = typename Tile::Sum;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr unsigned kEdge = Tile::kEdge;
  static constexpr std::size_t kShared = Tile::kShared;
  static constexpr T kLeast = T(0x1p-90);

  typename OperandOf<Tile>::Type x, y;
  Index y_first;  ///< the column of the table that y's row 0 stands for
  Range range;
  Policy policy;  ///< logits in base 2
  Excluded excluded;
  Index positive;           ///< pairs (i, i + positive) hold the positives
  T* positives;             ///< their cosines by row, or nullptr
  RowPair<T>* row_partial;  ///< [tile column][row of the range]
  RowPair<T>* col_partial;  ///< [tile row][column of the range]
  T* sum_partial = nullptr;

  __device__ void operator()() const {
    const TilePlace place = tile_place(blockIdx.x, unsigned(ceil_div(range.rows, kEdge)),
                                       unsigned(ceil_div(range.cols, kEdge)));
    const Index i0 = range.i0 + Index(place.row) * kEdge, j0 = range.j0 + Index(place.col) * kEdge;
    const Index rows = smaller<Index>(kEdge, range.i0 + range.rows - i0);
    const Index cols = smaller<Index>(kEdge, range.j0 + range.cols - j0);
    unsigned char* const shared = shared_memory();
    Tile tile;
    tile.multiply(x, y, i0, j0 - y_first, shared);
    T* const row_part = reinterpret_cast<T*>(shared);  // [warp column][row]
    if constexpr (kWantsRowSums<Policy>)
      row_sums(tile, i0, j0, rows, cols, row_part,
               sum_partial + Index(place.col) * range.rows + (i0 - range.i0));
    to_logits(tile, i0, j0, rows, cols);

    T* const col_part = row_part + Tile::kWarpCols * kEdge;  // [warp row][column]
    T* const warp_part = col_part + Tile::kWarpRows * kEdge;
    T top = tile.sum(0, 0);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c)
        top = top != top ? tile.sum(r, c) : larger(top, tile.sum(r, c));
    top = block_max(top, warp_part);
    const T base = top == -core::infinity<T> ? T(0) : top;

    T by_col[Tile::kCols];
#pragma unroll
    for (int c = 0; c < Tile::kCols; ++c) by_col[c] = 0;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      T by_row = 0;
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        const T e = pair_exp2(tile.sum(r, c) - base);
        by_row += e;
        by_col[c] += e;
      }
      store_row(row_part, r, row_lanes_sum(by_row));
    }
    store_cols(col_part, by_col);
    block_barrier();
    bool faint = false;
    for (unsigned k = threadIdx.x; k < kEdge; k += kThreads) {
      faint = faint ||
              (Policy::kRows && Index(k) < rows && total(row_part, Tile::kWarpCols, k) < kLeast);
      faint = faint ||
              (Policy::kCols && Index(k) < cols && total(col_part, Tile::kWarpRows, k) < kLeast);
    }
    if (!__syncthreads_or(faint)) {
      for (unsigned k = threadIdx.x; k < kEdge; k += kThreads) {
        if (Policy::kRows && Index(k) < rows)
          row_partial[Index(place.col) * range.rows + (i0 - range.i0) + k] = {
              top, total(row_part, Tile::kWarpCols, k)};
        if (Policy::kCols && Index(k) < cols)
          col_partial[Index(place.row) * range.cols + (j0 - range.j0) + k] = {
              top, total(col_part, Tile::kWarpRows, k)};
      }
      return;
    }
    if constexpr (Policy::kRows)
      apart<Tile::kRows, Tile::kCols, Tile::kWarpCols>(
          row_part, rows, row_partial + Index(place.col) * range.rows + (i0 - range.i0),
          [&](int r, int c) { return tile.sum(r, c); }, [](int r) { return Tile::row(r); },
          Tile::warp_col(), Tile::lane() % 4 == 0, 1u, 4u);
    if constexpr (Policy::kCols)
      apart<Tile::kCols, Tile::kRows, Tile::kWarpRows>(
          row_part, cols, col_partial + Index(place.row) * range.cols + (j0 - range.j0),
          [&](int c, int r) { return tile.sum(r, c); }, [](int c) { return Tile::col(c); },
          Tile::warp_row(), Tile::lane() / 4 == 0, 4u, 32u);
  }

 private:
  /// Done with `part` before the barrier of block_max.
  __device__ __forceinline__ void row_sums(Tile& tile, Index i0, Index j0, Index rows, Index cols,
                                           T* part, T* out) const {
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      T sum = 0;
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        const Index i = i0 + Tile::row(r), j = j0 + Tile::col(c);
        if (Index(Tile::row(r)) < rows && Index(Tile::col(c)) < cols && !excluded.pair(i, j))
          sum += policy.wanted(tile.sum(r, c), i, j);
      }
      store_row(part, r, row_lanes_sum(sum));
    }
    block_barrier();  // every warp's share of the rows is there
    for (unsigned k = threadIdx.x; k < kEdge; k += kThreads)
      if (Index(k) < rows) out[k] = total(part, Tile::kWarpCols, k);
  }

  /// Cosines become logits; what lies outside the range or is excluded becomes -infinity.
  __device__ __forceinline__ void to_logits(Tile& tile, Index i0, Index j0, Index rows,
                                            Index cols) const {
    const bool whole =
        rows == Index(kEdge) && cols == Index(kEdge) && !excluded.touches(i0, j0, kEdge) &&
        !(positives && positive > j0 - i0 - Index(kEdge) && positive < j0 - i0 + Index(kEdge));
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        T& s = tile.sum(r, c);
        const Index i = i0 + Tile::row(r), j = j0 + Tile::col(c);
        if (whole) {
          s = policy.logit(s, i, j);
        } else {
          const bool inside = Index(Tile::row(r)) < rows && Index(Tile::col(c)) < cols;
          if (inside && positives && j - i == positive) positives[i] = s;
          s = inside && !excluded.pair(i, j) ? policy.logit(s, i, j) : -core::infinity<T>;
        }
      }
  }

  __device__ static T block_max(T v, T* warp_part) {
    v = warp_max(v);
    if (Tile::lane() == 0) warp_part[threadIdx.x / kWarp] = v;
    block_barrier();
    T top = warp_part[0];
    for (unsigned w = 1; w < kThreads / kWarp; ++w)
      top = top != top ? warp_part[w] : larger(top, warp_part[w]);
    return top;
  }

  __device__ static void store_row(T* part, int r, T v) {
    if (Tile::lane() % 4 == 0) part[Tile::warp_col() * kEdge + Tile::row(r)] = v;
  }
  __device__ static void store_cols(T* part, const T (&by_col)[Tile::kCols]) {
#pragma unroll
    for (int c = 0; c < Tile::kCols; ++c) {
      const T v = col_lanes_sum(by_col[c]);
      if (Tile::lane() / 4 == 0) part[Tile::warp_row() * kEdge + Tile::col(c)] = v;
    }
  }
  __device__ static T total(const T* part, unsigned parts, unsigned k) {
    T sum = part[k];
    for (unsigned p = 1; p < parts; ++p) sum += part[p * kEdge + k];
    return sum;
  }

  /// Lines (rows, or columns) with a maximum of their own: Lines of them a thread, each of Length
  /// values here and in the lanes whose bits from low_bit up to below high_bit differ, and in Parts
  /// warps.
  template <int Lines, int Length, unsigned Parts, class Value, class Place>
  __device__ static void apart(T* part, Index count, RowPair<T>* out, Value value, Place place,
                               unsigned mine, bool writes, unsigned low_bit, unsigned high_bit) {
    block_barrier();
#pragma unroll
    for (int a = 0; a < Lines; ++a) {
      T top = value(a, 0);
#pragma unroll
      for (int b = 1; b < Length; ++b) top = top != top ? value(a, b) : larger(top, value(a, b));
      for (unsigned bit = low_bit; bit < high_bit; bit *= 2) {
        const T other = shuffle_xor(top, bit);
        top = top != top ? other : larger(top, other);
      }
      if (writes) part[mine * kEdge + place(a)] = top;
    }
    block_barrier();
    T* const sums = part + Parts * kEdge;
    const auto top_of = [&](unsigned k) {
      T top = part[k];
      for (unsigned p = 1; p < Parts; ++p)
        top = top != top ? part[p * kEdge + k] : larger(top, part[p * kEdge + k]);
      return top;
    };
#pragma unroll
    for (int a = 0; a < Lines; ++a) {
      const T top = top_of(place(a)), base = top == -core::infinity<T> ? T(0) : top;
      T sum = 0;
#pragma unroll
      for (int b = 0; b < Length; ++b) sum += pair_exp2(value(a, b) - base);
      for (unsigned bit = low_bit; bit < high_bit; bit *= 2) sum += shuffle_xor(sum, bit);
      if (writes) sums[mine * kEdge + place(a)] = sum;
    }
    block_barrier();
    for (unsigned k = threadIdx.x; k < kEdge; k += kThreads)
      if (Index(k) < count) out[k] = {top_of(k), total(sums, Parts, k)};
  }
};

}  // namespace spheremix::gpu::pairwise
