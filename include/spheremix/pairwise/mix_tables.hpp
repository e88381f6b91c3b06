// The tables of all pairs of CLIP + m2-Mix (mix_block.hpp) in 2 n^2 numbers: V T^T, and one triangle
// each of V V^T and T T^T, which are symmetric.
//
// The n rows are cut into blocks. The tables of a pair of blocks (I, J), I < J, are vt, tv, vv, tt, one
// behind the other; pairs of blocks lie in the order of J, then I. A block on the diagonal has two: vt,
// and the upper triangle of vv over the lower one of tt (their diagonals are not needed).
#pragma once

#include <algorithm>
#include <cmath>

#include "spheremix/pairwise/mix_block.hpp"
#include "spheremix/pairwise/plan.hpp"

namespace spheremix::pairwise {

/// Which of the four tables of a block, in the order of memory.
enum class MixTable : int { vt, tv, vv, tt };

template <class T>
class MixTables {
 public:
  static Index block_of(Index n) { return n >= 2048 ? 448 : n >= 512 ? 224 : 64; }
  static std::size_t numbers(Index n) { return std::size_t(2 * n * n); }

  /// data: numbers(n) of them.
  MixTables(Index n, T* data)
      : n_(n), block_(block_of(n)), blocks_(tiles(n, block_)), data_(data) {}

  Index blocks() const { return blocks_; }
  Index block() const { return block_; }
  Index first(Index i) const { return i * block_; }
  Index count(Index i) const { return std::min(block_, n_ - i * block_); }

  /// A table of blocks i < j; of i == j vt only.
  core::MatrixView<T> table(Index i, Index j, MixTable which) const {
    const Index before = 2 * first(j) * first(j) + 4 * first(i) * count(j);
    return {data_ + before + Index(which) * count(i) * count(j), count(i), count(j), count(j)};
  }
  MixBlock<T> off_diagonal(Index i, Index j) const {
    return {table(i, j, MixTable::vt), table(i, j, MixTable::tv), table(i, j, MixTable::vv),
            table(i, j, MixTable::tt)};
  }

  /// Puts the upper triangle of vv and the lower one of tt of block i into their place.
  void put_triangles(Index i, const MixBlock<T>& block) const {
    const core::MatrixView<T> both = triangles(i);
    for (Index r = 0; r < both.rows; ++r) {
      std::copy_n(block.tt.row(r), r, both.row(r));
      std::copy(block.vv.row(r) + r + 1, block.vv.row(r) + both.cols, both.row(r) + r + 1);
    }
  }
  /// Rows [from, from + out.rows) of vv (or tt) of block i, symmetric with zeros on the diagonal.
  void get_vv(Index i, Index from, core::MatrixView<T> out) const { get<true>(i, from, out); }
  void get_tt(Index i, Index from, core::MatrixView<T> out) const { get<false>(i, from, out); }

  /// The pair of blocks of task k of blocks() (blocks() + 1) / 2: i <= j.
  static void blocks_of_task(Index task, Index& i, Index& j) {
    j = Index((std::sqrt(8 * double(task) + 1) - 1) / 2);
    while (j * (j + 1) / 2 > task) --j;
    while ((j + 1) * (j + 2) / 2 <= task) ++j;
    i = task - j * (j + 1) / 2;
  }

 private:
  core::MatrixView<T> triangles(Index i) const { return table(i, i, MixTable::tv); }

  template <bool Upper>
  void get(Index i, Index from, core::MatrixView<T> out) const {
    const core::MatrixView<T> both = triangles(i);
    for (Index r = 0; r < out.rows; ++r) {
      const Index own = from + r;
      for (Index c = 0; c < both.cols; ++c)
        out(r, c) = c == own ? T(0) : (c > own) == Upper ? both(own, c) : both(c, own);
    }
  }

  Index n_, block_, blocks_;
  T* data_;
};

}  // namespace spheremix::pairwise
