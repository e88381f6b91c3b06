// The tile of half_tile.cuh on Hopper's warpgroup instructions (wgmma, sm_90a only): 128 x 128
// cosines by one warpgroup, the same operands, results and scratch.
//
// wgmma reads both operands from shared memory and sums 64 x 128 pairs; two of them make the tile.
// Warp w holds rows 16 w .. 16 w + 15 of either half, all columns. Operands move by cp.async in
// kStages stages of 64 columns: 128 rows of 128 bytes each, the 16-byte chunk c of row r at
// c ^ r % 8.
//
// Step s: the copies of s are here, its wgmmas start; when those of s - 1 are done everywhere their
// stage is filled for s + 2. Two stages of copies and one group of wgmmas are under way.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/core/wgmma.cuh"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

struct WgmmaTile {
  using Input = Half;                           ///< of X and Y
  using Sum = float;                            ///< of cosines and statistics
  using Weight = Half;                          ///< of dL/dS, scaled by kWeightScale
  static constexpr float kWeightScale = 16384;  // as HalfTile

  static constexpr unsigned kEdge = 128, kThreads = 128, kResident = 2;
  static constexpr unsigned kWarpRows = 4, kWarpCols = 1;
  static constexpr int kRows = 4, kCols = 32;
  static constexpr unsigned kDepth = 64, kStages = 3;
  static constexpr unsigned kOperandBytes = kEdge * kDepth * 2, kStageBytes = 2 * kOperandBytes;
  static constexpr std::size_t kShared = kStages * kStageBytes;
  static constexpr Index kAlign =
      8;  ///< columns and strides are multiples of this, rows on 16 bytes

  float sums[2][64];

  __device__ static unsigned lane() { return threadIdx.x % kWarp; }
  __device__ static unsigned warp_row() { return threadIdx.x / kWarp; }
  __device__ static unsigned warp_col() { return 0; }
  __device__ static unsigned row(int r) {
    return unsigned(r) / 2 * 64 + warp_row() * 16 + unsigned(r) % 2 * 8 + lane() / 4;
  }
  __device__ static unsigned col(int c) {
    return unsigned(c) / 2 * 8 + lane() % 4 * 2 + unsigned(c) % 2;
  }
  __device__ __forceinline__ float& sum(int r, int c) {
    return sums[r / 2][c / 2 * 4 + r % 2 * 2 + c % 2];
  }

  __device__ static unsigned place(unsigned r, unsigned chunk) {
    return r * 128 + (chunk ^ (r % 8)) * 16;
  }

  /// Starts the copies of columns [64 step, 64 step + 64) of rows [first, first + 128); what lies
  /// outside is 0.
  template <class View>
  __device__ static void load(unsigned char* to, const View& m, Index first, Index step) {
    const unsigned chunk = threadIdx.x % 8;
    const Index k = step * kDepth + chunk * 8;
#pragma unroll
    for (unsigned p = 0; p < kEdge * 8 / kThreads; ++p) {
      const unsigned r = threadIdx.x / 8 + p * (kThreads / 8);
      const bool inside = holds(m, first + r) && k < m.cols;
      copy16_async(to + place(r, chunk), inside ? m.row(first + r) + k : m.data, inside ? 16 : 0);
    }
  }

  /// sums = rows [i0, i0 + 128) of x times rows [j0, j0 + 128) of y. `shared` lies on a 1024-byte
  /// boundary and is free again on return.
  template <class X, class Y>
  __device__ void multiply(const X& x, const Y& y, Index i0, Index j0, unsigned char* shared) {
#pragma unroll
    for (int b = 0; b < 2; ++b) {
#pragma unroll
      for (int k = 0; k < 64; ++k) sums[b][k] = 0;
      wgmma_settle(sums[b]);
    }
    const Index steps = ceil_div(x.cols, kDepth);
    const auto begin = [&](Index step) {
      if (step < steps) {
        unsigned char* stage = shared + step % kStages * kStageBytes;
        load(stage, x, i0, step);
        load(stage + kOperandBytes, y, j0, step);
      }
      copies_commit();
    };
    for (unsigned s = 0; s + 1 < kStages; ++s) begin(s);
    for (Index step = 0; step < steps; ++step) {
      copies_wait<kStages - 2>();
      async_proxy_fence();
      block_barrier();  // everyone's copies of this step are here, for the tensor cores too
      multiply_step(shared + step % kStages * kStageBytes);
      wgmma_wait<1>();
      block_barrier();  // the last step's wgmmas are done for everyone: their stage is free
      begin(step + kStages - 1);
    }
    wgmma_wait<0>();
#pragma unroll
    for (int b = 0; b < 2; ++b) wgmma_settle(sums[b]);
    block_barrier();  // shared memory is the caller's: every group with copies was waited for above
  }

 private:
  /// Starts the wgmmas of one stage, as one group.
  __device__ __forceinline__ void multiply_step(const unsigned char* stage) {
    wgmma_fence();
#pragma unroll
    for (unsigned k = 0; k < kDepth / 16; ++k) {
      const std::uint64_t y = wgmma_operand(stage + kOperandBytes + k * 32);
#pragma unroll
      for (unsigned b = 0; b < 2; ++b)
        wgmma_m64n128k16(sums[b], wgmma_operand(stage + b * kOperandBytes / 2 + k * 32), y);
    }
    wgmma_commit();
  }
};

}  // namespace spheremix::gpu::pairwise
