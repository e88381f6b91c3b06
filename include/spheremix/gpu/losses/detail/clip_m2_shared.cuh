// CLIP + m2-Mix with Negatives::replace from shared tiles of cosines (clip_m2/sweeps.cuh): 16
// N^2 D flops for both instead of 24.
//
// With the slerp weights a_j, b_j of pair j, m_j = a_j x_j + b_j y_j, so
//
//   x_i . m_j = a_j x_i.x_j + b_j x_i.y_j        y_i . m_j = a_j y_i.x_j + b_j y_i.y_j
//
// and the pullback through the mixing needs no dL/dm_j: its part along the weights is in the
// gradients of the cosines, the rest takes dL/da_j and dL/db_j only (math::arc_slerp_vjp).
//
// The weights of a pair at angle theta are at most 1 / sin(theta): errors grow by as much. Beyond 3
// rad rather mix the rows themselves (ClipM2MixOptions::shared = false).
#pragma once

#include "spheremix/gpu/losses/detail/clip_m2/sweeps.cuh"
#include "spheremix/gpu/losses/detail/m2_tables.cuh"

namespace spheremix::gpu::losses::detail {

/// weights[j] = (a_j, b_j); one warp a pair.
template <class Input>
struct MixPairWeightsKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 4, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;

  core::MatrixView<const Input> x, y;
  RowScalar<T> lambda;
  pairwise::RowPair<T>* weights;

  __device__ void operator()() const {
    const Index j = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (j >= x.rows) return;
    pairwise::MixedPair<Input> pair{x.row(j), y.row(j), x.cols};
    const math::Arc<T> arc = pair.arc();
    const T l = lambda(j);
    // s S + d D = (s - d) x + (s + d) y: the mixture of mix_rows.cuh, also of rows not quite unit
    const math::ArcVector<T> m = math::arc_slerp(arc, 1 - l);
    const math::ArcWeights<T> w =
        arc.coincident ? math::arc_weights(arc, 1 - l) : math::ArcWeights<T>{m.s - m.d, m.s + m.d};
    const bool sound = l >= 0 && l <= 1 && !arc.antipodal;
    const T a = l == 1 ? T(1) : l == 0 ? T(0) : sound ? w.a : core::nan<T>;
    const T b = l == 0 ? T(1) : l == 1 ? T(0) : sound ? w.b : core::nan<T>;
    if (threadIdx.x % kWarp == 0) weights[j] = {a * pair.x_scale, b * pair.y_scale};
  }
};

/// What is left after the products, a warp a pair: the positives, the pullback in the plane of the
/// pair, dL/dlambda, and the sums for both temperatures.
template <class Input>
struct MixSharedPullKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 4, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 2 * kRowsEach * sizeof(double);

  core::MatrixView<const Input> x, y;
  RowScalar<T> lambda;
  const pairwise::RowPair<T>* weights;
  const pairwise::RowPair<T>* lines[clip_m2::kMixLines];  ///< .b: weight of the positive
  const T* positives;                                     ///< cosines
  double clip, mix;                                       ///< dL/d(cosine) of weight 1
  const T *da, *db;                                       ///< dL/d weights over alpha
  T alpha;
  core::MatrixView<T> dx, dy;
  double* dlambda;                     ///< by pair
  double *clip_moments, *mix_moments;  ///< one a block

  __device__ void operator()() const {
    using namespace clip_m2;
    const Index j = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double moments[2] = {0, 0};
    if (j < x.rows) {
      MixedPair<Input> pair{x.row(j), y.row(j), x.cols};
      const math::Arc<T> arc = pair.arc();
      const T of_clip = T(clip) * (lines[kClipOfX][j].b + lines[kClipOfY][j].b),
              of_mix = T(mix) * (lines[kMixOfX][j].b + lines[kMixOfY][j].b), g = of_clip + of_mix;
      const T ga = alpha * da[j], gb = alpha * db[j];
      const T along_x = pair.x_scale * ga, along_y = pair.y_scale * gb;
      const math::ArcGradient<T> pull =
          math::arc_slerp_vjp(arc, 1 - lambda(j), along_x + along_y, along_y - along_x);
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const T a = pair.a(k), b = pair.b(k), s = a + b, d = b - a;
        dx(j, k) += g * T(widen(y(j, k))) + pull.s_a * s + pull.d_a * d;
        dy(j, k) += g * T(widen(x(j, k))) + pull.s_b * s + pull.d_b * d;
      }
      if (threadIdx.x % kWarp == 0) {
        dlambda[j] = -double(pull.t);
        moments[0] = double(of_clip) * double(positives[j]);
        moments[1] = double(of_mix) * double(positives[j]) + double(weights[j].a) * double(ga) +
                     double(weights[j].b) * double(gb);
      }
    }
    block_sums<kThreads>(moments, 2, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) {
      clip_moments[blockIdx.x] = moments[0];
      mix_moments[blockIdx.x] = moments[1];
    }
  }
};

struct ClipM2Call {
  double temperature, mix_temperature;
  double mix_weight;  ///< of each direction's mean, reduction included
};

template <class Tile, class T, class Products>
void clip_m2_shared(Work& work, const core::MatrixView<const T>& x,
                    const core::MatrixView<const T>& y, const RowScalar<Arithmetic<T>>& lambda,
                    const ClipM2Call& call, Index block, const MixGradient<T>& out,
                    double* log_temperature, const Products& how) {
  using namespace clip_m2;
  using Sum = typename Tile::Sum;
  using Finish = FinishKernel<Sum>;
  using Pull = MixSharedPullKernel<T>;
  const Index n = x.rows, loss_blocks = ceil_div(n, Finish::kThreads),
              row_blocks = ceil_div(n, Pull::kRowsEach);
  const MixLimits limits = mix_limits<Tile>(n, block);
  const Index tiles = limits.weights_tiles(Tile::kEdge);
  MixTables<Tile> tables{};
  const auto operands = make_operands<Tile>(work, x, y);
  tables.x = operands.x;
  tables.y = operands.y;
  auto* const weights = work.take<RowPair<Sum>>(n);
  for (auto& line : tables.lines) line = work.take<RowPair<Sum>>(n);
  Sum* const positives = work.take<Sum>(n);
  Sum* const da = work.take<Sum>(n);
  Sum* const db = work.take<Sum>(n);
  double* const losses = work.take<double>(2 * loss_blocks);
  double* const moments = work.take<double>(tiles * tiles + row_blocks);  // tiles', then the pairs'
  double* const mix_moments = work.take<double>(row_blocks);
  double* const own_lambda = work.take<double>(n);

  const auto base2 = [](double temperature) { return 1 / (temperature * 0.693147180559945309417); };
  tables.scale = {Sum(base2(call.temperature)), Sum(base2(call.mix_temperature))};
  tables.weights = weights;
  using PairWeights = MixPairWeightsKernel<T>;
  start(work, PairWeights{x, y, lambda, weights}, ceil_div(n, PairWeights::kRowsEach));
  using Dot = PairDotKernel<typename Tile::Input>;
  start(work, Dot{tables.x, tables.y, positives}, ceil_div(n, Dot::kRowsEach));
  mix_statistics(work, tables, limits);
  const double half = 0.5 / double(n), each = call.mix_weight / double(n);
  start(work,
        Finish{n, positives, tables.scale.clip, tables.lines[kClipOfX], tables.lines[kClipOfY],
               half, half, losses},
        loss_blocks);
  start(work,
        Finish{n, positives, tables.scale.mix, tables.lines[kMixOfX], tables.lines[kMixOfY], each,
               each, losses + loss_blocks},
        loss_blocks);
  ReduceKernel reduce{};
  reduce.sum[0] = {losses, 2 * loss_blocks, 1, out.loss};
  if (!out.x.data) return start(work, reduce, 1);

  // dL/d(cosine) of weight 1; `most` bounds |H| below 2 up to slerp weights of 4 (2.9 rad)
  const double clip = half / call.temperature, mix = each / call.mix_temperature,
               most = clip + 4 * std::fabs(mix);
  const double to_weights = double(Tile::kWeightScale) / most, alpha = 1 / to_weights;
  mix_gradients(work, tables, {Sum(clip * to_weights), Sum(mix * to_weights)}, Sum(alpha),
                {out.x, out.y, da, db, moments}, limits, how);
  double* const dlambda = lambda.each && out.lambda ? out.lambda : own_lambda;
  start(work,
        Pull{x,
             y,
             lambda,
             weights,
             {tables.lines[0], tables.lines[1], tables.lines[2], tables.lines[3]},
             positives,
             clip,
             mix,
             da,
             db,
             Sum(alpha),
             out.x,
             out.y,
             dlambda,
             moments + tiles * tiles,
             mix_moments},
        row_blocks);
  Index sums = 1;
  if (out.lambda && !lambda.each) reduce.sum[sums++] = {dlambda, n, 1, out.lambda};
  if (out.log_temperature) reduce.sum[sums++] = {mix_moments, row_blocks, -1, out.log_temperature};
  start(work, reduce, sums);
  if (!log_temperature) return;
  ReduceKernel of_clip{};
  of_clip.sum[0] = {moments, tiles * tiles + row_blocks, -1, log_temperature};
  start(work, of_clip, 1);
}

}  // namespace spheremix::gpu::losses::detail
