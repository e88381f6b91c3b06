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
  using Positives = pairwise::PositivesKernel<T>;
  const Index n = x.rows, blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  const auto operands = pairwise::make_operands<Tile>(work, x, y);
  const HardNegativeAnchors<Sum> anchors(work, n, false, options);
  double* const along = work.take<double>(blocks);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);
  const pairwise::Excluded diagonal = pairwise::set_apart(formula::Diagonal());
  for (int which = 0; which < anchors.softmaxes(); ++which) {
    pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> t;
    t.x = operands.x;
    t.y = operands.y;
    t.policy = {anchors.scale[which], 0, 0};
    t.excluded = diagonal;
    t.positives = which == 0 ? anchors.positives : nullptr;
    t.rows = anchors.statistics[which];
    t.cols = t.rows + n;
    pairwise::sweep_statistics(work, t, limits, how);
  }
  anchors.finish(work);
  if (!out.x.data) return anchors.sums(work, out.loss);

  anchors.choose_unit(work, Tile::kWeightScale);
  const double slope = anchors.slope();
  pairwise::Table<Tile, HardNegativePair<Sum>> t;
  t.x = operands.x;
  t.y = operands.y;
  t.policy = anchors.pair(0, n);
  t.excluded = diagonal;
  t.rows = anchors.statistics[0];
  t.cols = t.rows + n;
  pairwise::sweep_gradients(work, t, {out.x, out.y}, Sum(slope / double(Tile::kWeightScale)),
                            limits, how);
  pairwise::start(work,
                  Positives{x, y, t.rows, t.cols, slope, slope, out.x, out.y, along,
                            anchors.unit + 1, pairwise::pieces_fit(x, y, out.x, out.y)},
                  blocks);
  anchors.sums(work, out.loss, out.log_temperature, along, blocks, -1);
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
