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
// A policy with kRowSums has the sum of policy.wanted(s, row, col) over a row's pairs taken too (what
// its loss says of cosines, not of their exponentials): sum_partial[tile column][row].
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/left_out.cuh"

namespace spheremix::gpu::pairwise {

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

    SharedPieces pieces{shared};
    const Lines<Tile, Policy> lines(pieces);
    const LeftOut<Tile> left_out(pieces);
    T* const sum_part = pieces.take<T>(kSumParts);                // [warp column][row]
    T* const row_part = pieces.take<T>(Tile::kWarpCols * kEdge);  // [warp column][row]
    T* const col_part = pieces.take<T>(Tile::kWarpRows * kEdge);  // [warp row][column]
    T* const warp_part = pieces.take<T>(kThreads / kWarp);
    const bool out =
        leaves_out<Tile>(excluded, i0, j0, rows, cols) ||
        (positives && positive > j0 - i0 - Index(kEdge) && positive < j0 - i0 + Index(kEdge));
    lines.fetch(policy, i0, j0, rows, cols);
    if (out) left_out.mark(excluded, positives != nullptr, positive, i0, j0, rows, cols);
    if (out || kReadsLines<Policy>) {
      block_barrier();  // lines and marks are there
    }
    if (out) {
      T* const own = positives + i0 + Tile::row(0);
      left_out.apply(tile, [&](unsigned down, T s) { own[down] = s; });
    }

    T top = largest(tile, lines, sum_part);
    top = block_max(top, warp_part);
    // Logits are scale() times what the tile holds by now.
    const T scale = this->scale(), base = top == -core::infinity<T> ? T(0) : scale * top;

    T by_row[Tile::kRows];
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) by_row[r] = 0;
#pragma unroll
    for (int c0 = 0; c0 < Tile::kCols; c0 += kColLanes) {
      T by_col[kColLanes];
#pragma unroll
      for (int c = 0; c < kColLanes; ++c) {
        by_col[c] = 0;
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r) {
          const T e = pair_exp2(multiply_add(scale, tile.sum(r, c0 + c), -base));
          by_row[r] += e;
          by_col[c] += e;
        }
      }
      if (Policy::kCols) put_cols<Tile>(col_part, c0, by_col);
    }
    if (Policy::kRows) put_all_rows<Tile>(row_part, by_row);
    block_barrier();  // every warp's sums are there
    top = scale * top;
    if constexpr (kWantsRowSums<Policy>)
      if (threadIdx.x < kEdge && Index(threadIdx.x) < rows)
        sum_partial[Index(place.col) * range.rows + (i0 - range.i0) + threadIdx.x] =
            total(sum_part, Tile::kWarpCols, threadIdx.x);
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
    block_barrier();  // the sums are read
    if constexpr (Policy::kRows)
      apart<Tile::kRows, Tile::kCols, Tile::kWarpCols, kRowLanes>(
          row_part, rows, row_partial + Index(place.col) * range.rows + (i0 - range.i0), scale,
          [&](int r, int c) { return tile.sum(r, c); }, [](int r) { return Tile::row(r); },
          [](T* part, int r, T(&v)[kRowLanes], auto join) { put_rows<Tile>(part, r, v, join); });
    if constexpr (Policy::kCols)
      apart<Tile::kCols, Tile::kRows, Tile::kWarpRows, kColLanes>(
          row_part, cols, col_partial + Index(place.row) * range.cols + (j0 - range.j0), scale,
          [&](int c, int r) { return tile.sum(r, c); }, [](int c) { return Tile::col(c); },
          [](T* part, int c, T(&v)[kColLanes], auto join) { put_cols<Tile>(part, c, v, join); });
  }

 private:
  static constexpr std::size_t kSumParts = kWantsRowSums<Policy> ? Tile::kWarpCols * kEdge : 0;
  static constexpr bool kScaled = !requires(const Policy p) {
    p.logit(T(0), RowOf<Policy>{}, ColOf<Policy>{});
  };
  // The longest lists: those of apart(), from row_part on.
  static_assert(Lines<Tile, Policy>::kBytes + LeftOut<Tile>::kBytes + kSumParts * sizeof(T) +
                    2 * sizeof(T) * kEdge * (Tile::kWarpRows + Tile::kWarpCols) <=
                kShared);

  __device__ __forceinline__ T scale() const {
    if constexpr (kScaled)
      return policy.scale;
    else
      return 1;
  }

  /// The largest that the thread holds, -infinity next to nothing but NaN. Cosines become logits
  /// unless those are scale() times them; the sums over rows go to `sum_part`.
  __device__ __forceinline__ T largest(Tile& tile, const Lines<Tile, Policy>& lines,
                                       T* sum_part) const {
    RowOf<Policy> row[Tile::kRows];
    T top[Tile::kRows], sum[Tile::kRows];
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      row[r] = lines.row(r);
      top[r] = -core::infinity<T>;
      sum[r] = 0;
    }
#pragma unroll
    for (int c = 0; c < Tile::kCols; ++c) {
      const ColOf<Policy> col = lines.col(c);
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
        T& s = tile.sum(r, c);
        if constexpr (kWantsRowSums<Policy>) sum[r] += policy.wanted(s, row[r], col);
        if constexpr (!kScaled) s = policy.logit(s, row[r], col);
        top[r] = greater(top[r], s);
      }
    }
#pragma unroll
    for (int r = 1; r < Tile::kRows; ++r) top[0] = greater(top[0], top[r]);
    if constexpr (kWantsRowSums<Policy>) put_all_rows<Tile>(sum_part, sum);
    return top[0];
  }

  __device__ static T block_max(T v, T* warp_part) {
    v = warp_max(v);
    if (Tile::lane() == 0) warp_part[threadIdx.x / kWarp] = v;
    block_barrier();
    T top = warp_part[0];
#pragma unroll
    for (unsigned w = 1; w < kThreads / kWarp; ++w) top = greater(top, warp_part[w]);
    return top;
  }

  __device__ static T total(const T* part, unsigned parts, unsigned k) {
    T sum = part[k];
    for (unsigned p = 1; p < parts; ++p) sum += part[p * kEdge + k];
    return sum;
  }

  /// Lines (rows, or columns) with a maximum of their own: Lines of them a thread, each of Length
  /// values (logits over scale) here, and in Lanes lanes of Parts warps.
  template <int Lines, int Length, unsigned Parts, int Lanes, class Value, class Place, class Put>
  __device__ static void apart(T* part, Index count, RowPair<T>* out, T scale, Value value,
                               Place place, Put put) {
#pragma unroll
    for (int a0 = 0; a0 < Lines; a0 += Lanes) {
      T top[Lanes];
#pragma unroll
      for (int a = 0; a < Lanes; ++a) {
        top[a] = -core::infinity<T>;
#pragma unroll
        for (int b = 0; b < Length; ++b) top[a] = greater(top[a], value(a0 + a, b));
      }
      put(part, a0, top, Largest{});
    }
    block_barrier();  // every warp's maxima are there
    T* const sums = part + Parts * kEdge;
    const auto top_of = [&](unsigned k) {
      T top = part[k];
      for (unsigned p = 1; p < Parts; ++p) top = greater(top, part[p * kEdge + k]);
      return scale * top;
    };
#pragma unroll
    for (int a0 = 0; a0 < Lines; a0 += Lanes) {
      T sum[Lanes];
#pragma unroll
      for (int a = 0; a < Lanes; ++a) {
        const T top = top_of(place(a0 + a)), base = top == -core::infinity<T> ? T(0) : top;
        sum[a] = 0;
#pragma unroll
        for (int b = 0; b < Length; ++b)
          sum[a] += pair_exp2(multiply_add(scale, value(a0 + a, b), -base));
      }
      put(sums, a0, sum, Sum{});
    }
    block_barrier();  // every warp's sums are there
    if (threadIdx.x < kEdge && Index(threadIdx.x) < count)
      out[threadIdx.x] = {top_of(threadIdx.x), total(sums, Parts, threadIdx.x)};
    block_barrier();  // the columns use the same memory
  }
};

}  // namespace spheremix::gpu::pairwise
