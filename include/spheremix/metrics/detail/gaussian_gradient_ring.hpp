// Value and gradient of uniformity by ring (gaussian_ring.hpp): half a ring, with what each block's
// rows get, K^T X and their sums of K, on its way with them, and home from the last step.
//
// Cost      flops of one process / W a rank
// Memory    besides gaussian_ring.hpp the gradients of two blocks that travel, of one where they go
//           one step, and two strips of own rows
#pragma once

#include "spheremix/metrics/detail/gaussian_ring.hpp"

namespace spheremix::metrics::detail {

/// The value of all ranks' rows, batch k; the gradient of this rank's, x, to dx, apart from it.
template <class T>
double uniformity_gradient_by_ring(core::Meeting& meeting, int k, core::MatrixView<const T> x,
                                   double t, core::MatrixView<T> dx, core::Workspace& workspace,
                                   int threads = 0) {
  const Index n = x.rows;
  GaussianRing<T> ring(meeting, k, x, k, x, t, workspace, true, threads);  // all ranks are here
  GaussianRingArrays<T>& memory = ring.memory();
  const GaussianStrips<T>& strips = memory.strips;
  double *line = memory.line[0], *other = memory.line[1];
  const GaussianTable<T> all = ring.all();
  if (std::isnan(all.x.largest_square())) {
    dx.fill(core::nan<T>);
    return core::nan<double>;
  }
  const double shift = gaussian_shift(all, [&] { return ring.log_sum(); });
  std::fill_n(strips.line, n, 0.0);
  std::fill_n(line, memory.ring.most(), 0.0);
  dx.fill(T(0));
  ring.for_tables(
      dx,
      [&](const GaussianTable<T>& table, const core::RingBlock<T>& block, Index j) {
        const Index rows = table.x.view().rows, cols = table.y.view().rows;
        if (block.step == 1) block.dy.fill(T(0));
        if (rows == 0 || cols == 0) return;
        const bool home = block.step == 0;
        gaussian_pulls(table, shift, memory.sums.tiles, strips, dx.middle_rows(0, rows),
                       strips.line, home ? dx : block.dy.middle_rows(j, cols),
                       home ? strips.line : line + j);
      },
      [&](int step) {
        if (step == 0) return;
        memory.ring.pass(step, line, other);
        std::swap(line, other);
      });
  for (Index i = 0; i < n; ++i) strips.line[i] += line[i];
  double z = half_sum(strips.line, n);
  ring.share().add(&z, 1);
  const formula::GaussianMean mean{z, all.pairs(), shift};
  finish_pulls<T>(mean, t, all.x.view(), strips.line, dx);
  const double value = mean.value();
  return ring.log_mean(&value);
}

}  // namespace spheremix::metrics::detail
