// Losses whose pairs need no statistics (SigLIP, uniformity): value and weight of every pair in one
// sweep.
//
//   policy.pair(s, i, j) -> {value, gradient}
//
// with the gradient scaled into the tile's Weight type by the policy.
//
// A tile gives the sums of its values and gradients (double, one a tile), sums of the gradients by
// row and by column where asked for, and G. Sums of gradients are of the rounded weights: what the
// products use is what they add up.
#pragma once

#include "spheremix/gpu/pairwise/engine.cuh"

namespace spheremix::gpu::pairwise {

template <class T>
struct PairTerm {
  T value, gradient;
};

template <class Tile, class Policy>
struct OneSweepKernel {
  using T = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr unsigned kEdge = Tile::kEdge;
  static constexpr std::size_t kShared = Tile::kShared;

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

  __device__ void operator()() const {
    const TilePlace place = tile_place(blockIdx.x, unsigned(ceil_div(range.rows, kEdge)),
                                       unsigned(ceil_div(range.cols, kEdge)));
    const Index i0 = range.i0 + Index(place.row) * kEdge, j0 = range.j0 + Index(place.col) * kEdge;
    const Index rows = smaller<Index>(kEdge, range.i0 + range.rows - i0);
    const Index cols = smaller<Index>(kEdge, range.j0 + range.cols - j0);
    unsigned char* const shared = shared_memory();
    Tile tile;
    tile.multiply(x, y, i0, j0, shared);

    const bool plain =
        rows == Index(kEdge) && cols == Index(kEdge) && !excluded.touches(i0, j0, kEdge);
    T value = 0;
    double gradient = 0;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      T of_row = 0;
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        const Index i = i0 + Tile::row(r), j = j0 + Tile::col(c);
        T& s = tile.sum(r, c);
        const bool counts = plain || (Index(Tile::row(r)) < rows && Index(Tile::col(c)) < cols &&
                                      !excluded.pair(i, j));
        const PairTerm<T> term = counts ? policy.pair(s, i, j) : PairTerm<T>{0, 0};
        value += term.value;
        s = T(widen(narrow<Weight>(term.gradient)));
        of_row += s;
      }
      gradient += double(of_row);
    }
    double* const sums = reinterpret_cast<double*>(shared);  // [what][warp]
    constexpr unsigned kWarps = kThreads / kWarp;
    const double all_values = warp_sum(double(value)), all_gradients = warp_sum(gradient);
    if (Tile::lane() == 0) {
      sums[threadIdx.x / kWarp] = all_values;
      sums[kWarps + threadIdx.x / kWarp] = all_gradients;
    }
    block_barrier();
    if (threadIdx.x < 2) {
      double sum = 0;
      for (unsigned w = 0; w < kWarps; ++w) sum += sums[threadIdx.x * kWarps + w];
      if (threadIdx.x == 0) sum *= value_weight;
      double* const to = threadIdx.x == 0 ? values : gradients;
      if (to) to[blockIdx.x] = first ? sum : to[blockIdx.x] + sum;
    }
    block_barrier();
    if (row_partial) {
      T* const part = reinterpret_cast<T*>(shared);  // [warp column][row]
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
        T sum = 0;
#pragma unroll
        for (int c = 0; c < Tile::kCols; ++c) sum += tile.sum(r, c);
        sum = row_lanes_sum(sum);
        if (Tile::lane() % 4 == 0) part[Tile::warp_col() * kEdge + Tile::row(r)] = sum;
      }
      add_warps(part, Tile::kWarpCols,
                row_partial + Index(place.col) * range.rows + (i0 - range.i0), rows);
    }
    if (col_partial) {
      T* const part = reinterpret_cast<T*>(shared);  // [warp row][column]
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        T sum = 0;
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r) sum += tile.sum(r, c);
        sum = col_lanes_sum(sum);
        if (Tile::lane() / 4 == 0) part[Tile::warp_row() * kEdge + Tile::col(c)] = sum;
      }
      add_warps(part, Tile::kWarpRows,
                col_partial + Index(place.row) * range.cols + (j0 - range.j0), cols);
    }
    if (weights)
      store_weights<Tile>(weights + Index(place.row) * kEdge * stride + Index(place.col) * kEdge,
                          stride, shared, [&](int r, int c) { return tile.sum(r, c); });
  }

 private:
  __device__ static void add_warps(const T* part, unsigned parts, T* to, Index count) {
    block_barrier();
    for (unsigned k = threadIdx.x; Index(k) < count; k += kThreads) {
      T sum = part[k];
      for (unsigned p = 1; p < parts; ++p) sum += part[p * kEdge + k];
      to[k] = sum;
    }
    block_barrier();
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
Status fill(const core::MatrixView<T>& to, T value, cudaStream_t stream) {
  using Kernel = FillKernel<T>;
  return start(Kernel{to, value}, ceil_div(to.rows * to.cols, Kernel::kThreads), stream);
}

}  // namespace spheremix::gpu::pairwise
