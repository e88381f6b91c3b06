// m2-Mix from views: the two tables of anchors against mixed keys, and the pullback through the
// mixing.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/m2_mix.hpp"
#include "spheremix/losses/detail/mix_table.hpp"
#include "spheremix/losses/detail/mixing.hpp"

namespace spheremix::losses {

namespace detail {

/// m2-Mix as part of a larger loss: weight w, gradients added to what is there.
template <class T>
struct M2Call {
  const char* function;
  MatrixView<const T> x, y;
  RowParameter<T> lambda;
  double temperature;
  double weight;  ///< of each direction's mean
  Negatives negatives;
  const MixExtras* extras = nullptr;
  const ContrastRing<T>* ring = nullptr;  ///< X and Y are this rank's
};

template <class T>
Index m2_keys(const M2Call<T>& call) {
  return (call.negatives == Negatives::append ? 2 : 1) * call.x.rows;
}

template <class T>
struct M2Arrays {
  MatrixView<T> key, dkey{};  ///< the mixtures come last
  Index* special;             ///< two a row: its positive, its own mixture
  T *positive, *scratch = nullptr;
  double* pair_gradient = nullptr;
  ContrastArrays<T> contrast;
  std::optional<MixTable<T>> table;

  M2Arrays(const M2Call<T>& call, bool gradients, Workspace::Frame& frame)
      : key(take_rows<T>(frame, m2_keys(call), call.x.cols)),
        special(frame.take<Index>(std::size_t(2 * call.x.rows))),
        positive(frame.take<T>(std::size_t(call.x.rows))),
        contrast(call.x.rows, m2_keys(call), 2, false, gradients, frame) {
    if (call.extras) table.emplace(*call.extras, frame);
    if (!gradients) return;
    dkey = take_rows<T>(frame, m2_keys(call), call.x.cols);
    pair_gradient = frame.take<double>(std::size_t(call.x.rows));
    scratch = frame.take<T>(std::size_t(call.x.rows));
  }
};

/// other_bytes: of the budget, what the caller needs itself.
template <class T>
pairwise::Plan<T> m2_plan(const M2Call<T>& call, bool gradients, std::size_t budget,
                          std::size_t other_bytes) {
  using Policy = formula::SoftmaxPair<T, true, false>;
  return make_plan_on<Policy>(call.ring, call.function, call.x.rows, m2_keys(call), call.x.cols,
                              gradients, budget,
                              other_bytes + core::bytes_of<M2Arrays<T>>(call, gradients));
}

/// Value, and with out.dx gradients; dL/dlambda of each row is added to out_lambda. On a ring: this
/// rank's part.
/// Each direction: anchors A, positives p_i = a_i . b_i, keys M (or [B; M]), both diagonals out of
/// the table.
///   dA = E M, dM = E^T A, and p's part e_i: dA += e_i b_i, dB += e_i a_i;
///   then dM through the mixing.
template <class T>
ContrastResult run_m2(const M2Call<T>& call, const pairwise::Plan<T>& plan, Workspace::Frame frame,
                      const pairwise::PairGradients<T>& out, double* out_lambda) {
  const Index n = call.x.rows, d = call.x.cols, keys = m2_keys(call);
  const bool gradients = call.ring ? call.ring->gradients : out.dx.data != nullptr,
             append = call.negatives == Negatives::append;
  const M2Arrays<T> arrays(call, gradients, frame);
  T *const positive = arrays.positive, *const scratch = arrays.scratch;
  double* const pair_gradient = arrays.pair_gradient;
  Index* const special = arrays.special;
  if (gradients) std::fill(pair_gradient, pair_gradient + n, 0.0);
  const MatrixView<T> key = arrays.key, mixed = key.middle_rows(keys - n, n), dkey = arrays.dkey;
  mix_rows<T>(call.function, call.x, call.y, call.lambda, mixed);
  put_apart(formula::OwnMixture(keys - n), n, special);
  for (Index i = 0; i < n; ++i) positive[i] = T(row_product(call.x.row(i), call.y.row(i), d));

  ContrastResult result;
  bool started_x = out.add_x, started_y = out.add_y;
  for (const bool second : {false, true}) {
    const MatrixView<const T> anchor = second ? call.y : call.x, other = second ? call.x : call.y;
    if (append) put_rows<T>(key.middle_rows(0, n), other, false);
    Contrast<T> contrast{.x = anchor,
                         .y = key,
                         .temperature = call.temperature,
                         .weight = call.weight,
                         .slot_count = formula::OwnMixture::kSlots,
                         .special = special,
                         .outside = positive,
                         .ring = call.ring};
    if (call.ring) contrast.lines = call.ring->lines;
    pairwise::TileSteps<T> steps;
    if (arrays.table) arrays.table->put(contrast, second, steps);
    pairwise::PairGradients<T> to{};
    if (gradients) {
      to = {second ? out.dy : out.dx, dkey, second ? started_y : started_x, second};
      if (second && append)
        for (Index i = 0; i < n; ++i) std::fill(dkey.row(i), dkey.row(i) + d, T(0));
    }
    Workspace::Frame rest = frame;
    const ContrastResult one = run_contrast<T, false>(contrast, arrays.contrast, plan, rest, to);
    result.loss += one.loss;
    result.log_temperature += one.log_temperature;
    if (!gradients) continue;
    (second ? started_y : started_x) = true;
    if (append) {
      put_rows<T>(second ? out.dx : out.dy, dkey.middle_rows(0, n), second ? started_x : started_y);
      (second ? started_x : started_y) = true;
    } else {
      for (Index i = 0; i < n; ++i) pair_gradient[i] += one.special[2 * i];
    }
  }
  if (!gradients) return result;
  if (!append) add_pairs<T>(out.dx, out.dy, call.x, call.y, pair_gradient);
  // The keys are no longer needed: their places take the pullback.
  const MatrixView<T> dmixed = dkey.middle_rows(keys - n, n);
  mix_rows_vjp<T>(call.x, call.y, call.lambda, dmixed, mixed, dmixed, scratch, out_lambda);
  put_rows<T>(out.dx, mixed, true);
  put_rows<T>(out.dy, dmixed, true);
  return result;
}

}  // namespace detail
}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_M2_TABLES(T)                                                        \
  ContrastResult run_m2(const M2Call<T>&, const pairwise::Plan<T>&, Workspace::Frame, \
                        const pairwise::PairGradients<T>&, double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_M2_TABLES)
}  // namespace spheremix::losses::detail
