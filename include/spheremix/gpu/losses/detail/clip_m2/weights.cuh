// The second sweep's first half for CLIP + m2-Mix: dL/d(cosine) of a range of pairs, as four
// matrices, from the cosines formed anew and the four lines' log-sum-exps.
//
// One direction, anchors i and key j with weights (a, b), lines as in logits.cuh:
//   p_l = 2^(z_l - lse_l),  P = clip (p_0, p_1),  U = mix (p_2, p_3)
//   H_xx = a U_x   H_xy = P_x + b U_x   H_yx = P_y + a U_y   H_yy = b U_y
//   dL/da_j = sum_i U_x x_i.x_j + U_y y_i.x_j      dL/db_j = sum_i U_x x_i.y_j + U_y y_i.y_j
// and the mirrored direction is added with its quad mirrored. H is symmetric as a 2 n x 2 n matrix:
//   dX_i += sum_j H_xx x_j + H_xy y_j              dY_i += sum_j H_yx x_j + H_yy y_j
//
// Pairs i = j are left out; the losses add them in f32 (clip_m2_shared.cuh).
#pragma once

#include "spheremix/gpu/losses/detail/clip_m2/logits.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"
#include "spheremix/gpu/pairwise/weight_stage.cuh"

namespace spheremix::gpu::losses::detail::clip_m2 {

using namespace pairwise;

/// Adds what one direction gives: weights of the quad's cosines, the key's dL/da and dL/db. Returns the
/// sum of CLIP's weights times cosines. `unit`: dL/d(logit) of CLIP's and of m2-Mix's lines, over the
/// cosine's scale; lse in base 2.
template <class T>
__device__ __forceinline__ T add_direction(const MixScales<T>& scale, const MixScales<T>& unit,
                                           const Quad<T>& q, RowPair<T> key, const T (&lse)[4],
                                           T& xx, T& xy, T& yx, T& yy, T& da, T& db) {
  const MixLogits<T> z(scale, q, key);
  const T px = unit.clip * pair_exp2(z.of[kClipOfX] - lse[kClipOfX]);
  const T py = unit.clip * pair_exp2(z.of[kClipOfY] - lse[kClipOfY]);
  const T ux = unit.mix * pair_exp2(z.of[kMixOfX] - lse[kMixOfX]);
  const T uy = unit.mix * pair_exp2(z.of[kMixOfY] - lse[kMixOfY]);
  xy += px;
  yx += py;
  formula::mixed_gradient(ux, key.a, key.b, q.xx, q.xy, xx, xy, da, db);
  formula::mixed_gradient(uy, key.a, key.b, q.yx, q.yy, yx, yy, da, db);
  return px * q.xy + py * q.yx;
}

template <class Tile>
struct MixWeightsKernel {
  using T = typename Tile::Sum;
  using Input = typename Tile::Input;
  using Weight = typename Tile::Weight;
  using Places = QuadPlaces<Tile>;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr std::size_t kShared = Tile::kShared + kThreads / kWarp * sizeof(double);
  static constexpr unsigned kPairs = Places::kPairs;

  PairedRows<const Input> z;
  Range range;  ///< of pairs
  MixScales<T> scale, unit;
  const RowPair<T>* weights;           ///< (a, b) by pair
  const RowPair<T>* lines[kMixLines];  ///< (log-sum-exp, ) by pair
  Weight* h;                           ///< xx, xy, yx, yy: each whole product tiles, `size` numbers
  Index stride, size;
  T* row_partial;   ///< (da, db): [which][tile column][row of the range]
  T* col_partial;   ///< [which][tile row][column]; on the diagonal the same place as rows
  double* moments;  ///< [tile]: added to, or set by the first range (no other is larger)
  bool first;
  double moment_scale;

  /// Tiles along an edge of `pairs`: what the products read is whole tiles of theirs.
  static Index tiles(Index pairs) { return 2 * ceil_div(pairs, Tile::kEdge); }

  __device__ void operator()() const {
    const Index tile_rows = 2 * ceil_div(range.rows, Tile::kEdge),
                tile_cols = 2 * ceil_div(range.cols, Tile::kEdge);
    const MixTile at(range, kPairs, tile_rows, tile_cols);
    if (at.skipped) {
      if (first && threadIdx.x == 0) moments[blockIdx.x] = 0;
      return;
    }
    unsigned char* const shared = shared_memory();
    Tile tile;
    tile.multiply(z, z, 2 * at.i0, 2 * at.j0, shared);
    Side* const of_rows = reinterpret_cast<Side*>(shared);  // by pair
    Side* const of_cols = of_rows + kPairs;
    for (unsigned k = threadIdx.x; k < kPairs; k += kThreads) {
      of_rows[k] = load(at.i0 + k, Index(k) < at.rows);
      of_cols[k] = load(at.j0 + k, Index(k) < at.cols);
    }
    if (!at.whole) at.leave_out(tile);
    block_barrier();  // both sides' lines are there
    T by_row[2][Places::kRows], by_col[2][Places::kCols];
#pragma unroll
    for (int c = 0; c < Places::kCols; ++c) by_col[0][c] = by_col[1][c] = 0;
    T* const row_part = reinterpret_cast<T*>(of_cols + kPairs);  // [which][warp column][row]
    T* const col_part = row_part + 2 * Tile::kWarpCols * kPairs;
    const T both = at.mirrored ? T(1) : T(0);
    double moment = 0;
#pragma unroll
    for (int r = 0; r < Places::kRows; ++r) {
      const Side line = of_rows[Places::row(r)];
      T da = 0, db = 0, along = 0;
#pragma unroll
      for (int c = 0; c < Places::kCols; ++c) {
        const Quad<T> q = Places::quad(tile, r, c);
        const Side other = of_cols[Places::col(c)];
        constexpr T kNone = T(-0.0);  // a sum that is added to it costs no instruction
        Quad<T> to{kNone, kNone, kNone, kNone};
        along += add_direction(scale, unit, q, other.key, line.lse, to.xx, to.xy, to.yx, to.yy,
                               by_col[0][c], by_col[1][c]);
        along += both * add_direction(scale, unit, q.mirrored(), line.key, other.lse, to.xx, to.yx,
                                      to.xy, to.yy, da, db);
        Places::set(tile, r, c, to);
      }
      moment += double(along);
      by_row[0][r] = da;
      by_row[1][r] = db;
    }
#pragma unroll
    for (unsigned k = 0; k < 2; ++k) {
      sum_lanes<1, kRowLanes>(by_row[k], [&](int r, T sum) {
        row_part[(k * Tile::kWarpCols + Tile::warp_col()) * kPairs + Places::row(r)] = sum;
      });
      sum_lanes<4, kColLanes>(by_col[k], [&](int c, T sum) {
        col_part[(k * Tile::kWarpRows + Tile::warp_row()) * kPairs + Places::col(c)] = sum;
      });
    }
    block_barrier();  // every warp's sums are there
    add_warps<Tile::kWarpCols>(row_part, at.mirrored ? at.rows : 0, tile_cols * range.rows,
                               row_partial + Index(at.place.col) * range.rows + (at.i0 - range.i0));
    add_warps<Tile::kWarpRows>(col_part, at.cols, tile_rows * range.cols,
                               col_partial + Index(at.place.row) * range.cols + (at.j0 - range.j0));
    // Behind the tile's memory; its barrier is also the one after the sums above were read.
    moment = moment_scale *
             block_sum<kThreads>(moment, reinterpret_cast<double*>(shared + Tile::kShared));
    if (threadIdx.x == 0) moments[blockIdx.x] = first ? moment : moments[blockIdx.x] + moment;
    store(tile, Index(at.place.row), Index(at.place.col), false);
    if (at.mirrored && range.i0 == range.j0) {
      block_barrier();  // the tile is read
      store(tile, Index(at.place.col), Index(at.place.row), true);
    }
  }

 private:
  struct Side {
    RowPair<T> key;
    T lse[kMixLines];
  };

  __device__ Side load(Index pair, bool there) const {
    Side s{{1, 0}, {}};
    if (!there) return s;
    s.key = weights[pair];
#pragma unroll
    for (int l = 0; l < kMixLines; ++l) s.lse[l] = lines[l][pair].a;
    return s;
  }

  template <unsigned Parts>
  __device__ static void add_warps(const T* part, Index count, Index apart, T* to) {
    for (unsigned q = threadIdx.x; q < 2 * kPairs; q += kThreads) {
      const unsigned which = q / kPairs, k = q % kPairs;
      if (Index(k) >= count) continue;
      T sum = part[which * Parts * kPairs + k];
      for (unsigned p = 1; p < Parts; ++p) sum += part[(which * Parts + p) * kPairs + k];
      to[Index(which) * apart + k] = sum;
    }
  }

  /// The tile, or its transpose, through shared memory to its place in the four matrices, whole
  /// 16-byte chunks: a chunk's columns are all of X or all of Y.
  __device__ __forceinline__ void store(Tile& tile, Index tile_row, Index tile_col,
                                        bool transposed) const {
    constexpr unsigned kChunk = 16 / sizeof(Weight), kPitch = Tile::kEdge + kChunk;
    static_assert(WeightStage<Tile>::kBytes <= Tile::kShared && 8 % kChunk == 0);
    SharedPieces pieces{shared_memory()};
    const WeightStage<Tile> stage(pieces);
    constexpr int kEach = kColumnsEach<Tile>;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kCols; c += kEach) {
        T values[kEach];
#pragma unroll
        for (int e = 0; e < kEach; ++e) values[e] = tile.sum(r, c + e);
        if (!transposed)
          stage.put(r, c, values);
        else
#pragma unroll
          for (int e = 0; e < kEach; ++e)
            stage.stage[Tile::col(c + e) * kPitch + Tile::row(r)] = narrow<Weight>(values[e]);
      }
    block_barrier();  // the tile is in shared memory
    constexpr unsigned kChunks = Tile::kEdge / kChunk;
    for (unsigned q = threadIdx.x; q < Tile::kEdge * kChunks; q += kThreads) {
      const unsigned i = q / kChunks, j = q % kChunks * kChunk;
      const unsigned which = i / 8 % 2 * 2 + j / 8 % 2;
      const Index row = tile_row * kPairs + PairedRows<T>::pair(i),
                  col = tile_col * kPairs + PairedRows<T>::pair(j);
      store16(h + Index(which) * size + row * stride + col, load16(stage.stage + i * kPitch + j));
    }
  }

  static_assert(2 * kPairs * (sizeof(Side) + sizeof(T) * (Tile::kWarpRows + Tile::kWarpCols)) <=
                Tile::kShared);
};

}  // namespace spheremix::gpu::losses::detail::clip_m2
