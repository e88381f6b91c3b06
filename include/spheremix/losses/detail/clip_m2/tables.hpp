// The tables of all pairs of CLIP + m2-Mix (block.hpp) in 2 n^2 numbers: V T^T, and one triangle
// each of V V^T and T T^T, which are symmetric.
//
// The n rows are cut into blocks. The tables of a pair of blocks (I, J), I < J, are vt, tv, vv, tt, one
// behind the other; pairs of blocks lie in the order of J, then I. A block on the diagonal has two: vt,
// and the upper triangle of vv over the lower one of tt (their diagonals are not needed). Strips that
// are not kept (plan.hpp) lie behind the others, in their places in turn.
#pragma once

#include <algorithm>
#include <cmath>

#include "spheremix/losses/detail/clip_m2/block.hpp"
#include "spheremix/losses/detail/clip_m2/plan.hpp"

namespace spheremix::losses::detail::clip_m2 {

using namespace pairwise;

/// Which of the four tables of a block, in the order of memory.
enum class MixTable : int { vt, tv, vv, tt };

template <class T>
class MixTables {
 public:
  /// data: plan.numbers() of them.
  MixTables(const MixPlan& plan, T* data) : plan_(plan), place_(plan.place()), data_(data) {}

  Index blocks() const { return plan_.blocks; }
  Index block() const { return plan_.block; }
  Index first(Index i) const { return plan_.first(i); }
  Index count(Index i) const { return plan_.count(i); }
  bool kept(Index j) const { return j < plan_.kept; }
  /// Do strips j - 1 and j have different memory?
  bool apart(Index j) const { return kept(j - 1) || plan_.places > 1; }

  /// A table of blocks i < j; of i == j vt only.
  core::MatrixView<T> table(Index i, Index j, MixTable which) const {
    const Index before = strip(j) + 4 * first(i) * count(j);
    return {data_ + before + Index(which) * count(i) * count(j), count(i), count(j), count(j)};
  }
  MixBlock<T> off_diagonal(Index i, Index j) const {
    return {table(i, j, MixTable::vt), table(i, j, MixTable::tv), table(i, j, MixTable::vv),
            table(i, j, MixTable::tt)};
  }
  /// Tables of blocks i <= j for one thread at a time, in the memory of the strips that are not kept.
  MixBlock<T> passing(Index i, Index j, int thread) const {
    T* const data = data_ + plan_.before(plan_.kept) + thread * plan_.tile();
    const Index rows = count(i), cols = count(j), size = rows * cols;
    return {{data, rows, cols, cols},
            {data + size, rows, cols, cols},
            {data + 2 * size, rows, cols, cols},
            {data + 3 * size, rows, cols, cols}};
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
  Index strip(Index j) const {
    return kept(j) ? plan_.before(j)
                   : plan_.before(plan_.kept) + (j - plan_.kept) % plan_.places * place_;
  }
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

  MixPlan plan_;
  Index place_;
  T* data_;
};

}  // namespace spheremix::losses::detail::clip_m2
