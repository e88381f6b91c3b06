// A tile of cosines that are there already: 128 x 128 of a strip of S = X Y^T that a library's GEMM
// wrote in fp16 (stored_cosines.cuh). What comes after multiply is as with half_tile.cuh.
//
// A thread holds eight rows of two times eight columns, each eight one 16-byte load. Outside the
// range the cosines are 0. The strip has rows of whole tiles; what lies past the range in it was
// never written.
//
// Accuracy  a cosine carries fp16's 2^-12 of itself besides what HalfTile has: CLIP's dX is off by
//           1.6e-4 at scale 20 and 1.2e-3 at 100 (docs/gpu.md; positives do not come from here).
#pragma once

#include <cstring>

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// Rows [row, row_end) x columns [col, col_end) of S from `data` on, columns counted as y's rows.
struct StoredStrip {
  const Half* data = nullptr;
  Index stride = 0, row = 0, row_end = 0, col = 0, col_end = 0;
};

struct StoredTile {
  using Input = Half;   ///< of X and Y
  using Sum = float;    ///< of statistics
  using Weight = Half;  ///< of dL/dS, scaled by kWeightScale
  using Operand = StoredStrip;
  static constexpr float kWeightScale = 16384;  // as HalfTile

  static constexpr unsigned kEdge = 128, kThreads = 128, kResident = 2;
  static constexpr unsigned kWarpRows = 2, kWarpCols = 2;
  static constexpr int kRows = 8, kCols = 16;
  static constexpr std::size_t kShared = kEdge * (kEdge + 8) * 2;  // a tile of weights on its way
  static constexpr Index kAlign =
      8;  ///< columns and strides are multiples of this, rows on 16 bytes

  float sums[kRows][kCols];

  __device__ static unsigned lane() { return threadIdx.x % kWarp; }
  __device__ static unsigned warp_row() { return threadIdx.x / kWarp / kWarpCols; }
  __device__ static unsigned warp_col() { return threadIdx.x / kWarp % kWarpCols; }
  __device__ static unsigned row(int r) { return warp_row() * 64 + unsigned(r) * 8 + lane() / 4; }
  __device__ static unsigned col(int c) {
    return warp_col() * 64 + unsigned(c) / 8 * 32 + lane() % 4 * 8 + unsigned(c) % 8;
  }
  __device__ __forceinline__ float& sum(int r, int c) { return sums[r][c]; }

  /// sums = rows [i0, i0 + 128) x columns [j0, j0 + 128) of the strip. Reads with ordinary loads:
  /// weights may take the cosines' place afterwards.
  __device__ void multiply(const StoredStrip& strip, const StoredStrip&, Index i0, Index j0,
                           unsigned char*) {
    const Half* const from =
        strip.data + (i0 - strip.row + row(0)) * strip.stride + (j0 - strip.col) + col(0);
    const bool whole = i0 + kEdge <= strip.row_end && j0 + kEdge <= strip.col_end;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        Bytes16 bytes{};
        if (whole || i0 + row(r) < strip.row_end)
          bytes = load16(from + Index(r) * 8 * strip.stride + h * 32);
#pragma unroll
        for (int e = 0; e < 8; ++e) sums[r][h * 8 + e] = widen(half_of(bytes.word[e / 2], e % 2));
      }
    if (whole) return;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kCols; ++c)
        if (j0 + col(c) >= strip.col_end) sums[r][c] = 0;
  }

 private:
  /// The low (0) or high (1) half of a word.
  __device__ static __forceinline__ Half half_of(std::uint32_t word, int which) {
    const std::uint16_t bits = std::uint16_t(word >> (16 * which));
    Half h;
    std::memcpy(&h, &bits, sizeof h);
    return h;
  }
};

}  // namespace spheremix::gpu::pairwise
