// m2-Mix's two tables on the device, for m2_mix.cuh and clip_m2_mix.cuh: anchors X and anchors Y,
// each against the mixed rows M, with the pair's own cosine x_i . y_i in the place of the diagonal.
//
// M is never whole: strips of it are mixed, used as keys and forgotten; its gradient goes back
// through the mixing strip by strip. 16 N^2 D flops (both sweeps of two tables). With
// Negatives::append a third table, X against Y, adds its rows to the first and its columns to the
// second anchors' denominators.
#pragma once

#include "spheremix/gpu/losses/contrastive.cuh"
#include "spheremix/gpu/pairwise/mix_rows.cuh"

namespace spheremix::gpu::losses {

enum class Reduction { sum, mean };
enum class Negatives { replace, append };

/// Where a loss that mixes puts its results, all in device memory. Gradients are f32 (f64 for
/// double rows).
template <class T>
struct MixGradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
  double* lambda = nullptr;           ///< one number for one lambda, else one a row; may be null
  double* log_temperature = nullptr;  ///< may be null
};

namespace detail {

struct M2Call {
  double temperature;
  double weight;  ///< of each direction's mean, reduction included
  Negatives negatives;
  Index block;
  bool add;  ///< loss and gradients are added to what is there
};

template <class Tile>
struct M2Plan {
  pairwise::RangeLimits limits;
  Index strip;  ///< columns of the table that are mixed at a time

  M2Plan(Index n, Index d, Index block) : limits(pairwise::range_limits<Tile>(n, n, block)) {
    constexpr Index kEdge = Tile::kEdge;
    const Index row = pairwise::round_up(d, Tile::kAlign) *
                      Index(sizeof(typename Tile::Input) + sizeof(typename Tile::Sum));
    const Index fit = (Index(16) << 20) / row / kEdge * kEdge;
    strip = limits.weights_cols < fit ? limits.weights_cols : fit > 0 ? fit : kEdge;
  }
};

template <class Tile, class T>
std::size_t m2_bytes(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                     Index block) {
  using Sum = typename Tile::Sum;
  const M2Plan<Tile> plan(x.rows, x.cols, block);
  const std::size_t n = std::size_t(x.rows);
  return pairwise::operand_bytes<Tile>(x) + pairwise::operand_bytes<Tile>(y) +
         2 * scratch_bytes<pairwise::RowPair<Sum>>(n) + scratch_bytes<Sum>(n) +
         scratch_bytes<double>(n / 128 + 1) + 3 * scratch_bytes<double>(n / 4 + 1) +
         scratch_bytes<double>(n) + pairwise::operand_bytes<Tile>(plan.strip, x.cols) +
         scratch_bytes<Sum>(std::size_t(plan.strip * x.cols)) +
         pairwise::sweep_bytes<Tile>(plan.limits, true, true, true);
}

template <class Tile, class T, class Products>
Status m2_tables(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                 const RowScalar<Arithmetic<T>>& lambda, const M2Call& call,
                 const MixGradient<T>& out, Scratch scratch, cudaStream_t stream,
                 const Products& products) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  using Pair = pairwise::RowPair<Sum>;
  if (const Status held = scratch_status(scratch, m2_bytes<Tile>(x, y, call.block)); !held)
    return held;
  const bool gradient = out.x.data != nullptr, append = call.negatives == Negatives::append;
  const Index n = x.rows, d = x.cols;
  const M2Plan<Tile> plan(n, d, call.block);
  ScratchFrame frame(scratch);
  core::MatrixView<const Operand> anchors[2];
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &anchors[0]);
  if (status) status = pairwise::make_operand<Tile>(y, frame, stream, &anchors[1]);
  if (!status) return status;
  Pair* const statistics[2] = {frame.take<Pair>(std::size_t(n)), frame.take<Pair>(std::size_t(n))};
  Sum* const positives = frame.take<Sum>(std::size_t(n));
  double* const losses = frame.take<double>(std::size_t(n) / 128 + 1);
  double* const along[3] = {frame.take<double>(std::size_t(n) / 4 + 1),
                            frame.take<double>(std::size_t(n) / 4 + 1),
                            frame.take<double>(std::size_t(n) / 4 + 1)};
  double* const own_lambda = frame.take<double>(std::size_t(n));
  const Index operand_cols = pairwise::round_up(d, Tile::kAlign);
  Operand* const strip = frame.take<Operand>(std::size_t(plan.strip * operand_cols));
  Sum* const strip_gradient = frame.take<Sum>(std::size_t(plan.strip * d));

  const double scale = 1 / (call.temperature * 0.693147180559945309417),
               each = call.weight / double(n);
  const Sum unit = Sum(double(Tile::kWeightScale) / scale),
            alpha = Sum(each / call.temperature / double(Tile::kWeightScale));
  const auto keys = [&](Index first) {
    return core::MatrixView<Operand>{strip, n - first < plan.strip ? n - first : plan.strip,
                                     operand_cols, operand_cols};
  };
  const auto mix = [&](Index first) {
    using Kernel = pairwise::MixRowsKernel<T, Operand>;
    const auto to = keys(first);
    return pairwise::start(Kernel{x, y, lambda, first, to},
                           pairwise::ceil_div(to.rows, Kernel::kRowsEach), stream);
  };
  const auto table = [&](int side, Index first) {
    pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> t;
    t.x = anchors[side];
    t.y = keys(first);
    t.y_first = first;
    t.policy = {Sum(scale), unit, 0};
    t.excluded = {{0, 0, 0}, 1};
    t.rows = statistics[side];
    return t;
  };
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> ordinary;
  ordinary.x = anchors[0];
  ordinary.y = anchors[1];
  ordinary.policy = {Sum(scale), unit, unit};
  ordinary.excluded = {{0, 0, 0}, 1};
  ordinary.rows = statistics[0];
  ordinary.cols = statistics[1];
  ordinary.go_on = true;

  for (Index first = 0; first < n && status; first += plan.strip) {
    status = mix(first);
    for (int side = 0; side < 2 && status; ++side)
      status = pairwise::sweep_statistics(table(side, first), plan.limits, frame.rest(), stream,
                                          products);
  }
  if (status && append)
    status = pairwise::sweep_statistics(ordinary, plan.limits, frame.rest(), stream, products);
  if (!status) return status;
  using Dot = pairwise::PairDotKernel<Operand>;
  status = pairwise::start(Dot{anchors[0], anchors[1], positives},
                           pairwise::ceil_div(n, Dot::kRowsEach), stream);
  if (!status) return status;
  using Finish = pairwise::FinishKernel<Sum>;
  const Index loss_blocks = pairwise::ceil_div(n, Finish::kThreads);
  status = pairwise::start(
      Finish{n, positives, Sum(scale), statistics[0], statistics[1], each, each, losses},
      loss_blocks, stream);
  if (!status) return status;
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss, call.add};
  if (!gradient) return pairwise::start(reduce, 1, stream);

  const Index row_blocks = pairwise::ceil_div(n, 4);
  double* const dlambda = lambda.each && out.lambda ? out.lambda : own_lambda;
  if (append) {
    using Along = pairwise::AlongKernel<T>;
    if (call.add) status = pairwise::start(Along{x, out.x, along[0]}, row_blocks, stream);
    if (status)
      status = pairwise::sweep_gradients(ordinary, {out.x, out.y, call.add, call.add}, alpha,
                                         plan.limits, frame.rest(), stream, products);
    if (status) status = pairwise::start(Along{x, out.x, along[1]}, row_blocks, stream);
    if (!status) return status;
  }
  const bool add = call.add || append;
  for (Index first = 0; first < n; first += plan.strip) {
    const core::MatrixView<Sum> dm{strip_gradient, keys(first).rows, d, d};
    status = mix(first);
    if (status)
      status = pairwise::sweep_gradients(table(0, first), {out.x, dm, add, false}, alpha,
                                         plan.limits, frame.rest(), stream, products);
    if (status)
      status = pairwise::sweep_gradients(table(1, first), {out.y, dm, add, true}, alpha,
                                         plan.limits, frame.rest(), stream, products);
    using Pull = pairwise::MixPullKernel<T, Operand>;
    if (status)
      status =
          pairwise::start(Pull{x, y, lambda, first, keys(first), dm, statistics[0], statistics[1],
                               each / call.temperature, out.x, out.y, dlambda, along[2]},
                          pairwise::ceil_div(dm.rows, Pull::kRowsEach), stream);
    if (!status) return status;
  }
  Index sums = 1;
  if (out.lambda && !lambda.each) reduce.sum[sums++] = {dlambda, n, 1, out.lambda, false};
  if (out.log_temperature)
    reduce.sum[sums++] = {along[2], row_blocks, -1, out.log_temperature, false};
  status = pairwise::start(reduce, sums, stream);
  if (!status || !append || !out.log_temperature) return status;
  pairwise::ReduceKernel after{}, before{};
  after.sum[0] = {along[1], row_blocks, -1, out.log_temperature, true};
  before.sum[0] = {along[0], row_blocks, 1, out.log_temperature, true};
  status = pairwise::start(after, 1, stream);
  return status && call.add ? pairwise::start(before, 1, stream) : status;
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
