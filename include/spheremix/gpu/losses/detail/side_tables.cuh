// V-Mix, L-Mix and VL-Mix on the device: rows mixed with their partners inside a modality, one
// table of the mixed sides, soft targets (pairwise/soft_targets.cuh). What v_mix.cuh, l_mix.cuh,
// vl_mix.cuh and m3_mix.cuh call.
//
// Memory   for any N: the operands of both sides (4 N D bytes; 2 N D where a side that is not mixed
//          is aligned fp16 rows), 4 N D bytes for each mixed side's gradient (8 for double rows),
//          76 N bytes and at most 33 MiB.
// Cost     8 N^2 D flops.
#pragma once

#include "spheremix/formula/partner_mix.hpp"
#include "spheremix/gpu/losses/m2_mix.cuh"
#include "spheremix/gpu/pairwise/one_sweep.cuh"
#include "spheremix/gpu/pairwise/soft_targets.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::VlTargets;

namespace detail {

struct SideCall {
  double temperature;
  double weight;
  const Index* partners;  ///< a permutation in device memory; nullptr: i <-> n - 1 - i
  bool mix_x, mix_y;
  VlTargets targets;
  bool add;  ///< loss, gradients and log_temperature are added to what is there
};

template <class Tile, class T, class Products>
void side_tables(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                 const RowScalar<Arithmetic<T>>& lambda, const SideCall& call, Index block,
                 const MixGradient<T>& out, const Products& how) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  using Pair = pairwise::RowPair<Sum>;
  using Finish = pairwise::SoftFinishKernel<Sum>;
  using Along = pairwise::AlongKernel<Operand>;
  const Work::Part part(work);
  const bool mixes[2] = {call.mix_x, call.mix_y};
  const Index n = x.rows, d = x.cols, loss_blocks = pairwise::ceil_div(n, Finish::kThreads),
              row_blocks = pairwise::ceil_div(n, Along::kRowsEach);

  Index* const inverse = work.take<Index>(n);
  const pairwise::Partners partners{n, call.partners, inverse};
  for (const bool clear : {true, false})
    if (call.partners) {
      using Kernel = pairwise::InverseKernel;
      pairwise::start(work, Kernel{n, call.partners, inverse, clear},
                      pairwise::ceil_div(n, Kernel::kThreads));
    }

  core::MatrixView<const Operand> sides[2];
  core::MatrixView<Sum> gradients[2] = {out.x, out.y};
  for (int side = 0; side < 2; ++side) {
    const core::MatrixView<const T>& rows = side == 0 ? x : y;
    if (!mixes[side]) {
      sides[side] = pairwise::make_operand<Tile>(work, rows);
      continue;
    }
    using Kernel = pairwise::MixRowsKernel<T, Operand, pairwise::Partners>;
    const core::MatrixView<Operand> to = pairwise::take_operand<Tile>(work, n, d);
    sides[side] = to;
    gradients[side] = {work.take<Sum>(n * d), n, d, d};
    pairwise::start(work, Kernel{rows, rows, lambda, 0, to, partners},
                    pairwise::ceil_div(n, Kernel::kRowsEach));
  }

  using Targets = pairwise::SoftTargets<Sum>;
  const Targets targets{partner_weights(call.mix_x && call.mix_y, call.targets), lambda, partners};
  const double scale = 1 / (call.temperature * 0.693147180559945309417),
               each = 0.5 * call.weight / double(n);
  const Sum unit = Sum(double(Tile::kWeightScale) / 2 / scale);  // r is at most 2
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> table;
  table.x = sides[0];
  table.y = sides[1];
  table.policy = {Sum(scale), unit, unit};
  table.excluded = pairwise::set_apart(targets);
  table.rows = work.take<Pair>(n);
  table.cols = work.take<Pair>(n);
  Sum* line[6];
  for (Sum*& each_line : line) each_line = work.take<Sum>(n);
  double* const own_lambda = work.take<double>(n);
  double* const losses = work.take<double>(loss_blocks);
  double* const along = work.take<double>(row_blocks);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);

  pairwise::sweep_statistics(work, table, limits, how);
  using Own = pairwise::PairDotKernel<Operand>;
  using Second = pairwise::PairDotKernel<Operand, pairwise::Partners>;
  pairwise::start(work, Own{sides[0], sides[1], line[0]}, row_blocks);
  pairwise::start(work, Second{sides[0], sides[1], line[1], partners}, row_blocks);
  pairwise::start(work,
                  Finish{targets, n, line[0], line[1], Sum(scale), table.rows, table.cols, line[2],
                         line[3], line[4], line[5], each, losses},
                  loss_blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss, call.add};
  if (!out.x.data) return pairwise::start(work, reduce, 1);

  const Sum alpha = Sum(each / call.temperature / (double(Tile::kWeightScale) / 2));
  pairwise::sweep_gradients(
      work, table, {gradients[0], gradients[1], call.add && !call.mix_x, call.add && !call.mix_y},
      alpha, limits, how);
  using Special = pairwise::SpecialPairsKernel<Operand, Sum>;
  pairwise::start(work,
                  Special{sides[0], sides[1], targets, table.rows, table.cols, line[2], line[3],
                          Sum(each / call.temperature), gradients[0], gradients[1]},
                  row_blocks);
  const int mixed = call.mix_x ? 0 : 1;  // a side whose gradient stands alone
  core::MatrixView<const Operand> along_rows = sides[mixed];
  along_rows.cols = d;
  pairwise::start(work, Along{along_rows, gradients[mixed], along}, row_blocks);
  double* const dlambda = lambda.each && out.lambda ? out.lambda : own_lambda;
  using Pull = pairwise::PullSideKernel<T>;
  for (int side = 0; side < 2; ++side)
    if (mixes[side])
      pairwise::start(work,
                      Pull{side == 0 ? x : y, lambda, partners, gradients[side],
                           side == 0 ? out.x : out.y, call.add, side == 1 && call.mix_x, dlambda},
                      row_blocks);
  using Lambda = pairwise::TargetLambdaKernel<Sum>;
  if (targets.mixed())
    pairwise::start(work, Lambda{n, partners, line[4], line[5], each, dlambda},
                    pairwise::ceil_div(n, Lambda::kThreads));
  Index sums = 1;
  if (out.lambda && !lambda.each) reduce.sum[sums++] = {dlambda, n, 1, out.lambda, false};
  if (out.log_temperature)
    reduce.sum[sums++] = {along, row_blocks, -1, out.log_temperature, call.add};
  pairwise::start(work, reduce, sums);
}

template <class T, class Products>
Status side_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                    const RowScalar<Arithmetic<T>>& lambda, const SideCall& call,
                    const MixGradient<T>& out, Scratch scratch, cudaStream_t stream,
                    const Products& how) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, call.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    side_tables<Tile>(work, x, y, lambda, call, block, out, how);
  });
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
