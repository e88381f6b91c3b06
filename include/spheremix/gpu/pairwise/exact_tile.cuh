// A tile of cosines without tensor cores: 64 x 64 pairs, every product and sum in f32 (f64 for
// double rows). The exact path of the losses, and the reference of the fast one. Layout as in
// half_tile.cuh: thread 4 g + t of a warp holds rows 8 r + g and columns 4 c + t of its 32 x 32
// pairs.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

template <class T>
struct ExactTile {
  using Input = T;
  using Sum = Arithmetic<T>;
  using Weight = Sum;
  static constexpr Sum kWeightScale = 1;

  static constexpr unsigned kEdge = 64, kThreads = 128, kResident = 2;
  static constexpr unsigned kWarpRows = 2, kWarpCols = 2;
  static constexpr int kRows = 4, kCols = 8;
  static constexpr unsigned kDepth = 16, kPitch = kEdge + 1;
  static constexpr std::size_t kShared =
      kEdge * (kEdge + 16 / sizeof(Sum)) * sizeof(Sum);  // operands, or weights
  static_assert(2 * kDepth * kPitch * sizeof(Sum) <= kShared);
  static constexpr Index kAlign = 1;

  Sum sums[kRows][kCols];

  __device__ static unsigned lane() { return threadIdx.x % kWarp; }
  __device__ static unsigned warp_row() { return threadIdx.x / kWarp / kWarpCols; }
  __device__ static unsigned warp_col() { return threadIdx.x / kWarp % kWarpCols; }
  __device__ static unsigned row(int r) { return warp_row() * 32 + unsigned(r) * 8 + lane() / 4; }
  __device__ static unsigned col(int c) { return warp_col() * 32 + unsigned(c) * 4 + lane() % 4; }
  __device__ __forceinline__ Sum& sum(int r, int c) { return sums[r][c]; }

  __device__ void zero() {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kCols; ++c) sums[r][c] = 0;
  }

  /// sums += A B for kDepth columns of A (as a[k][row]) and rows of B (b[k][column]) in shared
  /// memory.
  __device__ __forceinline__ void accumulate(const Sum* a, const Sum* b) {
#pragma unroll
    for (unsigned k = 0; k < kDepth; ++k) {
      Sum left[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) left[r] = a[k * kPitch + row(r)];
#pragma unroll
      for (int c = 0; c < kCols; ++c) {
        const Sum right = b[k * kPitch + col(c)];
#pragma unroll
        for (int r = 0; r < kRows; ++r) sums[r][c] += left[r] * right;
      }
    }
  }

  /// to[k][row] = m(first + row, k0 + k), 0 outside.
  template <class View>
  __device__ static void load_columns(Sum* to, const View& m, Index first, Index k0) {
    for (unsigned q = threadIdx.x; q < kEdge * kDepth; q += kThreads) {
      const unsigned r = q / kDepth, k = q % kDepth;
      const bool inside = holds(m, first + r) && k0 + k < m.cols;
      to[k * kPitch + r] = inside ? Sum(widen(m.row(first + r)[k0 + k])) : Sum(0);
    }
  }

  /// to[k][col] = m(k0 + k, first + col), 0 outside.
  template <class Source>
  __device__ static void load_rows(Sum* to, const core::MatrixView<const Source>& m, Index k0,
                                   Index first) {
    for (unsigned q = threadIdx.x; q < kEdge * kDepth; q += kThreads) {
      const unsigned k = q / kEdge, c = q % kEdge;
      const bool inside = k0 + k < m.rows && first + c < m.cols;
      to[k * kPitch + c] = inside ? Sum(widen(m(k0 + k, first + c))) : Sum(0);
    }
  }

  template <class View>
  __device__ void multiply(const View& x, const View& y, Index i0, Index j0,
                           unsigned char* shared) {
    Sum* const a = reinterpret_cast<Sum*>(shared);
    Sum* const b = a + kDepth * kPitch;
    zero();
    for (Index k = 0; k < x.cols; k += kDepth) {
      load_columns(a, x, i0, k);
      load_columns(b, y, j0, k);
      block_barrier();
      accumulate(a, b);
      block_barrier();
    }
  }
};

}  // namespace spheremix::gpu::pairwise
