// The gradients of both sides of CLIP + m2-Mix from those of its tables, H = dL/d(V T^T) and the
// symmetric Kv = dL/d(V V^T), Kt = dL/d(T T^T):
//
//   dV = H T + Kv V,  dT = H^T V + Kt T: 8 N^2 D flops
//
// Row block I gets from v_0, t_0, v_1, t_1, ... in this order, all at once or strip by strip: strip J
// gives rows I < J what J's v and t give, and rows J what all v and t up to J give.
#pragma once

#include "spheremix/losses/detail/clip_m2/tables.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::losses::detail::clip_m2 {

using namespace pairwise;

template <class T>
class MixProducts {
 public:
  MixProducts(core::MatrixView<const T> v, core::MatrixView<const T> t, const MixTables<T>& tables,
              core::MatrixView<T> dv, core::MatrixView<T> dt)
      : v_(v), t_(t), tables_(tables), dv_(dv), dt_(dt) {}

  /// All of rows [begin, end).
  void rows(Index begin, Index end, MixThread<T>& mine) const {
    for (Index j = 0; j < tables_.blocks(); ++j)
      for (const bool of_v : {true, false})
        for (Index i = begin / tables_.block(); i < tables_.blocks() && first(i) < end; ++i) {
          const Index from = (std::max)(begin, first(i)), to = (std::min)(end, first(i) + count(i));
          add_block(i, j, of_v, from - first(i), to - from, mine);
        }
  }

  /// Tasks of strip j, each with rows of its own: j's rows in pieces, then the blocks before it.
  Index tasks(Index j, int threads) const { return pieces(j, threads) + j; }
  void run(Index j, Index task, int threads, MixThread<T>& mine) const {
    const Index own = pieces(j, threads);
    if (task >= own) {
      for (const bool of_v : {true, false})
        add_block(task - own, j, of_v, 0, count(task - own), mine);
      return;
    }
    const Index size = tiles(count(j), own), from = task * size;
    const Index rows = (std::min)(size, count(j) - from);
    for (Index k = 0; k <= j; ++k)
      for (const bool of_v : {true, false}) add_block(j, k, of_v, from, rows, mine);
  }

 private:
  Index first(Index i) const { return tables_.first(i); }
  Index count(Index i) const { return tables_.count(i); }
  /// One a thread, of 64 rows and more.
  Index pieces(Index j, int threads) const {
    return std::clamp<Index>(count(j) / 64, 1, Index(threads));
  }

  /// Adds what the pairs of rows [from, from + rows) of block i with block j give along block j's v (or
  /// t) to their dv and dt; sets them where it is the first of all.
  void add_block(Index i, Index j, bool of_v, Index from, Index rows, MixThread<T>& mine) const {
    const core::MatrixView<const T> x = (of_v ? v_ : t_).middle_rows(first(j), count(j));
    const core::MatrixView<T> dv = dv_.middle_rows(first(i) + from, rows),
                              dt = dt_.middle_rows(first(i) + from, rows);
    const bool add = j > 0 || !of_v;
    const auto part = [&](core::MatrixView<T> a) -> core::MatrixView<const T> {
      return a.middle_rows(from, rows);
    };
    const auto columns = [&](core::MatrixView<T> a) -> core::MatrixView<const T> {
      return {a.data + from, a.rows, rows, a.stride};
    };
    using enum MixTable;
    if (i < j) {
      times<T>(dv, part(tables_.table(i, j, of_v ? vv : vt)), x, add, mine.pack);
      times<T>(dt, part(tables_.table(i, j, of_v ? tv : tt)), x, add, mine.pack);
    } else if (i > j) {
      transposed_times<T>(dv, columns(tables_.table(j, i, of_v ? vv : tv)), x, add, mine.pack);
      transposed_times<T>(dt, columns(tables_.table(j, i, of_v ? vt : tt)), x, add, mine.pack);
    } else if (of_v) {
      const core::MatrixView<T> own{mine.vv, rows, count(i), count(i)};
      tables_.get_vv(i, from, own);
      times<T>(dv, own, x, add, mine.pack);
      transposed_times<T>(dt, columns(tables_.table(i, i, vt)), x, add, mine.pack);
    } else {
      const core::MatrixView<T> own{mine.tt, rows, count(i), count(i)};
      times<T>(dv, part(tables_.table(i, i, vt)), x, add, mine.pack);
      tables_.get_tt(i, from, own);
      times<T>(dt, own, x, add, mine.pack);
    }
  }

  core::MatrixView<const T> v_, t_;
  MixTables<T> tables_;
  core::MatrixView<T> dv_, dt_;
};

}  // namespace spheremix::losses::detail::clip_m2
