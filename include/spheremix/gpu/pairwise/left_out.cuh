// Pairs of a tile that take no part in a loss: excluded ones, and those of rows or columns that do
// not exist. Found once a row, by one thread each, as a bit a pair; then every thread sets those of
// its cosines to -infinity.
#pragma once

#include "spheremix/gpu/pairwise/epilogue.cuh"

namespace spheremix::gpu::pairwise {

/// Has the tile at (i0, j0) pairs that take no part? The same answer in every thread.
template <class Tile>
__device__ __forceinline__ bool leaves_out(const Excluded& excluded, Index i0, Index j0,
                                           Index height, Index width) {
  constexpr Index kEdge = Tile::kEdge;
  if (height < kEdge || width < kEdge || excluded.touches(i0, j0, kEdge)) return true;
  if (!excluded.by_partner || !excluded.partners.map) return false;
  const Index p = Index(threadIdx.x) < kEdge ? excluded.partners.to(i0 + threadIdx.x) - j0 : -1;
  return __syncthreads_or(p >= 0 && p < kEdge);
}

/// Which pairs of a tile take part, a bit each, and where the positives lie; in shared memory.
template <class Tile>
struct LeftOut {
  static constexpr unsigned kWords = Tile::kEdge / 32, kOwn = Tile::kEdge / Tile::kWarpCols / 32;
  static constexpr std::size_t kBytes = SharedPieces::bytes<std::uint32_t>(Tile::kEdge * kWords) +
                                        SharedPieces::bytes<int>(Tile::kEdge);
  std::uint32_t* keeps;  ///< [row][word]
  int* positive;         ///< the column of the row's positive, negative for none

  __device__ explicit LeftOut(SharedPieces& shared)
      : keeps(shared.take<std::uint32_t>(Tile::kEdge * kWords)),
        positive(shared.take<int>(Tile::kEdge)) {}

  /// One thread a row. Positives are the pairs (i, i + difference).
  __device__ void mark(const Excluded& excluded, bool positives, Index difference, Index i0,
                       Index j0, Index height, Index width) const {
    const unsigned k = threadIdx.x;
    if (k >= Tile::kEdge) return;
    const bool there = Index(k) < height;
    std::uint32_t* const row = keeps + k * kWords;
#pragma unroll
    for (unsigned w = 0; w < kWords; ++w) {
      const Index bits = there ? width - 32 * Index(w) : 0;
      row[w] = bits >= 32 ? 0xFFFFFFFFu : bits > 0 ? (1u << bits) - 1 : 0u;
    }
    if (there)
      excluded.in_row(i0 + k, j0, width, [&](unsigned c) { row[c / 32] &= ~(1u << c % 32); });
    const Index c = i0 + k + difference - j0;
    positive[k] = positives && there && c >= 0 && c < width ? int(c) : -1;
  }

  /// Cosines of pairs without a part become -infinity, after save(rows from the thread's first,
  /// cosine) of the positives. After a barrier.
  template <class Save>
  __device__ __forceinline__ void apply(Tile& tile, Save save) const {
    const unsigned col0 = Tile::col(0);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const unsigned row = Tile::row(r);
      std::uint32_t own[kOwn];  // bit 0 of own[0]: column col0
#pragma unroll
      for (unsigned w = 0; w < kOwn; ++w) own[w] = keeps[row * kWords + col0 / 32 + w] >> col0 % 32;
      const int special = positive[row] - int(col0);
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        const unsigned from =
            Tile::col(c) - col0;  // known to the compiler; no tile's lanes cross a word
        auto& s = tile.sum(r, c);
        if (int(from) == special) save(row - Tile::row(0), s);
        s = own[from / 32] >> from % 32 & 1u ? s : -core::infinity<typename Tile::Sum>;
      }
    }
  }
};

}  // namespace spheremix::gpu::pairwise
