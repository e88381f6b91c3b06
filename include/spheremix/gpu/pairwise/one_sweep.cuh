// Losses whose pairs need no statistics: value and weight of every pair in one sweep.
//
//   policy.pair(s, row, col) -> {value, gradient}
//
// with the gradient scaled into the tile's Weight type by the policy. A policy with positive(s)
// wants the excluded pairs (i, i + positive) told apart: their values and gradients come from there.
// Policy::kLineSums: sums by row and by column may be asked for.
//
// A tile gives the sums of its values and gradients (double, one a tile), sums of the gradients by
// row and by column where asked for, and G. Sums of gradients are of the rounded weights: what the
// products use is what they add up.
#pragma once

#include "spheremix/gpu/pairwise/engine.cuh"
#include "spheremix/gpu/pairwise/left_out.cuh"
#include "spheremix/gpu/pairwise/weight_stage.cuh"

namespace spheremix::gpu::pairwise {

template <class T>
struct PairTerm {
  T value, gradient;
};

/// Policies whose code a pair is long say kLongPairs: their columns go by eights, so that the
/// kernel's code stays short.
template <class Policy>
inline constexpr bool kLongPairs = requires {
  Policy::kLongPairs;
};

template <class Tile, class Policy>
struct OneSweepKernel {
  using T = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr unsigned kEdge = Tile::kEdge;
  static constexpr std::size_t kOwnShared =
      WeightStage<Tile>::kBytes + Lines<Tile, Policy>::kBytes + LeftOut<Tile>::kBytes +
      (kEdge + (Tile::kWarpCols + Tile::kWarpRows) * kEdge) * sizeof(T) +
      2 * kThreads / kWarp * sizeof(double);
  static constexpr std::size_t kShared = Tile::kShared > kOwnShared ? Tile::kShared : kOwnShared;

  typename OperandOf<Tile>::Type x, y;
  Range range;
  Policy policy;
  Excluded excluded = {};
  Weight* weights = nullptr;  ///< nullptr: values only
  Index stride = 0;
  double* values = nullptr;  ///< [tile]: added to, or set by the first range (no other is larger)
  double* gradients = nullptr;  ///< the same, or nullptr
  bool first = true;
  double value_weight = 1;   ///< of this range's values
  T* row_partial = nullptr;  ///< [tile column][row of the range], or nullptr
  T* col_partial = nullptr;  ///< [tile row][column of the range], or nullptr
  Index positive = 0;        ///< pairs (i, i + positive) hold the positives

  __device__ void operator()() const {
    const TilePlace place = tile_place(blockIdx.x, unsigned(ceil_div(range.rows, kEdge)),
                                       unsigned(ceil_div(range.cols, kEdge)));
    const Index i0 = range.i0 + Index(place.row) * kEdge, j0 = range.j0 + Index(place.col) * kEdge;
    const Index rows = smaller<Index>(kEdge, range.i0 + range.rows - i0);
    const Index cols = smaller<Index>(kEdge, range.j0 + range.cols - j0);
    unsigned char* const shared = shared_memory();
    Tile tile;
    tile.multiply(x, y, i0, j0, shared);

    SharedPieces pieces{shared};
    const WeightStage<Tile> stage(pieces);
    const Lines<Tile, Policy> lines(pieces);
    const LeftOut<Tile> left_out(pieces);
    T* const saved = pieces.take<T>(kEdge);                       // cosines of positives
    T* const row_part = pieces.take<T>(Tile::kWarpCols * kEdge);  // [warp column][row]
    T* const col_part = pieces.take<T>(Tile::kWarpRows * kEdge);  // [warp row][column]
    double* const sums = pieces.take<double>(2 * kWarps);         // [what][warp]
    const bool out = leaves_out<Tile>(excluded, i0, j0, rows, cols);
    lines.fetch(policy, i0, j0, rows, cols);
    if (out) left_out.mark(excluded, kHasPositive, positive, i0, j0, rows, cols);
    if (out || kReadsLines<Policy>) {
      block_barrier();  // lines and marks are there
    }
    if (out)
      left_out.apply(tile, [&](unsigned down, T s) {
        if (kHasPositive) saved[Tile::row(0) + down] = s;
      });

    double value = 0, gradient = 0;
    weigh(tile, lines, stage, row_part, col_part, value, gradient);
    if constexpr (kHasPositive)
      if (out) {
        block_barrier();  // weights and positives are there
        const int c = threadIdx.x < kEdge ? left_out.positive[threadIdx.x] : -1;
        if (c >= 0) {
          const PairTerm<T> term = policy.positive(saved[threadIdx.x]);
          const Weight weight = narrow<Weight>(term.gradient);
          value += double(term.value);
          gradient += double(widen(weight));
          stage.stage[threadIdx.x * stage.kPitch + unsigned(c)] = weight;
        }
      }
    value = warp_sum(value);
    gradient = warp_sum(gradient);
    if (Tile::lane() == 0) {
      sums[threadIdx.x / kWarp] = value;
      sums[kWarps + threadIdx.x / kWarp] = gradient;
    }
    block_barrier();  // weights and sums are there
    if (threadIdx.x < 2) {
      double sum = 0;
      for (unsigned w = 0; w < kWarps; ++w) sum += sums[threadIdx.x * kWarps + w];
      if (threadIdx.x == 0) sum *= value_weight;
      double* const to = threadIdx.x == 0 ? values : gradients;
      if (to) to[blockIdx.x] = first ? sum : to[blockIdx.x] + sum;
    }
    if constexpr (Policy::kLineSums) {
      if (row_partial)
        add_warps<Tile::kWarpCols>(row_part, rows,
                                   row_partial + Index(place.col) * range.rows + (i0 - range.i0));
      if (col_partial)
        add_warps<Tile::kWarpRows>(col_part, cols,
                                   col_partial + Index(place.row) * range.cols + (j0 - range.j0));
    }
    if (weights)
      stage.write(weights + Index(place.row) * kEdge * stride + Index(place.col) * kEdge, stride);
  }

 private:
  static constexpr int kEach = kColumnsEach<Tile>;
  static constexpr unsigned kWarps = kThreads / kWarp;
  static constexpr bool kHasPositive = requires(const Policy p) { p.positive(T(0)); };
  static_assert(!(kHasPositive && Policy::kLineSums), "sums of lines do not have the positives");

  __device__ __forceinline__ void weigh(Tile& tile, const Lines<Tile, Policy>& lines,
                                        const WeightStage<Tile>& stage, T* row_part, T* col_part,
                                        double& value, double& gradient) const {
    RowOf<Policy> row[Tile::kRows];
    T row_value[Tile::kRows], by_row[Tile::kRows];
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      row[r] = lines.row(r);
      row_value[r] = by_row[r] = 0;
    }
    constexpr int kGroup = kLongPairs<Policy> ? kColLanes : Tile::kCols;
#pragma unroll 1
    for (int c0 = 0; c0 < Tile::kCols; c0 += kGroup) {
#pragma unroll
      for (int c1 = 0; c1 < kGroup; c1 += kColLanes) {
        T by_col[kColLanes];
#pragma unroll
        for (int c = 0; c < kColLanes; ++c) by_col[c] = 0;
#pragma unroll
        for (int c = 0; c < kColLanes; c += kEach) {
          ColOf<Policy> col[kEach];
#pragma unroll
          for (int e = 0; e < kEach; ++e) col[e] = lines.col(c0 + c1 + c + e);
#pragma unroll
          for (int r = 0; r < Tile::kRows; ++r) {
            T g[kEach];
#pragma unroll
            for (int e = 0; e < kEach; ++e) {
              const PairTerm<T> term = policy.pair(tile.sum(r, c1 + c + e), row[r], col[e]);
              row_value[r] += term.value;
              g[e] = term.gradient;
            }
            stage.put(r, c0 + c1 + c, g);
#pragma unroll
            for (int e = 0; e < kEach; ++e) {
              by_row[r] += g[e];
              by_col[c + e] += g[e];
            }
          }
        }
        if constexpr (Policy::kLineSums) put_cols<Tile>(col_part, c0 + c1, by_col);
      }
      if (kGroup < Tile::kCols) shift_columns<kGroup>(tile);
    }
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      value += double(row_value[r]);
      gradient += double(by_row[r]);
    }
    if constexpr (Policy::kLineSums) put_all_rows<Tile>(row_part, by_row);
  }

  /// Every warp's share of the lines is there.
  template <unsigned Parts>
  __device__ static void add_warps(const T* part, Index count, T* to) {
    const unsigned k = threadIdx.x;
    if (k >= kEdge || Index(k) >= count) return;
    T sum = part[k];
#pragma unroll
    for (unsigned p = 1; p < Parts; ++p) sum += part[p * kEdge + k];
    to[k] = sum;
  }
};

/// Tiles of the largest range: how many partial values a sweep keeps.
template <class Tile>
Index range_tiles(const RangeLimits& limits) {
  return limits.weights_rows / Index(Tile::kEdge) * (limits.weights_cols / Index(Tile::kEdge));
}

/// value at every element.
template <class T>
struct FillKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<T> to;
  T value;
  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (k < to.rows * to.cols) to(k / to.cols, k % to.cols) = value;
  }
};
template <class T>
void fill(Work& work, const core::MatrixView<T>& to, T value) {
  using Kernel = FillKernel<T>;
  start(work, Kernel{to, value}, ceil_div(to.rows * to.cols, Kernel::kThreads));
}

}  // namespace spheremix::gpu::pairwise
