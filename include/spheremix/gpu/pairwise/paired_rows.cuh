// Rows of X and Y as one operand whose tiles hold all four cosines of two pairs in one thread.
//
//   rows of the operand   x_0 .. x_7, y_0 .. y_7, x_8 .. x_15, y_8 .. y_15, ...
//
// Every tile type gives a thread rows 8 apart as its sums r and r + 1 (r even), and columns 8 apart
// as its sums c and c + 2 (c / 2 even): so one thread holds x_i.x_j, x_i.y_j, y_i.x_j and y_i.y_j of
// its pairs. Nothing is copied: the view reads the two matrices where they lie.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// X and Y, n x D each, as 2 n rows. Row i is of Y where its bit 3 is set.
template <class T>
struct PairedRows {
  core::MatrixView<T> x, y;
  Index cols;
  T* data;  ///< any address that may be read

  __host__ __device__ PairedRows(const core::MatrixView<T>& first,
                                 const core::MatrixView<T>& second)
      : x(first), y(second), cols(first.cols), data(first.data) {}

  /// The pair of row i, of an operand or of a tile.
  template <class I>
  __host__ __device__ static constexpr I pair(I i) {
    return i / 16 * 8 + i % 8;
  }
  __device__ T* row(Index i) const { return (i / 8 % 2 ? y : x).row(pair(i)); }
};

template <class T>
__device__ __forceinline__ bool holds(const PairedRows<T>& m, Index i) {
  return PairedRows<T>::pair(i) < m.x.rows;
}

/// The cosines of pairs i and j.
template <class T>
struct Quad {
  T xx, xy, yx, yy;  ///< x_i.x_j, x_i.y_j, y_i.x_j, y_i.y_j

  /// The same with i and j exchanged.
  __device__ Quad mirrored() const { return {xx, yx, xy, yy}; }
};

/// Where a thread's quads lie in a tile, and in their rows and columns of pairs.
template <class Tile>
struct QuadPlaces {
  using T = typename Tile::Sum;
  static constexpr unsigned kPairs = Tile::kEdge / 2;  ///< along an edge
  static constexpr int kRows = Tile::kRows / 2, kCols = Tile::kCols / 2;
  static_assert(Tile::kRows % 2 == 0 && Tile::kCols % 4 == 0);

  static constexpr __device__ int first_row(int r) { return 2 * r; }
  static constexpr __device__ int first_col(int c) { return c / 2 * 4 + c % 2; }
  __device__ static unsigned row(int r) { return PairedRows<T>::pair(Tile::row(first_row(r))); }
  __device__ static unsigned col(int c) { return PairedRows<T>::pair(Tile::col(first_col(c))); }
  __device__ static __forceinline__ Quad<T> quad(Tile& tile, int r, int c) {
    const int i = first_row(r), j = first_col(c);
    return {tile.sum(i, j), tile.sum(i, j + 2), tile.sum(i + 1, j), tile.sum(i + 1, j + 2)};
  }
  __device__ static __forceinline__ void set(Tile& tile, int r, int c, const Quad<T>& q) {
    const int i = first_row(r), j = first_col(c);
    tile.sum(i, j) = q.xx;
    tile.sum(i, j + 2) = q.xy;
    tile.sum(i + 1, j) = q.yx;
    tile.sum(i + 1, j + 2) = q.yy;
  }
};

}  // namespace spheremix::gpu::pairwise
