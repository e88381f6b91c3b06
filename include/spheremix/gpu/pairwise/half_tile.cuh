// A tile of cosines S = X Y^T on the tensor cores: 128 x 128 pairs, rows in fp16, sums in f32, by
// one block of four warps of 64 x 64 pairs each (mma.sync, sm_80 and up).
//
//   sum(r, c)  the thread's value for tile row row(r) and tile column col(c)
//
// A thread holds kRows x kCols values; a row of the tile lies in the four lanes that differ in bits
// 0 and 1, a column in the eight lanes that differ in bits 2, 3 and 4; columns 2 k and 2 k + 1 of a
// thread are neighbours where weights have 16 bits. Every tile type keeps to this.
//
// Operands move by cp.async in kStages stages of 32 columns. A stage holds 128 rows of 64 bytes;
// the 16-byte chunk c of row r lies at chunk c ^ (r / 2 % 4), so that eight rows read by ldmatrix
// touch 32 different banks.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

struct HalfTile {
  using Input = Half;                           ///< of X and Y
  using Sum = float;                            ///< of cosines and statistics
  using Weight = Half;                          ///< of dL/dS, scaled by kWeightScale
  static constexpr float kWeightScale = 16384;  // weights are at most 2: below fp16's 65504

  static constexpr unsigned kEdge = 128, kThreads = 128, kResident = 2;
  static constexpr unsigned kWarpRows = 2, kWarpCols = 2;
  static constexpr int kRows = 8, kCols = 16;
  static constexpr unsigned kDepth = 32, kStages = 4;
  static constexpr unsigned kOperandBytes = kEdge * kDepth * 2, kStageBytes = 2 * kOperandBytes;
  static constexpr std::size_t kShared = kStages * kStageBytes;
  static constexpr Index kAlign =
      8;  ///< columns and strides are multiples of this, rows on 16 bytes

  float sums[4][8][4];

  __device__ static unsigned lane() { return threadIdx.x % kWarp; }
  __device__ static unsigned warp_row() { return threadIdx.x / kWarp / kWarpCols; }
  __device__ static unsigned warp_col() { return threadIdx.x / kWarp % kWarpCols; }
  __device__ static unsigned row(int r) {
    return warp_row() * 64 + unsigned(r) / 2 * 16 + unsigned(r) % 2 * 8 + lane() / 4;
  }
  __device__ static unsigned col(int c) {
    return warp_col() * 64 + unsigned(c) / 2 * 8 + lane() % 4 * 2 + unsigned(c) % 2;
  }
  __device__ __forceinline__ float& sum(int r, int c) {
    return sums[r / 2][c / 2][r % 2 * 2 + c % 2];
  }

  __device__ static unsigned place(unsigned r, unsigned chunk) {
    return r * 64 + (chunk ^ (r / 2 % 4)) * 16;
  }

  /// Starts the copies of columns [32 step, 32 step + 32) of rows [first, first + 128); what lies
  /// outside is 0.
  template <class View>
  __device__ static void load(unsigned char* to, const View& m, Index first, Index step) {
    const unsigned chunk = threadIdx.x % 4;
    const Index k = step * kDepth + chunk * 8;
#pragma unroll
    for (unsigned p = 0; p < kEdge * 4 / kThreads; ++p) {
      const unsigned r = threadIdx.x / 4 + p * (kThreads / 4);
      const bool inside = holds(m, first + r) && k < m.cols;
      copy16_async(to + place(r, chunk), inside ? m.row(first + r) + k : m.data, inside ? 16 : 0);
    }
  }

  /// sums = rows [i0, i0 + 128) of x times rows [j0, j0 + 128) of y. `shared` is free again on
  /// return.
  template <class View>
  __device__ void multiply(const View& x, const View& y, Index i0, Index j0,
                           unsigned char* shared) {
#pragma unroll
    for (int m = 0; m < 4; ++m)
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[m][n][e] = 0;
    const Index steps = ceil_div(x.cols, kDepth);
    const auto begin = [&](Index step) {
      if (step < steps) {
        unsigned char* stage = shared + step % kStages * kStageBytes;
        load(stage, x, i0, step);
        load(stage + kOperandBytes, y, j0, step);
      }
      copies_commit();
    };
#pragma unroll 1  // the code is long, and runs once
    for (unsigned s = 0; s + 1 < kStages; ++s) begin(s);
    for (Index step = 0; step < steps; ++step) {
      copies_wait<kStages - 2>();
      block_barrier();  // everyone's copies of this step are here, everyone is done with the stage
                        // loaded next
      begin(step + kStages - 1);
      const unsigned char* stage = shared + step % kStages * kStageBytes;
#pragma unroll
      for (unsigned k = 0; k < kDepth / 16; ++k) multiply_step(stage, k);
    }
    block_barrier();  // shared memory is the caller's: every group with copies was waited for above
  }

 private:
  /// One step of 16 columns: matrices of ldmatrix are (rows 0-7, 8-15) x (columns 0-7, 8-15) of the
  /// fragment.
  __device__ __forceinline__ void multiply_step(const unsigned char* stage, unsigned k) {
    const unsigned l = lane(), matrix = l / 8, r = l % 8;
    std::uint32_t b[8][2];
#pragma unroll
    for (unsigned n = 0; n < 4;
         ++n) {  // matrices: (n 0-7, k 0-7), (n 0-7, k 8-15), (n 8-15, k 0-7), (n 8-15, k 8-15)
      std::uint32_t four[4];
      load_matrices(four,
                    stage + kOperandBytes +
                        place(warp_col() * 64 + n * 16 + matrix / 2 * 8 + r, k * 2 + matrix % 2));
      b[2 * n][0] = four[0], b[2 * n][1] = four[1], b[2 * n + 1][0] = four[2],
            b[2 * n + 1][1] = four[3];
    }
#pragma unroll
    for (unsigned m = 0; m < 4;
         ++m) {  // matrices: (m 0-7, k 0-7), (m 8-15, k 0-7), (m 0-7, k 8-15), (m 8-15, k 8-15)
      std::uint32_t a[4];
      load_matrices(
          a, stage + place(warp_row() * 64 + m * 16 + matrix % 2 * 8 + r, k * 2 + matrix / 2));
#pragma unroll
      for (unsigned n = 0; n < 8; ++n) mma_m16n8k16<Half>(sums[m][n], a, b[n]);
    }
  }
};

}  // namespace spheremix::gpu::pairwise
