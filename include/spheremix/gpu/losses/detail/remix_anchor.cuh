// SupReMix's anchors on the device: a strip of S = X X^T, and what one anchor makes of its row of S.
#pragma once

#include "spheremix/formula/mixed_key.hpp"
#include "spheremix/formula/sup_remix.hpp"
#include "spheremix/gpu/losses/detail/remix_labels.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::RemixWeighting;
using spheremix::losses::SupRemixOptions;

namespace detail {

/// A strip of S: out(r, k) = x_(first + r) . x_k.
template <class Tile>
struct StripKernel {
  using T = typename Tile::Sum;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr unsigned kEdge = Tile::kEdge;
  static constexpr std::size_t kShared = Tile::kShared;
  core::MatrixView<const typename Tile::Input> x;
  Index first, rows;
  T* out;
  Index stride;
  __device__ void operator()() const {
    const pairwise::TilePlace place =
        pairwise::tile_place(blockIdx.x, unsigned(pairwise::ceil_div(rows, kEdge)),
                             unsigned(pairwise::ceil_div(x.rows, kEdge)));
    const Index r0 = Index(place.row) * kEdge, k0 = Index(place.col) * kEdge;
    Tile tile;
    tile.multiply(x, x, first + r0, k0, shared_memory());
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c) {
        const Index i = r0 + Tile::row(r), k = k0 + Tile::col(c);
        if (i < rows && k < x.rows) out[i * stride + k] = tile.sum(r, c);
      }
  }
};

/// What all anchors are told.
template <class T>
struct RemixTask {
  Index n;
  const ExactNumber* labels;
  const ExactNumber* sorted;
  const int* place;
  const RemixWindow* windows;
  double tolerance;
  LabelDistance distance;
  RemixWeighting weighting;
  T scale;  ///< logit (base 2) of cosine 1

  __device__ T weigh(double d) const { return T(formula::remix_weight(weighting, d)); }
};

/// One anchor a block: its loss, sum of dL/ds s, and its row of G, without the 1 / n_a of the mean.
/// Blocks past the strip's rows clear the rows up to whole tiles.
template <class Tile>
struct RemixAnchorKernel {
  using T = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  static constexpr unsigned kThreads = 256, kResident = 2, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = kWarps * (sizeof(T) + 4 * sizeof(double));

  RemixTask<T> task;
  Index first, rows, width;  ///< anchors [first, first + rows); columns of whole tiles
  const T* cosines;          ///< the strip, of stride `width`
  const T* shares;           ///< likewise; nullptr: no Mix-neg
  double* losses;            ///< by row of X
  double* moments;
  double* anchors;
  Weight* to_anchors;  ///< nullptr: no gradient
  Weight* to_keys;     ///< G of the keys where it is another, else nullptr

  __device__ void operator()() const {
    const Index r = Index(blockIdx.x), i = first + r, at = r * width;
    if (r >= rows) return clear(at, 0);
    const T* const s = cosines + at;
    const T* const share = shares ? shares + at : nullptr;
    const ExactNumber y = task.labels[i];
    const RemixWindow w = task.windows[i];
    const double count = w.positives();
    const T self = s[i];
    const bool sound = y - y == 0 && self - self == 0;
    if (count == 0 || !sound) {
      if (threadIdx.x == 0) {
        losses[i] = moments[i] = sound ? 0 : core::nan<double>;
        anchors[i] = 0;
      }
      return clear(at, 0);
    }
    unsigned char* const shared = shared_memory();
    T top = -core::infinity<T>;
    for (Index k = threadIdx.x; k < task.n; k += kThreads) {
      if (k == i) continue;
      top = pairwise::larger(top, task.scale * s[k]);
      if (share && !is_equal(y, k)) top = pairwise::larger(top, mixed_logit(share[k], self, s[k]));
    }
    top = pairwise::block_max<kThreads>(top, reinterpret_cast<T*>(shared + kWarps * 32));

    double sums[4] = {0, 0, 0, 0};  // w e, w e z, the positives' z, and w e lambda of Mix-neg
    for (Index k = threadIdx.x; k < task.n; k += kThreads) {
      if (k == i) continue;
      const Key key(*this, s, share, self, y, k, top);
      sums[0] += double(key.real) + double(key.mixed);
      sums[1] += double(key.real) * double(task.scale * s[k]);
      if (key.mixed != 0) {
        sums[1] += double(key.mixed) * double(mixed_logit(key.lambda, self, s[k]));
        sums[3] += double(key.mixed) * double(key.lambda);
      }
      if (key.equal) sums[2] += double(task.scale * s[k]);
    }
    const int warp = int(threadIdx.x / kWarp), lane = int(threadIdx.x % kWarp);
    for (int j = w.left + warp; j < w.first; j += int(kWarps))
      for (int k = w.last + lane; k < w.end; k += int(kWarp)) {
        const T z = mixed_logit(parent_share(y, j, k), s[task.place[j]], s[task.place[k]]),
                e = pairwise::pair_exp2(z - top);
        sums[0] += double(e);
        sums[1] += double(e) * double(z);
        sums[2] += double(z);
      }
    pairwise::block_sums<kThreads>(sums, 4, reinterpret_cast<double*>(shared));
    const double sum = sums[0], wanted = sums[2] / count;
    if (threadIdx.x == 0) {
      constexpr double kLn2 = 0.693147180559945309417;
      losses[i] = kLn2 * (double(top) + std::log2(sum) - wanted);
      moments[i] = kLn2 * (sums[1] / sum - wanted);
      anchors[i] = 1;
    }
    if (!to_anchors) return;

    const T of = T(1 / sum), each = T(1 / count);
    const auto put = [&](Index k, T mix) {  // G of the pair (i, k); mix: through Mix-pos
      const Key key(*this, s, share, self, y, k, top);
      const T c = of * key.real - (key.equal ? each : T(0));
      const T m = of * key.mixed;
      put_anchor(at + k, c + m * (1 - key.lambda) + mix);
      if (to_keys) to_keys[at + k] = narrow<Weight>(Tile::kWeightScale * c);
    };
    for (Index k = threadIdx.x; k < task.n; k += kThreads) {
      if (k == i) {
        put_anchor(at + k, T(sums[3] / sum));
        if (to_keys) to_keys[at + k] = narrow<Weight>(T(0));
      } else if (!is_parent(w, k)) {
        put(k, 0);
      }
    }
    for (int j = w.left + warp; j < w.first; j += int(kWarps)) {
      const T mix = parent<true>(s, y, j, w.last, w.end, top, of, each);
      if (lane == 0) put(task.place[j], mix);
    }
    for (int k = w.last + warp; k < w.end; k += int(kWarps)) {
      const T mix = parent<false>(s, y, k, w.left, w.first, top, of, each);
      if (lane == 0) put(task.place[k], mix);
    }
    clear(at, task.n);
  }

 private:
  /// w e of the real key k and of its Mix-neg.
  struct Key {
    bool equal;
    T real, mixed = 0, lambda = 0;
    __device__ Key(const RemixAnchorKernel& of, const T* s, const T* share, T self, ExactNumber y,
                   Index k, T top)
        : equal(of.is_equal(y, k)) {
      const double away = y - of.task.labels[k];
      real = (equal ? T(1) : of.task.weigh(away)) * pairwise::pair_exp2(of.task.scale * s[k] - top);
      if (!share || equal) return;
      lambda = share[k];
      mixed = of.task.weigh((1 - double(lambda)) * away) *
              pairwise::pair_exp2(of.mixed_logit(lambda, self, s[k]) - top);
    }
  };

  __device__ bool is_equal(ExactNumber y, Index k) const {
    return equal_labels(task.distance, y, task.labels[k], task.tolerance);
  }
  __device__ T mixed_logit(T share, T a, T b) const {
    return formula::shared_logit(task.scale, share, a, b);
  }
  /// The weight of the left parent j that brings the label of (j, k) to y.
  __device__ T parent_share(ExactNumber y, int j, int k) const {
    return T((task.sorted[k] - y) / (task.sorted[k] - task.sorted[j]));
  }
  /// Does row k lie among the parents of Mix-pos? By its label, as the windows were found.
  __device__ bool is_parent(const RemixWindow& w, Index k) const {
    const ExactNumber label = task.labels[k];
    return (w.left < w.first && !(label < task.sorted[w.left]) &&
            !(task.sorted[w.first - 1] < label)) ||
           (w.last < w.end && !(label < task.sorted[w.last]) && !(task.sorted[w.end - 1] < label));
  }
  /// One warp: what reaches parent `own` through its mixtures with the others, [from, to).
  template <bool Left>
  __device__ T parent(const T* s, ExactNumber y, int own, int from, int to, T top, T of,
                      T each) const {
    T sum = 0;
    for (int other = from + int(threadIdx.x % kWarp); other < to; other += int(kWarp)) {
      const int j = Left ? own : other, k = Left ? other : own;
      const T share = parent_share(y, j, k);
      const T e = pairwise::pair_exp2(mixed_logit(share, s[task.place[j]], s[task.place[k]]) - top);
      sum += (of * e - each) * (Left ? share : 1 - share);
    }
    return warp_sum(sum);
  }

  __device__ void put_anchor(Index at, T g) const {
    to_anchors[at] = narrow<Weight>(Tile::kWeightScale * g);
  }
  /// 0 from column `from` up to whole tiles.
  __device__ void clear(Index at, Index from) const {
    if (!to_anchors) return;
    for (Index k = from + threadIdx.x; k < width; k += kThreads) {
      to_anchors[at + k] = narrow<Weight>(T(0));
      if (to_keys) to_keys[at + k] = narrow<Weight>(T(0));
    }
  }
};

}  // namespace detail
}  // namespace spheremix::gpu::losses
