// The four softmax lines of a pair i in CLIP + m2-Mix, as functions of the cosines with pair j.
//
//   line       anchor  key                  logit (base 2)
//   kClipOfX   x_i     y_j                  clip x_i.y_j
//   kClipOfY   y_i     x_j                  clip y_i.x_j
//   kMixOfX    x_i     m_j = a x_j + b y_j  mix (a x_i.x_j + b x_i.y_j)
//   kMixOfY    y_i     m_j                  mix (a y_i.x_j + b y_i.y_j)
//
// a, b are the slerp weights of pair j. Pair j's lines with i as the key are the same functions of
// the mirrored quad and pair i's weights: one tile above the diagonal serves both.
#pragma once

#include "spheremix/formula/mixed_key.hpp"
#include "spheremix/gpu/pairwise/paired_rows.cuh"

namespace spheremix::gpu::losses::detail::clip_m2 {

using namespace pairwise;

enum MixLine { kClipOfX, kClipOfY, kMixOfX, kMixOfY };
inline constexpr int kMixLines = 4;

/// Logit of cosine 1 in base 2: 1 / (tau ln 2).
template <class T>
struct MixScales {
  T clip, mix;
};

template <class T>
struct MixLogits {
  T of[kMixLines];

  /// `weights`: (a, b) of the pair that is the key.
  __device__ __forceinline__ MixLogits(const MixScales<T>& scale, const Quad<T>& q,
                                       RowPair<T> weights) {
    of[kClipOfX] = scale.clip * q.xy;
    of[kClipOfY] = scale.clip * q.yx;
    formula::mixed_logit(scale.mix, weights.a, weights.b, q.xx, q.xy, of[kMixOfX]);
    formula::mixed_logit(scale.mix, weights.a, weights.b, q.yx, q.yy, of[kMixOfY]);
  }
};

/// A range of pairs against pairs. On the diagonal only tiles on and above it are worked on.
struct MixTile {
  TilePlace place;
  Index i0, j0;      ///< first pairs
  Index rows, cols;  ///< pairs that exist; 0 or less outside
  bool skipped;      ///< its mirror image does its work
  bool mirrored;     ///< stands for its mirror image as well
  bool whole;        ///< all its pairs take part

  __device__ MixTile(const Range& range, Index edge, Index tile_rows, Index tile_cols)
      : place(tile_place(blockIdx.x, unsigned(tile_rows), unsigned(tile_cols))),
        i0(range.i0 + Index(place.row) * edge),
        j0(range.j0 + Index(place.col) * edge),
        rows(smaller<Index>(edge, range.i0 + range.rows - i0)),
        cols(smaller<Index>(edge, range.j0 + range.cols - j0)),
        skipped(range.i0 == range.j0 && place.row > place.col),
        mirrored(range.i0 != range.j0 || place.row != place.col),
        whole(rows == edge && cols == edge && (i0 - j0 >= edge || j0 - i0 >= edge)) {}

  /// A cosine so small that no logit of it counts and no product with it overflows: 2^logit is 0,
  /// and so is what it weighs. Logits below kNone are of such pairs.
  static constexpr double kFar = -1e30, kNone = -1e20;

  /// Pairs with themselves, and those outside: their cosines become kFar. Slerp weights add up to 1
  /// at the least, so that all logits are far below kNone; keys that do not exist have weights
  /// (1, 0).
  template <class Tile>
  __device__ __forceinline__ void leave_out(Tile& tile) const {
    using Places = QuadPlaces<Tile>;
    using T = typename Tile::Sum;
    const int same = int(i0 - j0), height = int(rows), width = int(cols);
#pragma unroll
    for (int r = 0; r < Places::kRows; ++r) {
      const int row = int(Places::row(r));
#pragma unroll
      for (int c = 0; c < Places::kCols; ++c) {
        const int col = int(Places::col(c));
        if (row >= height || col >= width || col - row == same)
          Places::set(tile, r, c, {T(kFar), T(kFar), T(kFar), T(kFar)});
      }
    }
  }
};

}  // namespace spheremix::gpu::losses::detail::clip_m2
