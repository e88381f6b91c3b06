// The way of a tile of weights from registers to memory: rounded two at a time into shared memory,
// then out in whole 16-byte chunks.
#pragma once

#include "spheremix/gpu/pairwise/epilogue.cuh"

namespace spheremix::gpu::pairwise {

/// How many columns next to each other a thread holds: those of 16-bit weights come in twos.
template <class Tile>
inline constexpr int kColumnsEach = sizeof(typename Tile::Weight) == 2 ? 2 : 1;

/// A tile of weights in shared memory, on its way to to[row][column], whole 16-byte chunks.
template <class Tile>
struct WeightStage {
  using Weight = typename Tile::Weight;
  using T = typename Tile::Sum;
  static constexpr unsigned kEdge = Tile::kEdge, kChunk = 16 / sizeof(Weight),
                            kPitch = kEdge + kChunk;
  static constexpr std::size_t kBytes = kEdge * kPitch * sizeof(Weight);
  Weight* stage;
  Weight* own;

  __device__ explicit WeightStage(SharedPieces& shared)
      : stage(shared.take<Weight>(kEdge * kPitch)),
        own(stage + Tile::row(0) * kPitch + Tile::col(0)) {}

  /// The weights of row r, columns c, c + 1 ... The values become what is stored.
  __device__ __forceinline__ void put(int r, int c, T (&values)[kColumnsEach<Tile>]) const {
    Weight* const to = own + (Tile::row(r) - Tile::row(0)) * kPitch + (Tile::col(c) - Tile::col(0));
    if constexpr (kColumnsEach<Tile> == 2)
      store_rounded(to, values[0], values[1]);
    else
      to[0] = values[0];
  }

  /// One thread a row: 0 where a pair takes no part. Between barriers.
  __device__ void clear(const Excluded& excluded, Index i0, Index j0, Index height,
                        Index width) const {
    const unsigned k = threadIdx.x;
    if (k >= kEdge) return;
    Weight* const row = stage + k * kPitch;
    for (unsigned c = Index(k) < height ? unsigned(width) : 0; c < kEdge; ++c)
      row[c] = narrow<Weight>(T(0));
    if (Index(k) < height)
      excluded.in_row(i0 + k, j0, width, [&](unsigned c) { row[c] = narrow<Weight>(T(0)); });
  }

  /// After a barrier.
  __device__ __forceinline__ void write(Weight* to, Index stride) const {
    constexpr unsigned kChunks = kEdge / kChunk, kStep = Tile::kThreads / kChunks;
    static_assert(Tile::kThreads % kChunks == 0 && kEdge % kStep == 0);
    const unsigned r = threadIdx.x / kChunks, c = threadIdx.x % kChunks * kChunk;
    const Weight* from = stage + r * kPitch + c;
    to += Index(r) * stride + c;
#pragma unroll
    for (unsigned k = 0; k < kEdge; k += kStep, to += kStep * stride, from += kStep * kPitch)
      store16(to, load16(from));
  }
};

}  // namespace spheremix::gpu::pairwise
