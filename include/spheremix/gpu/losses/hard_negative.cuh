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
  using Pair = pairwise::RowPair<Sum>;
  using Finish = HardNegativeFinishKernel<Sum>;
  using Positives = pairwise::PositivesKernel<T>;
  using Along = pairwise::AlongKernel<T>;
  const Index n = x.rows, loss_blocks = pairwise::ceil_div(2 * n, Finish::kThreads),
              blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  const auto z = stack<Tile>(work, x, y);
  Pair* const hard = work.take<Pair>(2 * n);
  Pair* const soft = work.take<Pair>(2 * n);
  Sum* const positives = work.take<Sum>(2 * n);
  Sum* const bound = work.take<Sum>(2 * n);
  Sum* const unit = work.take<Sum>(2);
  double* const losses = work.take<double>(loss_blocks);
  double* const floors = work.take<double>(loss_blocks);
  double* const along = work.take<double>(2 * blocks);

  const double base2 = 1 / (options.temperature * 0.693147180559945309417);
  const Sum hard_scale = Sum((1 + options.beta) * base2), soft_scale = Sum(options.beta * base2);
  const bool weighted = options.beta > 0;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, 2 * n, block);
  const pairwise::Excluded excluded{{0, n, 0}, 2};
  for (int side = 0; side < 2; ++side)
    for (int which = 0; which < (weighted ? 2 : 1); ++which) {
      pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> t;
      t.x = z.middle_rows(side * n, n);
      t.y = z;
      t.policy = {which == 0 ? hard_scale : soft_scale, 0, 0};
      t.excluded = excluded;
      t.positive = side == 0 ? n : 0;
      t.positives = which == 0 ? positives + side * n : nullptr;
      t.rows = (which == 0 ? hard : soft) + side * n;
      pairwise::sweep_statistics(work, t, limits, how);
    }
  pairwise::start(work,
                  Finish{2 * n, positives, options.temperature, options.beta, options.tau_plus,
                         hard, weighted ? soft : nullptr, bound, losses, floors},
                  loss_blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss};
  if (!out.x.data) return pairwise::start(work, reduce, 1);

  pairwise::start(work, HardNegativeUnitKernel<Sum>{bound, 2 * n, Tile::kWeightScale, unit}, 1);
  const double slope = 0.5 / double(n) / options.temperature;
  for (int side = 0; side < 2; ++side) {
    pairwise::Table<Tile, HardNegativePair<Sum>> t;
    t.x = z.middle_rows(side * n, n);
    t.y = z;
    t.policy = {hard_scale,
                soft_scale,
                Sum(1 + options.beta),
                Sum(options.beta),
                weighted ? soft + side * n : nullptr,
                soft,
                unit};
    t.excluded = excluded;
    t.rows = hard + side * n;
    t.cols = hard;
    pairwise::sweep_gradients(work, t, {side == 0 ? out.x : out.y, {}},
                              Sum(slope / double(Tile::kWeightScale)), limits, how);
  }
  pairwise::start(work,
                  Positives{x, y, hard, hard + n, slope, slope, out.x, out.y, along, unit + 1,
                            pairwise::pieces_fit(x, y, out.x, out.y)},
                  blocks);
  pairwise::start(work, Along{y, out.y, along + blocks}, blocks);
  if (!out.log_temperature) return pairwise::start(work, reduce, 1);
  reduce.sum[1] = {along, 2 * blocks, -0.5, out.log_temperature};
  pairwise::start(work, reduce, 2);
  reduce.sum[0] = {floors, loss_blocks, 1, out.log_temperature, true};
  pairwise::start(work, reduce, 1);
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
