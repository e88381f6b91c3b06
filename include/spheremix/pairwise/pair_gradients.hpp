// The gradients of both sides of a table of pairs from G = dL/dS of some of its rows.
//
//   dX = G Y for those rows        dY (+)= G^T X of those rows
#pragma once

#include "spheremix/pairwise/plan.hpp"

namespace spheremix::pairwise {

/// Where the gradients go; add_y adds to what is there. A side without memory gets none; no rows on
/// either: no gradients wanted, not even of the temperature.
template <class T>
struct PairGradients {
  core::MatrixView<T> dx{}, dy{};
  bool add_x = false, add_y = false;

  bool wanted() const { return dx.rows > 0 || dy.rows > 0; }
};

namespace detail {

/// dX of rows [first, first + gx.rows) from gx, and what these rows give to dY from gy. Where G is
/// small, both are cut by columns: every task packs G and a part of the other side, which is packed
/// once in all. Else dX is cut by rows and, where those are too few for the threads, by columns; dY
/// by rows. memory.pack(thread) is a thread's packing buffers.
template <class T, class Products = PlainProducts, class Memory>
void pair_gradients(core::MatrixView<const T> x, core::MatrixView<const T> y, const Plan<T>& plan,
                    core::MatrixView<const T> gx, core::MatrixView<const T> gy, Index first,
                    Memory& memory, const PairGradients<T>& out, bool add_y) {
  if (gx.rows == 0) {
    for (Index j = 0; out.dy.data && !add_y && j < out.dy.rows; ++j)
      std::fill(out.dy.row(j), out.dy.row(j) + out.dy.cols, T(0));
    return;
  }
  const bool by_columns = (std::max)(gx.rows, plan.m) <= y.cols;
  const Index x_piece = by_columns ? gx.rows : plan.product_tile,
              y_piece = by_columns ? plan.m : plan.product_tile;
  const Index x_rows = tiles(gx.rows, x_piece), y_rows = tiles(plan.m, y_piece);
  const Index x_cols = by_columns ? plan.threads : tiles(plan.threads, 2 * x_rows);
  const Index x_width = even_tile(y.cols, std::max<Index>(1, tiles(y.cols, x_cols)), 64),
              y_width = by_columns ? x_width : x.cols;
  const Index x_tiles = out.dx.data ? x_rows * tiles(y.cols, x_width) : 0,
              y_tiles = out.dy.data ? y_rows * tiles(x.cols, y_width) : 0;
  core::parallel_for(x_tiles + y_tiles, plan.threads, [&](Index task, int thread) {
    PackBuffers<T>& pack = memory.pack(thread);
    if (task < x_tiles) {
      const Index i = task % x_rows * x_piece, k = task / x_rows * x_width;
      const Index rows = (std::min)(x_piece, gx.rows - i), cols = (std::min)(x_width, y.cols - k);
      const core::MatrixView<T> dx{out.dx.row(first + i) + k, rows, cols, out.dx.stride};
      Products::template times<T>(dx, gx.middle_rows(i, rows), {y.data + k, y.rows, cols, y.stride},
                                  out.add_x, pack);
    } else {
      const Index part = task - x_tiles, j = part % y_rows * y_piece, k = part / y_rows * y_width;
      const Index rows = (std::min)(y_piece, plan.m - j), cols = (std::min)(y_width, x.cols - k);
      const core::MatrixView<T> dy{out.dy.row(j) + k, rows, cols, out.dy.stride};
      Products::template transposed_times<T>(dy, {gy.data + j, gy.rows, rows, gy.stride},
                                             {x.row(first) + k, gx.rows, cols, x.stride}, add_y,
                                             pack);
    }
  });
}

}  // namespace detail
}  // namespace spheremix::pairwise
