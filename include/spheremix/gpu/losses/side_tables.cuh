// V-Mix, L-Mix and VL-Mix on the device: rows mixed with their partners inside a modality, one
// table of the mixed sides, soft targets (pairwise/soft_targets.cuh). What v_mix.cuh, l_mix.cuh,
// vl_mix.cuh and m3_mix.cuh call.
//
// Memory   for any N: the operands of both sides (4 N D bytes; 2 N D where a side that is not mixed
//          is aligned fp16 rows), 4 N D bytes for each mixed side's gradient (8 for double rows),
//          76 N bytes and at most 33 MiB.
// Cost     8 N^2 D flops.
#pragma once

#include "spheremix/gpu/losses/m2_mix.cuh"
#include "spheremix/gpu/pairwise/one_sweep.cuh"
#include "spheremix/gpu/pairwise/soft_targets.cuh"

namespace spheremix::gpu::losses {

/// What VL-Mix takes for the true pairs: row i with row i, or with its partner's too (the authors'
/// released code).
enum class VlTargets { identity, released };

namespace detail {

struct SideCall {
  double temperature;
  double weight;
  const Index* partners;  ///< a permutation in device memory; nullptr: i <-> n - 1 - i
  bool mix_x, mix_y;
  VlTargets targets;
  Index block;
  bool add;  ///< loss, gradients and log_temperature are added to what is there
};

template <class Tile, class T>
std::size_t side_bytes(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                       Index block, bool mix_x, bool mix_y) {
  using Sum = typename Tile::Sum;
  const std::size_t n = std::size_t(x.rows), all = std::size_t(x.rows * x.cols);
  const std::size_t operand = pairwise::operand_bytes<Tile>(x.rows, x.cols);
  return (mix_x ? operand + scratch_bytes<Sum>(all) : pairwise::operand_bytes<Tile>(x)) +
         (mix_y ? operand + scratch_bytes<Sum>(all) : pairwise::operand_bytes<Tile>(y)) +
         scratch_bytes<Index>(n) + 2 * scratch_bytes<pairwise::RowPair<Sum>>(n) +
         6 * scratch_bytes<Sum>(n) + scratch_bytes<double>(n) + scratch_bytes<double>(n / 128 + 1) +
         scratch_bytes<double>(n / 4 + 1) +
         pairwise::sweep_bytes<Tile>(pairwise::range_limits<Tile>(x.rows, x.rows, block), true,
                                     true, true);
}

template <class Tile, class T, class Products>
Status side_tables(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                   const RowScalar<Arithmetic<T>>& lambda, const SideCall& call,
                   const MixGradient<T>& out, Scratch scratch, cudaStream_t stream,
                   const Products& products) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  using Pair = pairwise::RowPair<Sum>;
  if (const Status held =
          scratch_status(scratch, side_bytes<Tile>(x, y, call.block, call.mix_x, call.mix_y));
      !held)
    return held;
  const bool gradient = out.x.data != nullptr, both = call.mix_x && call.mix_y;
  const Index n = x.rows, d = x.cols, operand_cols = pairwise::round_up(d, Tile::kAlign);
  const std::size_t size = std::size_t(n);
  ScratchFrame frame(scratch);

  pairwise::Partners partners{n, call.partners, nullptr};
  Index* const inverse = frame.take<Index>(size);
  partners.inverse = inverse;
  Status status;
  for (const bool clear : {true, false})
    if (status && call.partners) {
      using Kernel = pairwise::InverseKernel;
      status = pairwise::start(Kernel{n, call.partners, inverse, clear},
                               pairwise::ceil_div(n, Kernel::kThreads), stream);
    }

  core::MatrixView<const Operand> sides[2];
  core::MatrixView<Sum> gradients[2] = {out.x, out.y};
  for (int side = 0; side < 2 && status; ++side) {
    const core::MatrixView<const T>& rows = side == 0 ? x : y;
    if (!(side == 0 ? call.mix_x : call.mix_y)) {
      status = pairwise::make_operand<Tile>(rows, frame, stream, &sides[side]);
      continue;
    }
    using Kernel = pairwise::MixRowsKernel<T, Operand, pairwise::Partners>;
    const core::MatrixView<Operand> to{frame.take<Operand>(size * std::size_t(operand_cols)), n,
                                       operand_cols, operand_cols};
    sides[side] = to;
    gradients[side] = {frame.take<Sum>(size * std::size_t(d)), n, d, d};
    status = pairwise::start(Kernel{rows, rows, lambda, 0, to, partners},
                             pairwise::ceil_div(n, Kernel::kRowsEach), stream);
  }
  if (!status) return status;

  using Targets = pairwise::SoftTargets<Sum>;
  const Targets targets{!both                                 ? Targets::mixed
                        : call.targets == VlTargets::identity ? Targets::identity
                                                              : Targets::doubled,
                        lambda, partners};
  const double scale = 1 / (call.temperature * 0.693147180559945309417),
               each = 0.5 * call.weight / double(n);
  const Sum unit = Sum(double(Tile::kWeightScale) / 2 / scale);  // r is at most 2
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> table;
  table.x = sides[0];
  table.y = sides[1];
  table.policy = {Sum(scale), unit, unit};
  table.excluded = {{0, 0, 0}, 1, targets.kind != Targets::identity, partners};
  table.rows = frame.take<Pair>(size);
  table.cols = frame.take<Pair>(size);
  Sum* const line[6] = {frame.take<Sum>(size), frame.take<Sum>(size), frame.take<Sum>(size),
                        frame.take<Sum>(size), frame.take<Sum>(size), frame.take<Sum>(size)};
  double* const own_lambda = frame.take<double>(size);
  double* const losses = frame.take<double>(size / 128 + 1);
  double* const along = frame.take<double>(size / 4 + 1);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, call.block);

  status = pairwise::sweep_statistics(table, limits, frame.rest(), stream, products);
  if (!status) return status;
  using Own = pairwise::PairDotKernel<Operand>;
  using Second = pairwise::PairDotKernel<Operand, pairwise::Partners>;
  const Index row_blocks = pairwise::ceil_div(n, 4);
  status = pairwise::start(Own{sides[0], sides[1], line[0]}, row_blocks, stream);
  if (status)
    status = pairwise::start(Second{sides[0], sides[1], line[1], partners}, row_blocks, stream);
  using Finish = pairwise::SoftFinishKernel<Sum>;
  const Index loss_blocks = pairwise::ceil_div(n, Finish::kThreads);
  if (status)
    status = pairwise::start(Finish{targets, n, line[0], line[1], Sum(scale), table.rows,
                                    table.cols, line[2], line[3], line[4], line[5], each, losses},
                             loss_blocks, stream);
  if (!status) return status;
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss, call.add};
  if (!gradient) return pairwise::start(reduce, 1, stream);

  const Sum alpha = Sum(each / call.temperature / (double(Tile::kWeightScale) / 2));
  status = pairwise::sweep_gradients(
      table, {gradients[0], gradients[1], call.add && !call.mix_x, call.add && !call.mix_y}, alpha,
      limits, frame.rest(), stream, products);
  using Special = pairwise::SpecialPairsKernel<Operand, Sum>;
  if (status)
    status =
        pairwise::start(Special{sides[0], sides[1], targets, table.rows, table.cols, line[2],
                                line[3], Sum(each / call.temperature), gradients[0], gradients[1]},
                        row_blocks, stream);
  const int mixed = call.mix_x ? 0 : 1;  // a side whose gradient stands alone
  using Along = pairwise::AlongKernel<Operand>;
  core::MatrixView<const Operand> along_rows = sides[mixed];
  along_rows.cols = d;
  if (status)
    status = pairwise::start(Along{along_rows, gradients[mixed], along}, row_blocks, stream);
  double* const dlambda = lambda.each && out.lambda ? out.lambda : own_lambda;
  using Pull = pairwise::PullSideKernel<T>;
  for (int side = 0; side < 2 && status; ++side)
    if (side == 0 ? call.mix_x : call.mix_y)
      status = pairwise::start(
          Pull{side == 0 ? x : y, lambda, partners, gradients[side], side == 0 ? out.x : out.y,
               call.add, side == 1 && call.mix_x, dlambda},
          row_blocks, stream);
  using Lambda = pairwise::TargetLambdaKernel<Sum>;
  if (status && targets.kind == Targets::mixed)
    status = pairwise::start(Lambda{n, partners, line[4], line[5], each, dlambda},
                             pairwise::ceil_div(n, Lambda::kThreads), stream);
  if (!status) return status;
  Index sums = 1;
  if (out.lambda && !lambda.each) reduce.sum[sums++] = {dlambda, n, 1, out.lambda, false};
  if (out.log_temperature)
    reduce.sum[sums++] = {along, row_blocks, -1, out.log_temperature, call.add};
  return pairwise::start(reduce, sums, stream);
}

template <class T, class Products>
Status side_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                    const RowScalar<Arithmetic<T>>& lambda, const SideCall& call,
                    Precision precision, const MixGradient<T>& out, Scratch scratch,
                    cudaStream_t stream, const Products& products) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, call.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  return pairwise::with_tile<T, Products>(precision, [&]<class Tile>() {
    return side_tables<Tile>(x, y, lambda, call, out, scratch, stream, products);
  });
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
