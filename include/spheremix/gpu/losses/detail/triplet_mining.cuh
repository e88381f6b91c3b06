// Which triplets of a labelled batch count, on the device: batch hard.
//
// A block looks at 64 anchors and one stretch of the rows, 64 x 64 pairs at a time: squares of
// distances from differences, the farthest row of an anchor's label and the nearest of another one.
// What the stretches found is joined in their order; of equal distances the lower row is kept.
#pragma once

#include "spheremix/gpu/losses/detail/supervised.cuh"
#include "spheremix/gpu/losses/detail/triplet_rows.cuh"
#include "spheremix/gpu/metrics/detail/outer_tile.cuh"

namespace spheremix::gpu::losses::detail {

/// A row and the square of its distance; none: -1.
template <class A>
struct Mined {
  A square;
  int row;
};

/// The farther one (Far) or the nearer one; the lower of equal ones.
template <bool Far, class A>
__device__ __forceinline__ Mined<A> preferred(Mined<A> a, Mined<A> b) {
  if (b.row < 0) return a;
  if (a.row < 0) return b;
  if (a.square == b.square) return a.row < b.row ? a : b;
  return (Far ? b.square > a.square : b.square < a.square) ? b : a;
}

/// sound[i] = 0, or NaN where x_i is not finite or its square overflows; one warp a row.
template <class T>
struct SoundRowsKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const T> x;
  const LabelWindow* windows;  ///< nullptr: no labels
  double* sound;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= x.rows) return;
    A square = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      const A v = widen(x(i, k));
      square += v * v;
    }
    square = 4 * warp_sum(square);
    const bool bad = square - square != 0 || (windows && windows[i].rank < 0);
    if (threadIdx.x % kWarp == 0) sound[i] = bad ? core::nan<double> : 0;
  }
};

template <class T>
void find_sound_rows(Work& work, const core::MatrixView<const T>& x, double* sound,
                     const LabelWindow* windows = nullptr) {
  using Sound = SoundRowsKernel<T>;
  pairwise::start(work, Sound{x, windows, sound}, pairwise::ceil_div(x.rows, Sound::kRowsEach));
}

/// Block (b, s) as number b * stretches + s: anchors of tile b, every stretches-th tile of rows from
/// s on.
template <class T>
struct MiningKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 256, kResident = 2, kEdge = 64, kDepth = 16,
                            kPitch = kEdge + 1;
  static constexpr std::size_t kShared = 2 * kDepth * kPitch * sizeof(A);
  core::MatrixView<const T> x;
  const LabelWindow* windows;
  Index stretches;
  Mined<A>*farthest, *nearest;  ///< stretches x N

  __device__ void operator()() const {
    A* const anchors = reinterpret_cast<A*>(shared_memory());
    A* const others = anchors + kDepth * kPitch;
    const unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const Index stretch = Index(blockIdx.x) % stretches, i0 = Index(blockIdx.x) / stretches * kEdge;
    Mined<A> far[4], near[4];
    int rank[4];
    for (unsigned r = 0; r < 4; ++r) {
      far[r] = near[r] = {0, -1};
      const Index i = i0 + 4 * ty + r;
      rank[r] = i < x.rows ? windows[i].rank : -1;
    }
    for (Index j0 = stretch * kEdge; j0 < x.rows; j0 += stretches * kEdge) {
      A square[4][4] = {};
      for (Index k0 = 0; k0 < x.cols; k0 += kDepth) {
        SPHEREMIX_UNROLL
        for (unsigned part = 0; part < kEdge * kDepth / kThreads; ++part) {
          const unsigned at = part * kThreads + threadIdx.x, k = at % kDepth, row = at / kDepth;
          const auto value = [&](Index first) {
            return k0 + k < x.cols && first + row < x.rows ? A(widen(x(first + row, k0 + k)))
                                                           : A(0);
          };
          anchors[k * kPitch + row] = value(i0);
          others[k * kPitch + row] = value(j0);
        }
        block_barrier();  // the tile is there
        metrics::detail::add_outer_terms<int(kDepth), int(kPitch)>(
            anchors, others, square, [](A a, A b, A sum) {
              const A away = a - b;
              return std::fma(away, away, sum);
            });
        block_barrier();  // the tile is used
      }
      for (unsigned r = 0; r < 4; ++r)
        for (unsigned n = 0; n < 4; ++n) {
          const Index i = i0 + 4 * ty + r, j = j0 + tx + 16 * n;
          if (j >= x.rows || j == i) continue;
          const Mined<A> pair{square[r][n], int(j)};
          if (windows[j].rank == rank[r])
            far[r] = preferred<true>(far[r], pair);
          else
            near[r] = preferred<false>(near[r], pair);
        }
    }
    for (unsigned r = 0; r < 4; ++r) {
      for (unsigned bits = 8; bits > 0; bits /= 2) {  // over the 16 threads of the same anchors
        const Mined<A> a{shuffle_xor(far[r].square, bits), shuffle_xor(far[r].row, bits)},
            b{shuffle_xor(near[r].square, bits), shuffle_xor(near[r].row, bits)};
        far[r] = preferred<true>(far[r], a);
        near[r] = preferred<false>(near[r], b);
      }
      const Index i = i0 + 4 * ty + r;
      if (tx > 0 || i >= x.rows) continue;
      farthest[stretch * x.rows + i] = far[r];
      nearest[stretch * x.rows + i] = near[r];
    }
  }
};

/// Of all stretches: positive[i] and negative[i], both -1 where one is missing.
template <class A>
struct MinedKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = 0;
  const Mined<A>*farthest, *nearest;
  Index stretches, rows;
  Index *positive, *negative;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= rows) return;
    Mined<A> far{0, -1}, near{0, -1};
    for (Index s = 0; s < stretches; ++s) {
      far = preferred<true>(far, farthest[s * rows + i]);
      near = preferred<false>(near, nearest[s * rows + i]);
    }
    const bool both = far.row >= 0 && near.row >= 0;
    positive[i] = both ? far.row : -1;
    negative[i] = both ? near.row : -1;
  }
};

/// A triplet an anchor, and which rows are sound, their labels counted.
template <class T>
TripletList mine_batch_hard(Work& work, const core::MatrixView<const T>& x, const Labels& from,
                            double* sound) {
  using A = Arithmetic<T>;
  using Mining = MiningKernel<T>;
  const Index n = x.rows, tiles = pairwise::ceil_div(n, Mining::kEdge);
  const Index wanted = pairwise::ceil_div(1024, tiles), stretches = wanted < tiles ? wanted : tiles;
  Index* const positive = work.take<Index>(n);
  Index* const negative = work.take<Index>(n);
  {
    const Work::Part part(work);
    auto* const labels = work.take<ExactNumber>(n);
    auto* const windows = work.take<LabelWindow>(n);
    auto* const farthest = work.take<Mined<A>>(stretches * n);
    auto* const nearest = work.take<Mined<A>>(stretches * n);
    pairwise::start(work, LabelsKernel{from, n, labels},
                    pairwise::ceil_div(n, LabelsKernel::kThreads));
    pairwise::start(work, WindowKernel{labels, n, 0, LabelDistance{from.resolution()}, windows},
                    pairwise::ceil_div(n, WindowKernel::kRowsEach));
    find_sound_rows(work, x, sound, windows);
    pairwise::start(work, Mining{x, windows, stretches, farthest, nearest}, tiles * stretches);
    using Join = MinedKernel<A>;
    pairwise::start(work, Join{farthest, nearest, stretches, n, positive, negative},
                    pairwise::ceil_div(n, Join::kThreads));
  }
  return {nullptr, positive, negative, n, true};
}

}  // namespace spheremix::gpu::losses::detail
