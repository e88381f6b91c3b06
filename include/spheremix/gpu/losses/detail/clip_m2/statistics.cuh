// The first sweep of CLIP + m2-Mix: maximum and sum of 2^(logit - maximum) of the four lines of
// logits.cuh, from one triangle of the table of [X; Y] with itself.
//
// A tile takes each line's own maximum, so that nothing is lost whatever the scale: eight
// exponentials a quad of cosines. Partial results are merged in the order of the tiles.
#pragma once

#include "spheremix/gpu/losses/detail/clip_m2/logits.cuh"
#include "spheremix/gpu/pairwise/epilogue.cuh"

namespace spheremix::gpu::losses::detail::clip_m2 {

using namespace pairwise;

template <class Tile>
struct MixStatisticsKernel {
  using T = typename Tile::Sum;
  using Input = typename Tile::Input;
  using Places = QuadPlaces<Tile>;
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr std::size_t kShared = Tile::kShared;
  static constexpr unsigned kPairs = Places::kPairs;

  PairedRows<const Input> z;
  Range range;  ///< of pairs
  MixScales<T> scale;
  const RowPair<T>* weights;  ///< (a, b) by pair
  RowPair<T>* row_partial;    ///< [line][tile column][row of the range]
  RowPair<T>* col_partial;    ///< [line][tile row][column]; on the diagonal the same place as rows

  __device__ void operator()() const {
    const Index tile_rows = ceil_div(range.rows, kPairs), tile_cols = ceil_div(range.cols, kPairs);
    const MixTile at(range, kPairs, tile_rows, tile_cols);
    if (at.skipped) return;
    unsigned char* const shared = shared_memory();
    Tile tile;
    tile.multiply(z, z, 2 * at.i0, 2 * at.j0, shared);
    RowPair<T>* const of_rows = reinterpret_cast<RowPair<T>*>(shared);
    RowPair<T>* const of_cols = of_rows + kPairs;
    T* const part = reinterpret_cast<T*>(of_cols + kPairs);
    for (unsigned k = threadIdx.x; k < kPairs; k += kThreads) {
      of_rows[k] = Index(k) < at.rows ? weights[at.i0 + k] : RowPair<T>{1, 0};
      of_cols[k] = Index(k) < at.cols ? weights[at.j0 + k] : RowPair<T>{1, 0};
    }
    if (!at.whole) at.leave_out(tile);
    block_barrier();  // the weights are there
    side<false>(tile, at, of_cols, part,
                row_partial + Index(at.place.col) * range.rows + (at.i0 - range.i0),
                tile_cols * range.rows);
    if (at.mirrored)
      side<true>(tile, at, of_rows, part,
                 col_partial + Index(at.place.row) * range.cols + (at.j0 - range.j0),
                 tile_rows * range.cols);
  }

 private:
  /// The lines of the tile's rows, or mirrored of its columns: in this thread, in its lanes, in its
  /// warps. `key`: weights of the keys.
  template <bool Mirrored>
  __device__ __forceinline__ void side(Tile& tile, const MixTile& at, const RowPair<T>* key,
                                       T* part, RowPair<T>* out, Index stride) const {
    constexpr int kLines = Mirrored ? Places::kCols : Places::kRows;
    constexpr int kKeys = Mirrored ? Places::kRows : Places::kCols;
    constexpr unsigned kParts = Mirrored ? Tile::kWarpRows : Tile::kWarpCols;
    constexpr unsigned kLow = Mirrored ? 4 : 1, kLanes = Mirrored ? 8 : 4;
    const unsigned warp = Mirrored ? Tile::warp_row() : Tile::warp_col();
    const unsigned own_line = Tile::lane() / kLow % kMixLines;  // what join_lanes() gives this lane
    const bool writes = Tile::lane() / kLow % kLanes < unsigned(kMixLines);
    T* const sums = part + kMixLines * kParts * kPairs;
    const auto logits = [&](int line, int k) {
      const int r = Mirrored ? k : line, c = Mirrored ? line : k;
      const Quad<T> q = Places::quad(tile, r, c);
      return MixLogits<T>(scale, Mirrored ? q.mirrored() : q,
                          key[Mirrored ? Places::row(r) : Places::col(c)]);
    };
    const auto top_of = [&](int l, unsigned k) {
      T top = part[l * kParts * kPairs + k];
      for (unsigned p = 1; p < kParts; ++p) top = greater(top, part[(l * kParts + p) * kPairs + k]);
      return top < T(MixTile::kNone) ? -core::infinity<T> : top;
    };
#pragma unroll
    for (int a = 0; a < kLines; ++a) {
      T top[kMixLines];
#pragma unroll
      for (int l = 0; l < kMixLines; ++l) top[l] = -core::infinity<T>;
#pragma unroll
      for (int b = 0; b < kKeys; ++b) {
        const MixLogits<T> all = logits(a, b);
#pragma unroll
        for (int l = 0; l < kMixLines; ++l) top[l] = greater(top[l], all.of[l]);
      }
      const unsigned line = Mirrored ? Places::col(a) : Places::row(a);
      const T largest = join_lanes<kLow, kLanes>(top, Largest{});
      if (writes) part[(own_line * kParts + warp) * kPairs + line] = largest;
    }
    block_barrier();  // every warp's maxima are there
#pragma unroll
    for (int a = 0; a < kLines; ++a) {
      const unsigned line = Mirrored ? Places::col(a) : Places::row(a);
      T base[kMixLines], sum[kMixLines];
#pragma unroll
      for (int l = 0; l < kMixLines; ++l) {
        const T top = top_of(l, line);
        base[l] = top == -core::infinity<T> ? T(0) : top;
        sum[l] = 0;
      }
#pragma unroll
      for (int b = 0; b < kKeys; ++b) {
        const MixLogits<T> all = logits(a, b);
#pragma unroll
        for (int l = 0; l < kMixLines; ++l) sum[l] += pair_exp2(all.of[l] - base[l]);
      }
      const T all = join_lanes<kLow, kLanes>(sum, Sum{});
      if (writes) sums[(own_line * kParts + warp) * kPairs + line] = all;
    }
    block_barrier();  // every warp's sums are there
    const Index count = Mirrored ? at.cols : at.rows;
    for (unsigned q = threadIdx.x; q < kMixLines * kPairs; q += kThreads) {
      const unsigned l = q / kPairs, k = q % kPairs;
      if (Index(k) >= count) continue;
      T sum = sums[l * kParts * kPairs + k];
      for (unsigned p = 1; p < kParts; ++p) sum += sums[(l * kParts + p) * kPairs + k];
      out[Index(l) * stride + k] = {top_of(int(l), k), sum};
    }
    block_barrier();  // the other side uses the same memory
  }

  static_assert(sizeof(T) * kPairs *
                    (4 +
                     2 * kMixLines *
                         (Tile::kWarpRows > Tile::kWarpCols ? Tile::kWarpRows : Tile::kWarpCols)) <=
                Tile::kShared);
};

}  // namespace spheremix::gpu::losses::detail::clip_m2
