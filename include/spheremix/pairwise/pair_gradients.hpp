// The gradients of both sides of a table of pairs from G = dL/dS of some of its rows.
//
//   dX = G Y for those rows        dY (+)= G^T X of those rows
#pragma once

#include "spheremix/pairwise/plan.hpp"

namespace spheremix::pairwise {

/// Where the gradients go; add_y adds to what is there. dx.data == nullptr: no gradients wanted.
template <class T>
struct PairGradients {
  core::MatrixView<T> dx{}, dy{};
  bool add_x = false, add_y = false;
};

namespace detail {

/// dX of rows [first, first + gx.rows) from gx, and what these rows give to dY from gy. dX is cut
/// by rows and, where those are too few for the threads, by columns; dY by rows. memory.pack(thread)
/// is a thread's packing buffers.
template <class T, class Memory>
void pair_gradients(core::MatrixView<const T> x, core::MatrixView<const T> y, const Plan<T>& plan,
                    core::MatrixView<const T> gx, core::MatrixView<const T> gy, Index first,
                    Memory& memory, const PairGradients<T>& out, bool add_y) {
  const Index x_rows = tiles(gx.rows, plan.product_tile);
  const Index width =
      even_tile(y.cols, std::max<Index>(1, tiles(y.cols, tiles(plan.threads, 2 * x_rows))), 64);
  const Index x_tiles = x_rows * tiles(y.cols, width), y_tiles = tiles(plan.m, plan.product_tile);
  core::parallel_for(x_tiles + y_tiles, plan.threads, [&](Index task, int thread) {
    PackBuffers<T>& pack = memory.pack(thread);
    if (task < x_tiles) {
      const Index i = task % x_rows * plan.product_tile, k = task / x_rows * width;
      const Index rows = std::min(plan.product_tile, gx.rows - i),
                  cols = std::min(width, y.cols - k);
      const core::MatrixView<T> dx{out.dx.row(first + i) + k, rows, cols, out.dx.stride};
      times<T>(dx, gx.middle_rows(i, rows), {y.data + k, y.rows, cols, y.stride}, out.add_x, pack);
    } else {
      const Index j = (task - x_tiles) * plan.product_tile,
                  cols = std::min(plan.product_tile, plan.m - j);
      transposed_times<T>(out.dy.middle_rows(j, cols), {gy.data + j, gy.rows, cols, gy.stride},
                          x.middle_rows(first, gx.rows), add_y, pack);
    }
  });
}

}  // namespace detail
}  // namespace spheremix::pairwise
