// What the schedule of an N x N loss asks between its sweeps, and what one GPU answers: nothing is
// copied, nothing is enqueued. strip.cuh has the answers of several.
//
//   rows of the table      the own ones; columns: those of all ranks, the own pair at first + i
//   operands, keys, all    rows that tiles read: the own ones, and those of all ranks
//   columns, merge, share  statistics of columns: partial ones of all, merged at their owners, and
//                          what the owners made of them given to all
//   parts, add_parts       gradients of all rows: partial ones, and their sums at the owners
//   sums, partials         sums over the table: of all ranks, in their order
#pragma once

#include "spheremix/gpu/pairwise/engine.cuh"
#include "spheremix/gpu/pairwise/operand.cuh"

namespace spheremix::gpu {

struct Alone {
  static constexpr bool kAlone = true;

  static constexpr Index first() { return 0; }
  static constexpr Index total(Index own) { return own; }
  /// Whether gradients are asked for, which `place` is for.
  static bool gradient(const void* place) { return place != nullptr; }

  template <class Tile, class T>
  static pairwise::Operands<Tile> operands(Work& work, const core::MatrixView<const T>& x,
                                           const core::MatrixView<const T>& y) {
    return pairwise::make_operands<Tile>(work, x, y);
  }
  template <class Tile, class T>
  static core::MatrixView<const typename Tile::Input> keys(Work& work,
                                                           const core::MatrixView<const T>& own) {
    return pairwise::make_operand<Tile>(work, own);
  }
  template <class Row>
  static core::MatrixView<Row> own(const core::MatrixView<Row>& all, Index) {
    return all;
  }
  template <class Row>
  static void all(Work&, const core::MatrixView<Row>&) {}

  template <class Pair>
  static Pair* columns(Work&, Pair* own, bool) {
    return own;
  }
  template <class Pair>
  static void merge(Work&, const Pair*, Pair*, bool) {}
  template <class Pair>
  static void share(Work&, const Pair*, Pair*) {}

  template <class T>
  static core::MatrixView<T> parts(Work&, const core::MatrixView<T>& own) {
    return own;
  }
  template <class T>
  static void add_parts(Work&, const core::MatrixView<T>&, const core::MatrixView<T>&, bool) {}

  static void sums(Work& work, const pairwise::ReduceKernel& reduce, Index count) {
    pairwise::start(work, reduce, count);
  }
  struct Partials {
    const double* data;
    Index count;
  };
  static Partials partials(Work&, const double* data, Index count) { return {data, count}; }
};

}  // namespace spheremix::gpu
