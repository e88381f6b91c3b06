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

#include "spheremix/gpu/pairwise/paired_rows.cuh"

namespace spheremix::gpu::pairwise {

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
                                       RowPair<T> weights)
      : of{scale.clip * q.xy, scale.clip * q.yx, scale.mix * (weights.a * q.xx + weights.b * q.xy),
           scale.mix * (weights.a * q.yx + weights.b * q.yy)} {}
};

/// A range of pairs against pairs. On the diagonal only tiles on and above it are worked on.
struct MixTile {
  TilePlace place;
  Index i0, j0;      ///< first pairs
  Index rows, cols;  ///< pairs that exist; 0 or less outside
  bool skipped;      ///< its mirror image does its work
  bool mirrored;     ///< stands for its mirror image as well

  __device__ MixTile(const Range& range, Index edge, Index tile_rows, Index tile_cols)
      : place(tile_place(blockIdx.x, unsigned(tile_rows), unsigned(tile_cols))),
        i0(range.i0 + Index(place.row) * edge),
        j0(range.j0 + Index(place.col) * edge),
        rows(smaller<Index>(edge, range.i0 + range.rows - i0)),
        cols(smaller<Index>(edge, range.j0 + range.cols - j0)),
        skipped(range.i0 == range.j0 && place.row > place.col),
        mirrored(range.i0 != range.j0 || place.row != place.col) {}
};

}  // namespace spheremix::gpu::pairwise
