// hn_nce on the device: formula and options in formula/hn_nce.hpp; anchors as in hard_negative.cuh.
//
// One table of X against Y has the statistics of both directions and both gradients.
//
// Cost     10 N^2 D flops (8 for beta = 0): two statistics, one sweep of weights and products.
// Memory   the operands (4 N D bytes; 8 or 16 N D in f32 or f64), 49 N bytes and at most 33 MiB.
// Errors   as in clip.cuh, beta < 0, tau_plus outside [0, 1). L = 0 for N = 1.
#pragma once

#include "spheremix/formula/hn_nce.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"
#include "spheremix/gpu/losses/detail/hard_negative_anchors.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::HnNceOptions;

namespace detail {

template <class Tile, class T, class Products>
void hn_nce(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
            const HnNceOptions& options, Index block, const ContrastiveGradient<T>& out,
            const Products& how) {
  using Sum = typename Tile::Sum;
  using Pair = pairwise::RowPair<Sum>;
  using Finish = HardNegativeFinishKernel<Sum>;
  using Positives = pairwise::PositivesKernel<T>;
  const Index n = x.rows, loss_blocks = pairwise::ceil_div(2 * n, Finish::kThreads),
              blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  const auto rows = pairwise::make_operand<Tile>(work, x);
  const auto cols = pairwise::make_operand<Tile>(work, y);
  Pair* const hard = work.take<Pair>(2 * n);  // of the rows, then of the columns
  Pair* const soft = work.take<Pair>(2 * n);
  Sum* const positives = work.take<Sum>(n);
  Sum* const bound = work.take<Sum>(2 * n);
  Sum* const unit = work.take<Sum>(2);
  double* const losses = work.take<double>(loss_blocks);
  double* const floors = work.take<double>(loss_blocks);
  double* const along = work.take<double>(blocks);

  const double base2 = 1 / (options.temperature * 0.693147180559945309417);
  const Sum hard_scale = Sum((1 + options.beta) * base2), soft_scale = Sum(options.beta * base2);
  const bool weighted = options.beta > 0;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);
  const pairwise::Excluded diagonal{{0, 0, 0}, 1};
  for (int which = 0; which < (weighted ? 2 : 1); ++which) {
    pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> t;
    t.x = rows;
    t.y = cols;
    t.policy = {which == 0 ? hard_scale : soft_scale, 0, 0};
    t.excluded = diagonal;
    t.positives = which == 0 ? positives : nullptr;
    t.rows = which == 0 ? hard : soft;
    t.cols = t.rows + n;
    pairwise::sweep_statistics(work, t, limits, how);
  }
  pairwise::start(work,
                  Finish{2 * n, positives, options.temperature, options.beta, options.tau_plus,
                         hard, weighted ? soft : nullptr, bound, losses, floors, n},
                  loss_blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss};
  if (!out.x.data) return pairwise::start(work, reduce, 1);

  pairwise::start(work, HardNegativeUnitKernel<Sum>{bound, 2 * n, Tile::kWeightScale, unit}, 1);
  const double slope = 0.5 / double(n) / options.temperature;
  pairwise::Table<Tile, HardNegativePair<Sum>> t;
  t.x = rows;
  t.y = cols;
  t.policy = {
      hard_scale, soft_scale, Sum(1 + options.beta), Sum(options.beta), weighted ? soft : nullptr,
      soft + n,   unit};
  t.excluded = diagonal;
  t.rows = hard;
  t.cols = hard + n;
  pairwise::sweep_gradients(work, t, {out.x, out.y}, Sum(slope / double(Tile::kWeightScale)),
                            limits, how);
  pairwise::start(
      work, Positives{x, y, hard, hard + n, slope, slope, out.x, out.y, along, unit + 1}, blocks);
  if (!out.log_temperature) return pairwise::start(work, reduce, 1);
  reduce.sum[1] = {along, blocks, -1, out.log_temperature};
  pairwise::start(work, reduce, 2);
  reduce.sum[0] = {floors, loss_blocks, 1, out.log_temperature, true};
  pairwise::start(work, reduce, 1);
}

template <class T, class Products>
Status hn_nce_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                      const HnNceOptions& options, const ContrastiveGradient<T>& out,
                      Scratch scratch, cudaStream_t stream, const Products& how) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = hard_negative_error(options.beta, options.tau_plus))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    hn_nce<Tile>(work, x, y, options, block, out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status hn_nce(core::MatrixView<const T> x, core::MatrixView<const T> y, const HnNceOptions& options,
              double* loss, Scratch scratch, cudaStream_t stream = nullptr,
              const Products& how = {}) {
  return detail::hn_nce_checked(x, y, options, ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                scratch, stream, how);
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status hn_nce_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const HnNceOptions& options, const ContrastiveGradient<T>& out,
                            Scratch scratch, cudaStream_t stream = nullptr,
                            const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::hn_nce_checked(x, y, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
