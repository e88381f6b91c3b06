// m2-Mix's two tables on the device, for m2_mix.cuh and clip_m2_mix.cuh: anchors X and anchors Y,
// each against the mixed rows M, with the pair's own cosine x_i . y_i in the place of the diagonal.
//
// M is never whole: strips of it are mixed, used as keys and forgotten; its gradient goes back
// through the mixing strip by strip. 16 N^2 D flops (both sweeps of two tables). With
// Negatives::append a third table, X against Y, adds its rows to the first and its columns to the
// second anchors' denominators.
#pragma once

#include "spheremix/formula/m2_mix.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"
#include "spheremix/gpu/pairwise/mix_rows.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::M2MixOptions;
using spheremix::losses::Negatives;
using spheremix::losses::Reduction;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using MixGradient = spheremix::losses::MixGradient<Places<T>>;

namespace detail {

struct M2Call {
  double temperature;
  double weight;  ///< of each direction's mean, reduction included
  Negatives negatives;
  bool add;  ///< loss and gradients are added to what is there
};

template <class Tile>
struct M2Plan {
  pairwise::RangeLimits limits;
  Index strip;  ///< columns of the table that are mixed at a time

  /// `whole`: all of the total columns.
  M2Plan(Index n, Index total, Index d, Index block, bool whole)
      : limits(pairwise::range_limits<Tile>(n, total, block)) {
    constexpr Index kEdge = Tile::kEdge;
    const Index row = pairwise::round_up(d, Tile::kAlign) *
                      Index(sizeof(typename Tile::Input) + sizeof(typename Tile::Sum));
    const Index fit = (Index(16) << 20) / row / kEdge * kEdge;
    strip = whole ? total : limits.weights_cols < fit ? limits.weights_cols : fit > 0 ? fit : kEdge;
  }
};

/// x and y: of this rank (ranks/alone.cuh), as are the gradients. Several ranks mix their own rows
/// once and keep the keys of all: one strip.
template <class Tile, class T, class Products, class Ranks = Alone>
void m2_tables(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
               const RowScalar<Arithmetic<T>>& lambda, const M2Call& call, Index block,
               const MixGradient<T>& out, const Products& how, const Ranks& ranks = {}) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  using Pair = pairwise::RowPair<Sum>;
  using Along = pairwise::AlongKernel<T>;
  using Finish = pairwise::FinishKernel<Sum>;
  const Work::Part part(work);
  const bool append = call.negatives == Negatives::append;
  const bool gradient = ranks.gradient(out.x.data);
  const Index n = x.rows, total = ranks.total(n), d = x.cols,
              loss_blocks = pairwise::ceil_div(n, Finish::kThreads),
              row_blocks = pairwise::ceil_div(n, Along::kRowsEach);
  const M2Plan<Tile> plan(n, total, d, block, !Ranks::kAlone);
  const auto operands = pairwise::make_operands<Tile>(work, x, y);
  const core::MatrixView<const Operand> anchors[2] = {operands.x, operands.y};
  Pair* const statistics[2] = {work.take<Pair>(n), work.take<Pair>(n)};
  Sum* const positives = work.take<Sum>(n);
  double* const losses = work.take<double>(loss_blocks);
  double* const along[3] = {work.take<double>(row_blocks), work.take<double>(row_blocks),
                            work.take<double>(row_blocks)};
  double* const own_lambda = work.take<double>(n);
  const core::MatrixView<Operand> strip = pairwise::take_operand<Tile>(work, plan.strip, d);
  Sum* const strip_gradient = work.take<Sum>(plan.strip * d);

  const double scale = 1 / (call.temperature * 0.693147180559945309417),
               each = call.weight / double(total);
  const Sum unit = Sum(double(Tile::kWeightScale) / scale),
            alpha = Sum(each / call.temperature / double(Tile::kWeightScale));
  const auto keys = [&](Index first) {
    return strip.middle_rows(0, total - first < plan.strip ? total - first : plan.strip);
  };
  const auto mix = [&](Index first) {
    using Kernel = pairwise::MixRowsKernel<T, Operand>;
    const auto to = ranks.own(keys(first), n);
    pairwise::start(work, Kernel{x, y, lambda, first, to},
                    pairwise::ceil_div(to.rows, Kernel::kRowsEach));
    ranks.all(work, keys(first));
  };
  const auto table = [&](int side, Index first) {
    pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> t;
    t.x = anchors[side];
    t.y = keys(first);
    t.y_first = first;
    t.policy = {Sum(scale), unit, 0};
    t.excluded = pairwise::set_apart(formula::Diagonal(ranks.first()));
    t.rows = statistics[side];
    return t;
  };
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> ordinary;
  ordinary.x = anchors[0];
  ordinary.y = append ? ranks.template keys<Tile>(work, anchors[1]) : anchors[1];
  ordinary.policy = {Sum(scale), unit, unit};
  ordinary.excluded = pairwise::set_apart(formula::Diagonal(ranks.first()));
  ordinary.rows = statistics[0];
  ordinary.cols = append ? ranks.columns(work, statistics[1], true) : nullptr;
  ordinary.go_on = true;

  for (Index first = 0; first < total; first += plan.strip) {
    mix(first);
    for (int side = 0; side < 2; ++side)
      pairwise::sweep_statistics(work, table(side, first), plan.limits, how);
  }
  if (append) {
    pairwise::sweep_statistics(work, ordinary, plan.limits, how);
    ranks.merge(work, ordinary.cols, statistics[1], true);
  }
  using Dot = pairwise::PairDotKernel<Operand>;
  pairwise::start(work, Dot{anchors[0], anchors[1], positives},
                  pairwise::ceil_div(n, Dot::kRowsEach));
  pairwise::start(
      work, Finish{n, positives, Sum(scale), statistics[0], statistics[1], each, each, losses},
      loss_blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss, call.add};
  if (!gradient) return ranks.sums(work, reduce, 1);

  double* const dlambda = lambda.each && out.lambda ? out.lambda : own_lambda;
  if (append) {
    if (call.add) pairwise::start(work, Along{x, out.x, along[0]}, row_blocks);
    ranks.share(work, statistics[1], ordinary.cols);
    const auto dy = ranks.parts(work, out.y);
    pairwise::sweep_gradients(work, ordinary, {out.x, dy, call.add, call.add && Ranks::kAlone},
                              alpha, plan.limits, how);
    ranks.add_parts(work, dy, out.y, call.add);
    pairwise::start(work, Along{x, out.x, along[1]}, row_blocks);
  }
  const bool add = call.add || append;
  for (Index first = 0; first < total; first += plan.strip) {
    const core::MatrixView<Sum> dm{strip_gradient, keys(first).rows, d, d};
    if (Ranks::kAlone) mix(first);
    pairwise::sweep_gradients(work, table(0, first), {out.x, dm, add, false}, alpha, plan.limits,
                              how);
    pairwise::sweep_gradients(work, table(1, first), {out.y, dm, add, true}, alpha, plan.limits,
                              how);
    const auto m = ranks.own(keys(first), n);
    const auto own_dm = ranks.own(dm, n);
    ranks.add_parts(work, dm, own_dm, false);
    using Pull = pairwise::MixPullKernel<T, Operand>;
    pairwise::start(work,
                    Pull{x, y, lambda, first, m, own_dm, statistics[0], statistics[1],
                         each / call.temperature, out.x, out.y, dlambda, along[2]},
                    pairwise::ceil_div(m.rows, Pull::kRowsEach));
  }
  Index sums = 1;
  if (out.log_temperature)
    reduce.sum[sums++] = {along[2], row_blocks, -1, out.log_temperature, false};
  if (out.lambda && !lambda.each) reduce.sum[sums++] = {dlambda, n, 1, out.lambda, false};
  ranks.sums(work, reduce, sums);
  if (!append || !out.log_temperature) return;
  pairwise::ReduceKernel after{}, before{};
  after.sum[0] = {along[1], row_blocks, -1, out.log_temperature, true};
  before.sum[0] = {along[0], row_blocks, 1, out.log_temperature, true};
  ranks.sums(work, after, 1);
  if (call.add) ranks.sums(work, before, 1);
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
