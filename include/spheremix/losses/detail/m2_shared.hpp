// CLIP + m2-Mix with gradients from shared tables of cosines (losses/detail/clip_m2/sweeps.hpp): 12 n^2 d flops
// for both where the budget holds all tables, up to 16 where it holds one strip of them, instead of 18
// to 20.
//
// With the slerp weights A_j, B_j of pair j the mixed row is m_j = A_j v_j + B_j t_j, so
//
//   v_i . m_j = A_j v_i.v_j + B_j v_i.t_j        t_i . m_j = A_j t_i.v_j + B_j t_i.t_j
//
// and the pullback through the mixing needs no dL/dm_j: its part w g along the weights is in the
// gradients of the tables, the rest takes g . v_j = dL/dA_j and g . t_j = dL/dB_j only
// (math::arc_slerp_vjp).
//
// Not for every batch: rows must be unit to a few eps, for m_j is the mixture of the unit rows. And the
// closer a pair is to equal or antipodal, the more dL/dA - dL/dB or their sum cancels, and near pi the
// weights grow. The direct route (m2_tables.hpp) has no such limits.
#pragma once

#include "spheremix/losses/detail/clip_m2/sweeps.hpp"
#include "spheremix/losses/detail/m2_tables.hpp"

namespace spheremix::losses::detail {

inline constexpr double kSharedNearest = 0.02,
                        kSharedFarthest = 2.6;  ///< angles of a pair: A, B < 2
inline constexpr Index kSharedRows = 64;        ///< fewer rows are not worth it
inline constexpr double kSharedUnit = 4;        ///< eps that |x|^2 may be away from 1

/// The arrays with a number a row.
template <class T>
struct SharedRows {
  math::Arc<T>* arc;
  T *a, *b;  ///< slerp weights of each pair
  clip_m2::MixLines<T> lines{};
  T *shift[clip_m2::kMixLines], *factor[clip_m2::kMixLines];
  double* special[clip_m2::kMixLines];
  Index *diagonal, *outside;
  formula::ApartEntries<T>* columns;
  double *da, *db;

  SharedRows(Index n, Workspace::Frame& frame) {
    const auto take = [&]<class U>(U*& array) { array = frame.take<U>(std::size_t(n)); };
    take(arc);
    take(a);
    take(b);
    take(lines.positive);
    for (int k = 0; k < clip_m2::kMixLines; ++k) {
      take(lines.top[k]);
      take(lines.sum[k]);
      take(shift[k]);
      take(factor[k]);
      take(special[k]);
    }
    take(diagonal);
    take(outside);
    take(columns);
    take(da);
    take(db);
  }
};

/// All that this route takes.
template <class T>
struct SharedArrays {
  SharedRows<T> rows;
  clip_m2::MixMemory<T> tables;

  SharedArrays(const clip_m2::MixPlan& plan, Workspace::Frame& frame)
      : rows(plan.n, frame), tables(plan, frame) {}
};

/// How a batch of n pairs takes this route in `budget` bytes; nothing where it cannot.
template <class T>
std::optional<clip_m2::MixPlan> shared_plan(Index n, std::size_t budget) {
  if (n < kSharedRows) return {};
  return clip_m2::make_mix_plan<T>(n, core::budget_left(budget, core::bytes_of<SharedRows<T>>(n)));
}

template <class T>
bool nearly_unit(const T* x, Index d) {
  return std::abs(row_product(x, x, d) - 1) <= kSharedUnit * double(core::epsilon<T>);
}

/// Arcs from t_j to v_j and the weights of both. False where the route is not for this batch.
template <class T>
bool mix_weights(MatrixView<const T> v, MatrixView<const T> t, RowParameter<T> lambda,
                 math::Arc<T>* arc, T* a, T* b) {
  return sphere::detail::first_undefined(v.rows, v.cols, [=](Index i) {
           if (!nearly_unit(v.row(i), v.cols) || !nearly_unit(t.row(i), v.cols)) return false;
           new (arc + i) math::Arc<T>(sphere::detail::arc_between(t.row(i), v.row(i), v.cols));
           const double theta = double(arc[i].theta);
           if (!(theta >= kSharedNearest && theta <= kSharedFarthest)) return false;
           const math::ArcWeights<T> w = math::arc_weights(arc[i], lambda[i]);
           a[i] = w.b;
           b[i] = w.a;
           return true;
         }) < 0;
}

/// What clip_m2_mix needs of both losses.
struct SharedResult {
  double loss = 0, log_temperature = 0, log_mix_temperature = 0;
};

/// Value and gradients (set, not added) of clip + call's m2-Mix with Negatives::replace; dL/dlambda is
/// added to out_lambda. False, with nothing done, where the route is not for this batch.
template <class T>
bool run_shared(const M2Call<T>& call, double temperature, const clip_m2::MixPlan& plan,
                Workspace::Frame frame, MatrixView<T> dx, MatrixView<T> dy, double* out_lambda,
                SharedResult& result) {
  using namespace clip_m2;
  const MatrixView<const T> v = call.x, t = call.y;
  const Index n = v.rows, d = v.cols;
  const SharedArrays<T> arrays(plan, frame);
  const auto& [arcs, a, b, lines, shift, factor, special, diagonal, outside, columns, slope_a,
               slope_b] = arrays.rows;
  const math::Arc<T>* const arc = arcs;
  double *const da = slope_a, *const db = slope_b;
  if (!mix_weights(v, t, call.lambda, arcs, a, b)) return false;
  put_apart(formula::Diagonal(), n, diagonal);
  put_apart(formula::Outside(), n, outside);

  MixSweeps<T> sweeps(v, t, a, b, plan, arrays.tables);
  const T scale = T(1 / temperature), mix_scale = T(1 / call.temperature);
  sweeps.statistics(scale, mix_scale, lines);

  // Between the sweeps: CLIP over rows and columns of V T^T, m2-Mix over two sets of rows whose positive
  // is not among their keys.
  const double clip_weight = 0.5 / double(n), mix_weight = call.weight / double(n);
  {
    const PairTable<T> table{v, t, 1, diagonal};
    const SpecialTargets<T> targets{table, nullptr, 1, scale};
    const SoftmaxStatistics<T> stats{lines.top[kClipOfV], lines.sum[kClipOfV], lines.top[kClipOfT],
                                     lines.sum[kClipOfT], lines.positive};
    const SoftmaxWeights<T> to{shift[kClipOfV], factor[kClipOfV], shift[kClipOfT], factor[kClipOfT],
                               special[kClipOfV]};
    SoftTargetLines<T> clip(targets, clip_weight, stats, to, columns);
    clip.rows(0, n);
    clip.cols(0, n);
    result.loss = clip.loss();
  }
  for (const int k : {kMixOfV, kMixOfT}) {
    const PairTable<T> table{v, t, 1, outside};
    const SpecialTargets<T> targets{table, nullptr, 1, mix_scale};
    const SoftmaxStatistics<T> stats{lines.top[k], lines.sum[k], nullptr, nullptr, lines.positive};
    const SoftmaxWeights<T> to{shift[k], factor[k], nullptr, nullptr, special[k]};
    SoftTargetRows<T> mix(targets, mix_weight, stats, to);
    mix.rows(0, n);
    result.loss += mix.loss();
  }
  double moment = 0, mix_moment = 0;
  for (Index i = 0; i < n; ++i) {
    const double mixed = special[kMixOfV][i] + special[kMixOfT][i], clip = special[kClipOfV][i];
    moment += clip * double(lines.positive[i]);
    mix_moment += mixed * double(lines.positive[i]);
    special[kClipOfV][i] = clip + mixed;
    for (const int k : {kClipOfV, kClipOfT}) factor[k][i] *= scale * T(clip_weight);
    for (const int k : {kMixOfV, kMixOfT}) factor[k][i] *= mix_scale * T(mix_weight);
  }

  moment += sweeps.gradients(scale, mix_scale, shift, factor, dx, dy, da, db);
  add_pairs<T>(dx, dy, v, t, special[kClipOfV]);
  for (Index i = 0; i < n; ++i) mix_moment += double(a[i]) * da[i] + double(b[i]) * db[i];
  result.log_temperature = -moment;
  result.log_mix_temperature = -mix_moment;

  // The rest of the pullback, in the plane of t_i and v_i: g.S = dA + dB, g.D = dA - dB for the arc from
  // t to v.
  over_row_chunks(n, d, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      const T gs = T(da[i] + db[i]), gd = T(da[i] - db[i]);
      const math::ArcGradient<T> w = math::arc_slerp_vjp(arc[i], call.lambda[i], gs, gd);
      out_lambda[i] += double(w.t);
      const T *x = v.row(i), *y = t.row(i);
      T *to_x = dx.row(i), *to_y = dy.row(i);
      for (Index k = 0; k < d; ++k) {
        const T sum = x[k] + y[k], difference = x[k] - y[k];
        to_y[k] += w.s_a * sum + w.d_a * difference;
        to_x[k] += w.s_b * sum + w.d_b * difference;
      }
    }
  });
  return true;
}

}  // namespace spheremix::losses::detail
