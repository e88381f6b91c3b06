// Kernels of the pairwise engine are plain structs: their fields are the arguments, operator() is
// what one thread does, and three constants say how they are started:
//
//   kThreads    threads a block          kShared   bytes of dynamic shared memory
//   kResident   blocks an SM should hold (bounds the registers)
//
// One source runs on the device and, with the emulator in the toolkit's place, on the host.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/formula/set_apart.hpp"
#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/work.cuh"

namespace spheremix::gpu::pairwise {

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kResident)
    run(const __grid_constant__ Kernel kernel) {
  kernel();
}

/// Enqueues `blocks` blocks of `kernel`; nothing for none.
template <class Kernel>
Status start(const Kernel& kernel, Index blocks, cudaStream_t stream) {
  if (blocks <= 0) return {};
  return launch(run<Kernel>, dim3(unsigned(blocks)), dim3(Kernel::kThreads), Kernel::kShared,
                stream, kernel);
}
template <class Kernel>
void start(Work& work, const Kernel& kernel, Index blocks) {
  if (blocks > 0)
    work.launch(run<Kernel>, dim3(unsigned(blocks)), dim3(Kernel::kThreads), Kernel::kShared,
                kernel);
}

__host__ __device__ constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
__host__ __device__ constexpr Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }

/// Rows [i0, i0 + rows) against columns [j0, j0 + cols) of the N x N table: one launch.
struct Range {
  Index i0, rows, j0, cols;
};

/// Whether row i exists: what tiles ask of the views that they read.
template <class T>
__device__ __forceinline__ bool holds(const core::MatrixView<T>& m, Index i) {
  return i < m.rows;
}

/// Whether a tile reads cosines that are there already (stored_tile.cuh).
template <class Tile>
inline constexpr bool kReadsCosines = requires {
  typename Tile::Operand;
};
/// What a tile multiplies: views of the rows, or where those cosines are.
template <class Tile>
struct OperandOf {
  using Type = core::MatrixView<const typename Tile::Input>;
};
template <class Tile>
requires kReadsCosines<Tile>
struct OperandOf<Tile> {
  using Type = typename Tile::Operand;
};

/// A tile's place in its range: row and column tile. Eight tile rows are walked column by column,
/// so that what neighbours read stays in the L2 cache.
struct TilePlace {
  unsigned row, col;
};
__device__ __forceinline__ TilePlace tile_place(unsigned index, unsigned tile_rows,
                                                unsigned tile_cols) {
  constexpr unsigned kGroup = 8;
  const unsigned group = index / (kGroup * tile_cols), first = group * kGroup;
  const unsigned height = tile_rows - first < kGroup ? tile_rows - first : kGroup;
  const unsigned within = index - group * kGroup * tile_cols;
  return {first + within % height, within / height};
}

/// A permutation of the rows: by default the flip i <-> n - 1 - i, else a map and its inverse in
/// device memory.
struct Partners {
  Index n = 0;
  const Index* map = nullptr;
  const Index* inverse = nullptr;

  /// The partner of row i, and the row whose partner is j. What is out of range stands for the row
  /// itself.
  __host__ __device__ Index to(Index i) const { return map ? kept(map[i], i) : n - 1 - i; }
  __host__ __device__ Index from(Index j) const { return map ? kept(inverse[j], j) : n - 1 - j; }
  __host__ __device__ Index kept(Index p, Index i) const { return p >= 0 && p < n ? p : i; }
};

/// Pairs that take no part: those with j - i equal to one of `difference` (a diagonal is {0}), and
/// with `by_partner` those of a row with its partner.
struct Excluded {
  Index difference[3] = {0, 0, 0};
  int count = 0;
  bool by_partner = false;
  Partners partners = {};

  /// f(column) for the columns of [j0, j0 + width) that row i leaves out, counted from j0.
  template <class F>
  __host__ __device__ void in_row(Index i, Index j0, Index width, F f) const {
    const auto see = [&](Index c) {
      if (c >= 0 && c < width) f(unsigned(c));
    };
    for (int k = 0; k < count; ++k) see(i + difference[k] - j0);
    if (by_partner) see(partners.to(i) - j0);
  }
  /// Whether some pair of the tile at (i0, j0) is excluded, as far as its place tells: not where a
  /// map names the partners.
  __host__ __device__ bool touches(Index i0, Index j0, Index edge) const {
    for (int k = 0; k < count; ++k)
      if (difference[k] > j0 - i0 - edge && difference[k] < j0 - i0 + edge) return true;
    return by_partner && !partners.map && i0 + j0 < partners.n && i0 + j0 + 2 * edge > partners.n;
  }
};

/// The pairs that an instance of formula/set_apart.hpp sets apart from rows `first` on, each slot a
/// diagonal.
template <class Pairs>
Excluded set_apart(const Pairs& pairs, Index first = 0) {
  Excluded excluded;
  for (Index c = 0; c < Pairs::kSlots; ++c)
    if (const Index column = pairs.column(first, c); column >= 0)
      excluded.difference[excluded.count++] = column;
  return excluded;
}

/// Two numbers a row: first the running (maximum, sum) of its logits, later (log-sum-exp, weight of
/// the positive).
template <class T>
struct alignas(2 * sizeof(T)) RowPair {
  T a, b;
};

/// 2^x in the arithmetic of T. Logits of the device engine are in base 2.
__device__ __forceinline__ float pair_exp2(float x) { return fast_exp2(x); }
__device__ __forceinline__ double pair_exp2(double x) { return exp2(x); }

/// The larger and the smaller one; NaN is passed over unless both are. One instruction in f32, where
/// larger() takes two.
__device__ __forceinline__ float greater(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ double greater(double a, double b) { return fmax(a, b); }
__device__ __forceinline__ float lesser(float a, float b) { return fminf(a, b); }
__device__ __forceinline__ double lesser(double a, double b) { return fmin(a, b); }

template <class T>
__device__ __forceinline__ T larger(T a, T b) {
  return a < b ? b : a;
}
template <class T>
__device__ __forceinline__ T smaller(T a, T b) {
  return b < a ? b : a;
}

}  // namespace spheremix::gpu::pairwise
