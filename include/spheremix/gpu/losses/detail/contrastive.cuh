// What InfoNCE, with a margin or without, and CLIP share: rows i of X and Y are a pair, every other
// row of Y (and of X) is a negative.
//
//   loss = row_weight sum_i softplus(lse_{j != i} L_ij - L_ii)
//          + col_weight sum_j softplus(lse_{i != j} L_ij - L_jj),   L = X Y^T / tau
//
// A margin m is taken off the cosines of L_ii: dL/dm = -(1/tau) sum of dL/dL_ii, and dL/d log tau
// loses m dL/dm.
//
// Memory   for any N: the operands (4 N D bytes unless X and Y are fp16 rows on 16-byte
//          boundaries), 23 N bytes and at most 33 MiB (with products by cuBLASLt as it says).
// Kernels  1 conversion, 2 a range of sweep 1, 2 a range of sweep 2, and 3; 1 more with a margin.
#pragma once

#include <cmath>

#include "spheremix/formula/softmax_pair.hpp"
#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/pairwise/engine.cuh"
#include "spheremix/gpu/pairwise/operand.cuh"
#include "spheremix/gpu/pairwise/precision.cuh"
#include "spheremix/gpu/ranks/alone.cuh"

namespace spheremix::gpu::losses {

namespace detail {

struct ContrastiveWeights {
  double temperature, row, col;
  double margin = 0;  ///< off the positives' cosines
};

/// x and y: of this rank (ranks/alone.cuh), as are the gradients.
template <class Tile, bool Rows, bool Cols, class T, class Products, class Ranks = Alone>
void contrastive(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                 const ContrastiveWeights& weights, Index block, const ContrastiveGradient<T>& out,
                 const Products& how, double* margin_slope = nullptr, const Ranks& ranks = {}) {
  using Sum = typename Tile::Sum;
  using Pair = pairwise::RowPair<Sum>;
  using Finish = pairwise::FinishKernel<Sum>;
  using Positives = pairwise::PositivesKernel<T>;
  const Work::Part part(work);
  const Index n = x.rows, total = ranks.total(n);
  const bool gradient = ranks.gradient(out.x.data);
  const double scale = 1 / (weights.temperature * 0.693147180559945309417);  // logits in base 2
  const double largest = std::fmax(weights.row, weights.col);
  const double unit = double(Tile::kWeightScale) / scale / largest;
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, Rows, Cols>> table;
  table.policy = {Sum(scale), Sum(weights.row * unit), Sum(weights.col * unit)};
  table.excluded = pairwise::set_apart(formula::Diagonal(ranks.first()));
  table.positive = ranks.first();
  const auto operands = ranks.template operands<Tile>(work, x, y);
  table.x = operands.x;
  table.y = operands.y;
  if (Rows) table.rows = work.take<Pair>(n);
  Pair* const cols = Cols ? work.take<Pair>(n) : nullptr;
  if (Cols) table.cols = ranks.columns(work, cols, false);
  table.positives = work.take<Sum>(n);
  const Index loss_blocks = pairwise::ceil_div(n, Finish::kThreads),
              row_blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  double* const losses = work.take<double>(loss_blocks);
  double* const along = work.take<double>(row_blocks);
  const bool moved = weights.margin != 0 && out.log_temperature;
  double* const slopes =
      gradient && (moved || margin_slope) ? work.take<double>(loss_blocks) : nullptr;

  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, total, block);
  pairwise::sweep_statistics(work, table, limits, how);
  ranks.merge(work, table.cols, cols, false);
  pairwise::start(work,
                  Finish{n, table.positives, Sum(scale), table.rows, cols, weights.row, weights.col,
                         losses, false, Sum(weights.margin), slopes},
                  loss_blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss};
  if (!gradient) return ranks.sums(work, reduce, 1);
  ranks.share(work, cols, table.cols);

  const double slope = largest / weights.temperature;
  const auto dy = ranks.parts(work, out.y);
  pairwise::sweep_gradients(work, table, {out.x, dy}, Sum(slope / double(Tile::kWeightScale)),
                            limits, how);
  ranks.add_parts(work, dy, out.y, false);
  pairwise::start(work,
                  Positives{x, y, table.rows, cols, weights.row / weights.temperature,
                            weights.col / weights.temperature, out.x, out.y, along, nullptr,
                            pairwise::pieces_fit(x, y, out.x, out.y)},
                  row_blocks);
  unsigned sums = 1;
  if (out.log_temperature) reduce.sum[sums++] = {along, row_blocks, -1, out.log_temperature};
  if (margin_slope)
    reduce.sum[sums++] = {slopes, loss_blocks, -1 / weights.temperature, margin_slope};
  ranks.sums(work, reduce, sums);
  if (!moved) return;
  reduce.sum[0] = {slopes, loss_blocks, double(Sum(weights.margin)) / weights.temperature,
                   out.log_temperature, true};
  ranks.sums(work, reduce, 1);
}

/// Checks, then contrastive(). margin_slope: null, or where dL/dm goes.
template <bool Rows, bool Cols, class T, class Products>
Status contrastive_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const ContrastiveWeights& weights, const ContrastiveGradient<T>& out,
                           Scratch scratch, cudaStream_t stream, const Products& how,
                           double* margin_slope = nullptr) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, weights.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    contrastive<Tile, Rows, Cols>(work, x, y, weights, block, out, how, margin_slope);
  });
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
