// hard_negative on the device: formula and options in formula/hard_negative.hpp.
//
// log2 k_i, k the pull of an anchor, is folded into the two log-sum-exps that the weights are formed
// with. k_i is unbounded just above the false negatives' share, so G's power of two is chosen on the
// device.
//
// Cost     32 N^2 D flops (24 for beta = 0): two statistics, one sweep of weights and products.
// Memory   the stacked operand (4 N D bytes; 8 or 16 N D in f32 or f64), 53 N bytes and at most
//          33 MiB.
// Errors   as in clip.cuh, beta < 0, tau_plus outside [0, 1). L = 0 for N = 1.
#pragma once

#include "spheremix/formula/hard_negative.hpp"
#include "spheremix/gpu/losses/detail/hard_negative_anchors.cuh"
#include "spheremix/gpu/losses/detail/stacked.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::HardNegativeOptions;

namespace detail {

template <class Tile, class T, class Products>
void hard_negative(Work& work, const core::MatrixView<const T>& x,
                   const core::MatrixView<const T>& y, const HardNegativeOptions& options,
                   Index block, const ContrastiveGradient<T>& out, const Products& how) {
  using Sum = typename Tile::Sum;
  using Positives = pairwise::PositivesKernel<T>;
  using Along = pairwise::AlongKernel<T>;
  const Index n = x.rows, blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  const auto z = stack<Tile>(work, x, y);
  const HardNegativeAnchors<Sum> anchors(work, n, true, options);
  double* const along = work.take<double>(2 * blocks);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, 2 * n, block);
  const formula::OtherView views(n);
  for (int side = 0; side < 2; ++side)
    for (int which = 0; which < anchors.softmaxes(); ++which) {
      pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> t;
      t.x = z.middle_rows(side * n, n);
      t.y = z;
      t.policy = {anchors.scale[which], 0, 0};
      t.excluded = pairwise::set_apart(views, side * n);
      t.positive = views.column(side * n, 0);
      t.positives = which == 0 ? anchors.positives + side * n : nullptr;
      t.rows = anchors.statistics[which] + side * n;
      pairwise::sweep_statistics(work, t, limits, how);
    }
  anchors.finish(work);
  if (!out.x.data) return anchors.sums(work, out.loss);

  anchors.choose_unit(work, Tile::kWeightScale);
  const double slope = anchors.slope();
  pairwise::RowPair<Sum>* const hard = anchors.statistics[0];
  for (int side = 0; side < 2; ++side) {
    pairwise::Table<Tile, HardNegativePair<Sum>> t;
    t.x = z.middle_rows(side * n, n);
    t.y = z;
    t.policy = anchors.pair(side * n, 0);
    t.excluded = pairwise::set_apart(views, side * n);
    t.rows = hard + side * n;
    t.cols = hard;
    pairwise::sweep_gradients(work, t, {side == 0 ? out.x : out.y, {}},
                              Sum(slope / double(Tile::kWeightScale)), limits, how);
  }
  pairwise::start(work,
                  Positives{x, y, hard, hard + n, slope, slope, out.x, out.y, along,
                            anchors.unit + 1, pairwise::pieces_fit(x, y, out.x, out.y)},
                  blocks);
  pairwise::start(work, Along{y, out.y, along + blocks}, blocks);
  anchors.sums(work, out.loss, out.log_temperature, along, 2 * blocks, -0.5);
}

template <class T, class Products>
Status hard_negative_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                             const HardNegativeOptions& options, const ContrastiveGradient<T>& out,
                             Scratch scratch, cudaStream_t stream, const Products& how) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = hard_negative_error(options.beta, options.tau_plus))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    hard_negative<Tile>(work, x, y, options, block, out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status hard_negative(core::MatrixView<const T> x, core::MatrixView<const T> y,
                     const HardNegativeOptions& options, double* loss, Scratch scratch,
                     cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::hard_negative_checked(x, y, options, ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                       scratch, stream, how);
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status hard_negative_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                   const HardNegativeOptions& options,
                                   const ContrastiveGradient<T>& out, Scratch scratch,
                                   cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::hard_negative_checked(x, y, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
