// m2-Mix from views: the two tables of anchors against mixed keys, and the pullback through the
// mixing.
#pragma once

#include "spheremix/losses/mixing.hpp"

namespace spheremix::losses {

/// What the two directions of m2-Mix are added up to.
enum class Reduction {
  sum,   ///< mean over image rows + mean over text rows, as the authors' code trains
  mean,  ///< half of it
};

/// What the mixed rows are to the ordinary negatives.
enum class Negatives {
  replace,  ///< the denominator holds the positive and the n - 1 mixed negatives
  append,   ///< the n - 1 ordinary negatives stay beside them
};

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
};

template <class T>
Index m2_keys(const M2Call<T>& call) {
  return (call.negatives == Negatives::append ? 2 : 1) * call.x.rows;
}

/// Bytes of m2's own arrays: keys, their gradients, positives.
template <class T>
std::size_t m2_bytes(const M2Call<T>& call, bool gradients) {
  const std::size_t n = std::size_t(call.x.rows), d = std::size_t(call.x.cols);
  const std::size_t keys = std::size_t(m2_keys(call));
  std::size_t bytes = Workspace::bytes_for<T>(keys * d) + Workspace::bytes_for<Index>(2 * n) +
                      Workspace::bytes_for<T>(n) +
                      contrast_bytes<T>(Index(n), Index(keys), 2, false, gradients);
  if (gradients)
    bytes += Workspace::bytes_for<T>(keys * d) + Workspace::bytes_for<double>(n) +
             Workspace::bytes_for<T>(n);
  return bytes;
}

template <class T>
pairwise::Plan<T> m2_plan(const M2Call<T>& call, bool gradients, std::size_t budget) {
  using Policy = math::SoftmaxPair<T, true, false>;
  return pairwise::make_plan<T>(call.function, call.x.rows, m2_keys(call), call.x.cols,
                                pairwise::keep_for<Policy>(gradients), budget,
                                m2_bytes(call, gradients));
}

/// Value, and with out.dx gradients; dL/dlambda of each row is added to out_lambda.
/// Each direction: anchors A, positives p_i = a_i . b_i, keys M (or [B; M]), both diagonals out of
/// the table.
///   dA = E M, dM = E^T A, and p's part e_i: dA += e_i b_i, dB += e_i a_i;
///   then dM through the mixing.
template <class T>
ContrastResult run_m2(const M2Call<T>& call, const pairwise::Plan<T>& plan, Workspace::Frame frame,
                      const pairwise::PairGradients<T>& out, double* out_lambda) {
  const Index n = call.x.rows, d = call.x.cols, keys = m2_keys(call);
  const bool gradients = out.dx.data != nullptr, append = call.negatives == Negatives::append;
  const auto take = [&]<class U>(U*& array, Index count) {
    array = frame.take<U>(std::size_t(count));
  };
  T *key_data, *gradient_data = nullptr, *positive, *scratch = nullptr;
  double* pair_gradient = nullptr;
  Index* special;
  take(key_data, keys * d);
  take(special, 2 * n);
  take(positive, n);
  if (gradients) {
    take(gradient_data, keys * d);
    take(pair_gradient, n);
    take(scratch, n);
    std::fill(pair_gradient, pair_gradient + n, 0.0);
  }
  const MatrixView<T> key{key_data, keys, d, d}, mixed = key.middle_rows(keys - n, n);
  const MatrixView<T> dkey{gradient_data, keys, d, d};
  mix_rows<T>(call.function, call.x, call.y, call.lambda, mixed);
  for (Index i = 0; i < n; ++i) {
    special[2 * i] = pairwise::kOutside;  // the positive
    special[2 * i + 1] = keys - n + i;    // its own mixture
    positive[i] = T(row_product(call.x.row(i), call.y.row(i), d));
  }

  ContrastResult result;
  bool started_x = out.add_x, started_y = out.add_y;
  for (const bool second : {false, true}) {
    const MatrixView<const T> anchor = second ? call.y : call.x, other = second ? call.x : call.y;
    if (append) {
      put_rows<T>(key.middle_rows(0, n), other, false);
      for (Index i = 0; i < n; ++i) special[2 * i] = i;  // the ordinary table has the positive
    }
    const Contrast<T> contrast{anchor,  key, call.temperature, call.weight, 2, special,
                               nullptr, 1,   positive};
    pairwise::PairGradients<T> to{};
    if (gradients) {
      to = {second ? out.dy : out.dx, dkey, second ? started_y : started_x, second};
      if (second && append)
        for (Index i = 0; i < n; ++i) std::fill(dkey.row(i), dkey.row(i) + d, T(0));
    }
    Workspace::Frame rest = frame;
    const ContrastResult one = run_contrast<T, false>(contrast, plan, rest, to);
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
