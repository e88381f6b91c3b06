// Products of fp16 weights and rows on the tensor cores (mma.sync), f32 sums.
#pragma once

#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/product_side.cuh"

namespace spheremix::gpu::pairwise {

/// Half: 128 x 128 outputs, four warps of 64 x 64, 32 rows of b a stage.
/// A stage holds op(G) as it lies: 128 rows of 64 bytes (half_tile.cuh's places), or transposed 32
/// rows of 256 bytes with chunk c of row r at c ^ r % 8; then b as 32 rows of 256 bytes the same
/// way.
struct HalfProduct {
  using Side = ProductSide<HalfTile>;
  static constexpr unsigned kThreads = 128, kResident = 2, kEdge = 128, kDepth = 32, kStages = 4;
  static constexpr unsigned kOperandBytes = kEdge * kDepth * 2, kStageBytes = 2 * kOperandBytes;
  static constexpr std::size_t kShared = kStages * kStageBytes;

  /// Two neighbours, moved with one instruction.
  struct alignas(8) Two {
    float first, second;
  };

  Side side[2];
  Index first_tiles;

  __device__ void operator()() const {
    const bool first = Index(blockIdx.x) < first_tiles;
    tile(side[first ? 0 : 1], Index(blockIdx.x) - (first ? 0 : first_tiles));
  }

 private:
  __device__ static unsigned wide_place(unsigned r, unsigned chunk) {
    return r * 256 + (chunk ^ (r % 8)) * 16;
  }

  /// Rows [k0, k0 + 32) x columns [first, first + 128) of a row-major matrix, 0 outside.
  __device__ static void load_wide(unsigned char* to, const Half* m, Index stride, Index rows,
                                   Index cols, Index k0, Index first) {
    const unsigned chunk = threadIdx.x % 16;
    const Index c = first + chunk * 8;
#pragma unroll
    for (unsigned p = 0; p < kDepth * 16 / kThreads; ++p) {
      const unsigned r = threadIdx.x / 16 + p * (kThreads / 16);
      const bool inside = k0 + r < rows && c < cols;
      copy16_async(to + wide_place(r, chunk), inside ? m + (k0 + r) * stride + c : m,
                   inside ? 16 : 0);
    }
  }

  __device__ void tile(const Side& s, Index index) const {
    const Index across = ceil_div(s.out.cols, kEdge), m0 = index / across * kEdge,
                n0 = index % across * kEdge;
    const Index depth = s.b.rows, steps = ceil_div(depth, kDepth);
    // Weights are whole tiles: reading up to the next multiple of 128 is right, and they are 0
    // there.
    const core::MatrixView<const Half> g{s.weights, round_up(s.out.rows, kEdge),
                                         round_up(depth, kEdge), s.stride};
    unsigned char* const shared = shared_memory();
    float sums[4][8][4];
#pragma unroll
    for (int m = 0; m < 4; ++m)
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[m][n][e] = 0;
    const auto begin = [&](Index step) {
      if (step < steps) {
        unsigned char* stage = shared + step % kStages * kStageBytes;
        if (s.transposed)
          load_wide(stage, s.weights, s.stride, g.cols, g.rows, step * kDepth, m0);
        else
          HalfTile::load(stage, g, m0, step);
        load_wide(stage + kOperandBytes, s.b.data, s.b.stride, depth, s.b.cols, step * kDepth, n0);
      }
      copies_commit();
    };
#pragma unroll 1  // the code is long, and runs once
    for (unsigned k = 0; k + 1 < kStages; ++k) begin(k);
    for (Index step = 0; step < steps; ++step) {
      copies_wait<kStages - 2>();
      block_barrier();
      begin(step + kStages - 1);
      const unsigned char* stage = shared + step % kStages * kStageBytes;
#pragma unroll
      for (unsigned k = 0; k < kDepth / 16; ++k)
        if (s.transposed)
          multiply_step<true>(sums, stage, k);
        else
          multiply_step<false>(sums, stage, k);
    }
    // The rows lie 8 apart: the whole tile, or what there is of it.
    float* const corner =
        s.out.data + (m0 + HalfTile::row(0)) * s.out.stride + n0 + HalfTile::col(0);
    const bool whole = m0 + kEdge <= s.out.rows && n0 + kEdge <= s.out.cols &&
                       s.out.stride % 2 == 0 &&
                       reinterpret_cast<std::uintptr_t>(s.out.data) % 8 == 0;
    if (whole && s.accumulate)
      write<true, true>(sums, s, corner, 0, 0);
    else if (whole)
      write<true, false>(sums, s, corner, 0, 0);
    else
      write<false, false>(sums, s, corner, s.out.rows - m0 - HalfTile::row(0),
                          s.out.cols - n0 - HalfTile::col(0));
  }

  /// A row's 8 pairs of neighbours at a time, so that its loads are under way together: as 8-byte
  /// pieces where the tile is whole, else one by one and only `rows` x `cols` from the corner on.
  template <bool Whole, bool Accumulate>
  __device__ static __forceinline__ void write(const float (&sums)[4][8][4], const Side& s,
                                               float* corner, Index rows, Index cols) {
    constexpr int kPairs = HalfTile::kCols / 2;
#pragma unroll
    for (int r = 0; r < HalfTile::kRows; ++r) {
      const unsigned down = HalfTile::row(r) - HalfTile::row(0);
      float* const row = corner + Index(down) * s.out.stride;
      Two had[kPairs];
#pragma unroll
      for (int c = 0; c < kPairs; ++c) {
        const unsigned across = HalfTile::col(2 * c) - HalfTile::col(0);
        had[c] = {0, 0};
        if constexpr (Whole) {
          if (Accumulate) had[c] = *reinterpret_cast<const Two*>(row + across);
        } else if (s.accumulate && Index(down) < rows) {
          if (Index(across) < cols) had[c].first = row[across];
          if (Index(across) + 1 < cols) had[c].second = row[across + 1];
        }
      }
#pragma unroll
      for (int c = 0; c < kPairs; ++c) {
        const unsigned across = HalfTile::col(2 * c) - HalfTile::col(0);
        had[c].first = multiply_add(s.alpha, sums[r / 2][c][r % 2 * 2], had[c].first);
        had[c].second = multiply_add(s.alpha, sums[r / 2][c][r % 2 * 2 + 1], had[c].second);
        if constexpr (Whole) {
          *reinterpret_cast<Two*>(row + across) = had[c];
        } else if (Index(down) < rows) {
          if (Index(across) < cols) row[across] = had[c].first;
          if (Index(across) + 1 < cols) row[across + 1] = had[c].second;
        }
      }
    }
  }

  template <bool Transposed>
  __device__ static __forceinline__ void multiply_step(float (&sums)[4][8][4],
                                                       const unsigned char* stage, unsigned k) {
    const unsigned l = HalfTile::lane(), matrix = l / 8, r = l % 8;
    const unsigned m0 = HalfTile::warp_row() * 64, n0 = HalfTile::warp_col() * 64;
    std::uint32_t b[8][2];
#pragma unroll
    for (unsigned n = 0; n < 4;
         ++n) {  // transposes of (k 0-7, n 0-7), (k 8-15, n 0-7), (k 0-7, n 8-15), (k 8-15, n 8-15)
      std::uint32_t four[4];
      load_matrices<true>(
          four, stage + kOperandBytes +
                    wide_place(k * 16 + matrix % 2 * 8 + r, (n0 + n * 16) / 8 + matrix / 2));
      b[2 * n][0] = four[0], b[2 * n][1] = four[1], b[2 * n + 1][0] = four[2],
            b[2 * n + 1][1] = four[3];
    }
#pragma unroll
    for (unsigned m = 0; m < 4; ++m) {
      std::uint32_t a[4];
      if constexpr (Transposed)  // transposes of (k 0-7, m 0-7), (k 0-7, m 8-15), (k 8-15, m 0-7),
                                 // (k 8-15, m 8-15)
        load_matrices<true>(
            a, stage + wide_place(k * 16 + matrix / 2 * 8 + r, (m0 + m * 16) / 8 + matrix % 2));
      else
        load_matrices(
            a, stage + HalfTile::place(m0 + m * 16 + matrix % 2 * 8 + r, k * 2 + matrix / 2));
#pragma unroll
      for (unsigned n = 0; n < 8; ++n) mma_m16n8k16<Half>(sums[m][n], a, b[n]);
    }
  }
};

}  // namespace spheremix::gpu::pairwise
