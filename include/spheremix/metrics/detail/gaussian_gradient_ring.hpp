// Value and gradient of uniformity by ring (gaussian_ring.hpp): half a ring, with what each block's
// rows get, K^T X and their sums of K, on its way with them, and home from the last step.
//
// Cost      flops of one process / W a rank
// Memory    besides gaussian_ring.hpp the gradients of two blocks that travel, of one where they go
//           one step, and two strips of own rows
#pragma once

#include "spheremix/metrics/detail/gaussian_gradient.hpp"
#include "spheremix/metrics/detail/gaussian_ring.hpp"

namespace spheremix::metrics::detail {

template <class T>
struct GaussianPullArrays {
  GaussianStrips<T> strips;
  double* line[2];  ///< sums of K of the rows that travel

  GaussianPullArrays(Index n, Index most, core::Workspace::Frame& frame)
      : strips(n, most, frame),
        line{frame.take<double>(std::size_t(most)), frame.take<double>(std::size_t(most))} {}
};

/// The value of all ranks' rows, batch 0; the gradient of this rank's, x, to dx, apart from it.
template <class T>
double uniformity_gradient_by_ring(core::Meeting& meeting, core::MatrixView<const T> x, double t,
                                   core::MatrixView<T> dx) {
  const Index n = x.rows;
  core::Owned<GaussianPullArrays<T>> arrays(n, core::largest_block(meeting, 0));
  const GaussianStrips<T>& strips = (*arrays).strips;
  double *line = (*arrays).line[0], *other = (*arrays).line[1];
  GaussianRing<T> ring(meeting, 0, x, 0, x, t, true);  // all ranks are here
  const GaussianTable<T> all = ring.all();
  if (std::isnan(all.x.largest_square())) {
    dx.fill(core::nan<T>);
    return core::nan<double>;
  }
  const double shift = gaussian_shift(all, [&] { return ring.log_sum(); });
  std::fill_n(strips.line, n, 0.0);
  dx.fill(T(0));
  ring.for_tables(
      dx,
      [&](const GaussianTable<T>& table, const core::RingBlock<T>& block, Index j) {
        const Index rows = table.x.view().rows, cols = table.y.view().rows;
        if (block.step == 1) std::fill_n(line, block.y.rows, 0.0), block.dy.fill(T(0));
        if (rows == 0 || cols == 0) return;
        const bool home = block.step == 0;
        gaussian_pulls(table, shift, ring.tiles(), strips, dx.middle_rows(0, rows), strips.line,
                       home ? dx : block.dy.middle_rows(j, cols), home ? strips.line : line + j);
      },
      [&](int step) {
        if (step == 0) return;
        ring.rows().pass(step, line, other);
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
