// sup_remix on the CPU: formula, gradient and options in formula/sup_remix.hpp.
//
// Cost       6 n^2 d flops and sum_i |L_i| |R_i| exponentials; memory O(strip x n) and 3 n d.
//            renormalise, labels by distances: the whole of S and of dL/dS in double, and one thread
//            (remix_dense.hpp).
// Shapes     X: n x d; labels: n finite numbers of any type (core/numbers.hpp), or label_distances
//            of labels of several dimensions. Anchors without a positive are left out and counted.
// Errors     as sup_con; lambda outside [0, 1]; window not positive. NaN in a row gives NaN.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/mixed_key.hpp"
#include "spheremix/formula/sup_remix.hpp"
#include "spheremix/losses/detail/remix_dense.hpp"

namespace spheremix::losses {

namespace detail {

/// Mix-pos with left parent j: logits over the right parents [right, end) into z. away: the labels
/// less the anchor's.
template <class T>
void mix_positive_logits(const T* s, const double* away, Index j, Index right, Index end, T scale,
                         T* z) {
  const double to_left = -away[j];
  const T sj = s[j];
  for (Index k = right; k < end; ++k) {
    const T l = T(away[k] / (to_left + away[k]));
    z[k - right] = formula::shared_logit(scale, l, sj, s[k]);
  }
}

/// Everything about one anchor: `row` is its row of S in the order of the labels.
template <class T>
struct RemixAnchor {
  const RemixRows& rows;
  const SupRemixOptions& options;
  const RemixLambda<T>& lambda;
  Index n, anchors;
  bool gradients;

  /// loss and moment (sum of c s tau / anchors' share) of the anchor; G in row.s and row.other.
  void operator()(const pairwise::PairRow<T>& row, double& loss, double& moment) const {
    const auto& order = rows.order;
    const Index i = row.i, low = order.first[i], high = order.last[i];
    const Index left = rows.left(i), end = rows.right_end(i);
    const double count = rows.positives(i);
    double* const away = reinterpret_cast<double*>(row.scratch);
    T *const s = row.s, *const share = row.scratch + pairwise::kDoubleRow<T> * row.stride,
             *const mixed = share + row.stride, *const real = mixed + row.stride,
             *const z = real + row.stride, *const back = z + row.stride;
    loss = moment = 0;
    if (count == 0) {
      if (gradients) std::fill_n(s, n, T(0));
      if (gradients && row.other) std::fill_n(row.other, n, T(0));
      return;
    }
    for (Index k = 0; k < n; ++k) away[k] = rows.away(i, k);
    const T scale = T(1 / options.temperature), self = s[i];
    const auto weight = [this](double d) { return options.weigh(d); };
    const auto is_equal = [=](Index k) { return k >= low && k < high; };

    s[i] = -core::infinity<T>;
    T top = scale * SPHEREMIX_DISPATCH(row_largest<T>)(s, n);
    for (Index k = 0; k < n; ++k) {
      if (!options.mix_negatives || is_equal(k)) {
        mixed[k] = -core::infinity<T>;
        continue;
      }
      share[k] = T(lambda(order.place[i], order.place[k]));
      mixed[k] = formula::shared_logit(scale, share[k], self, s[k]);
    }
    top = (std::max)(top, SPHEREMIX_DISPATCH(row_largest<T>)(mixed, n));
    SPHEREMIX_DISPATCH(row_exponential<T>)(s, scale, top, real, n);
    std::copy_n(mixed, n, back);  // the logits, for the moment
    SPHEREMIX_DISPATCH(row_exponential<T>)(mixed, T(1), top, mixed, n);

    double sum = 0, mean = 0, wanted = 0;  // sum w e, sum w e z, sum of the positives' z
    for (Index k = 0; k < n; ++k) {
      if (k == i) continue;
      const double zk = double(scale * s[k]);
      const double r = (is_equal(k) ? 1 : weight(away[k])) * double(real[k]);
      real[k] = T(r);
      sum += r;
      mean += r * zk;
      if (is_equal(k)) wanted += zk;
      if (mixed[k] > 0) {
        const double m = weight((1 - double(share[k])) * away[k]) * double(mixed[k]);
        mixed[k] = T(m);
        sum += m;
        mean += m * double(back[k]);
      }
    }
    for (Index j = left; j < low && end > high; ++j) {
      mix_positive_logits(s, away, j, high, end, scale, z);
      for (Index k = 0; k < end - high; ++k) wanted += double(z[k]);
      sum += SPHEREMIX_DISPATCH(row_exponential<T>)(z, T(1), top, back, end - high);
      for (Index k = 0; k < end - high; ++k) mean += double(back[k]) * double(z[k]);
    }
    const double line = 1 / double(anchors);
    loss = line * (double(top) + std::log(sum) - wanted / count);
    moment = line * (mean / sum - wanted / count);
    if (!gradients) return;

    const double unit = line / options.temperature;
    double own = 0;  // of the pair (i, i), through Mix-neg
    T* const other = row.other;
    for (Index k = 0; k < n; ++k) z[k] = s[k];  // S, while s takes G
    for (Index k = 0; k < n; ++k) {
      if (k == i) {
        s[k] = 0;
        if (other) other[k] = 0;
        continue;
      }
      const double c = unit * (double(real[k]) / sum - (is_equal(k) ? 1 / count : 0));
      const double m = is_equal(k) ? 0 : unit * double(mixed[k]) / sum;
      const double l = m != 0 ? double(share[k]) : 0;
      own += m * l;
      if (other) other[k] = T(c);
      s[k] = T(c + m * (1 - l));
    }
    s[i] = T(own);
    for (Index j = left; j < low && end > high; ++j) {
      const Index width = end - high;
      mix_positive_logits(z, away, j, high, end, scale, mixed);
      SPHEREMIX_DISPATCH(row_exponential<T>)(mixed, T(1), top, back, width);
      double to_left = 0;
      for (Index k = 0; k < width; ++k) {
        const double c = unit * (double(back[k]) / sum - 1 / count);
        const double l = away[high + k] / (away[high + k] - away[j]);
        to_left += c * l;
        s[high + k] += T(c * (1 - l));
      }
      s[j] += T(to_left);
    }
  }
};

template <class T>
SupervisedResult sup_remix_on_views(const char* function, MatrixView<const T> x,
                                    const Numbers& labels, const RemixLambda<T>& lambda,
                                    const SupRemixOptions& o, Workspace& workspace,
                                    MatrixView<T> dx) {
  expects_remix<T>(function, o);
  if (o.renormalise) return remix_dense<RemixRows>(function, x, labels, lambda, o, workspace, dx);
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr;
  using Arrays = SupervisedArrays<T, RemixRows>;
  const auto plan = pairwise::make_row_plan<T>(function, n, n, d, 5 + pairwise::kDoubleRow<T>,
                                               gradients && o.detach, o.memory_budget,
                                               core::bytes_of<Arrays>(labels, o, d, gradients));
  if (!computable(x, x, o.temperature)) {
    if (gradients) fill_nan(dx);
    return {core::nan<double>, core::nan<double>, 0};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const Arrays arrays(labels, o, d, gradients, frame);
  const RemixRows& rows = arrays.order;
  SupervisedResult result;
  for (Index i = 0; i < n; ++i) result.skipped += rows.positives(i) == 0;
  double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
  const MatrixView<T> sorted = arrays.sorted.rows;
  gather_rows<T>(x, rows.order.place, sorted);
  const pairwise::PairGradients<T> to = arrays.sorted.gradients();
  const RemixAnchor<T> anchor{rows, o, lambda, n, n - result.skipped, gradients};
  pairwise::row_sweep<T>(
      sorted, sorted, plan, frame,
      [&](const pairwise::PairRow<T>& row) { anchor(row, loss[row.i], moment[row.i]); }, to);
  if (gradients) scatter_sum<T>(to.dx, to.dy, rows.order.place, dx);
  for (Index i = 0; i < n; ++i) {
    result.loss += loss[i];
    result.log_temperature -= moment[i];
  }
  return result;
}

/// By distances: the whole table in double.
template <class T>
SupervisedResult sup_remix_on_views(const char* function, MatrixView<const T> x,
                                    const LabelDistances& labels, const RemixLambda<T>& lambda,
                                    const SupRemixOptions& o, Workspace& workspace,
                                    MatrixView<T> dx) {
  expects_remix<T>(function, o);
  return remix_dense<RemixTable>(function, x, labels, lambda, o, workspace, dx);
}

template <class X, class Y, class L>
double sup_remix_value(Local here, const Eigen::MatrixBase<X>& x, const Y& labels, L& lambda,
                       const SupRemixOptions& options) {
  using T = core::Real<X>;
  const GivenLabels<Y> given(labels);
  const RemixLambdaArgument<T, std::remove_reference_t<L>> weights("sup_remix", lambda, x.rows(),
                                                                   options.beta_a, options.beta_b);
  return supervised_value(
             "sup_remix", x, given,
             [&](auto view, const auto& y, auto& workspace, auto dx) {
               return sup_remix_on_views<T>("sup_remix", view, y, weights.value(), options,
                                            workspace, dx);
             },
             here)
      .loss;
}

}  // namespace detail

/// The loss, in nats. labels: numbers (core/numbers.hpp) or LabelDistances; lambda: a number, an
/// n x n matrix, or a core::Philox to draw from.
template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double sup_remix(const Eigen::MatrixBase<X>& x, const Y& labels, L&& lambda,
                               const SupRemixOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across(
        "sup_remix", world..., options,
        [&](detail::Local here, auto&... all) {
          return detail::sup_remix_value(here, all..., options);
        },
        x, core::per_row(labels), detail::remix_lambda_across(lambda));
  } else {
    return detail::sup_remix_value(detail::Local{}, x, labels, lambda, options);
  }
}

/// Loss and gradient into `out` (any struct with the fields of SupervisedGradient).
template <class X, class Y, class L, class Out, class... World>
requires core::Worlds<World...>
void sup_remix_with_gradient(const Eigen::MatrixBase<X>& x, const Y& labels, L&& lambda,
                             const SupRemixOptions& options, core::Workspace& workspace, Out& out,
                             World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "sup_remix_with_gradient", world..., options, workspace, out,
        [&](auto& memory, auto&... all) -> auto& {
          auto& part =
              detail::whole_gradient<decltype(sup_remix_with_gradient(all..., options))>(memory);
          sup_remix_with_gradient(all..., options, memory, part);
          return part;
        },
        x, core::per_row(labels), detail::remix_lambda_across(lambda));
  } else {
    using T = core::Real<X>;
    constexpr auto* name = "sup_remix_with_gradient";
    const detail::GivenLabels<Y> given(labels);
    const detail::RemixLambdaArgument<T, std::remove_reference_t<L>> weights(
        name, lambda, x.rows(), options.beta_a, options.beta_b);
    detail::supervised_gradient(
        name, x, given,
        [&](auto view, const auto& y, auto& memory, auto dx) {
          return detail::sup_remix_on_views<T>(name, view, y, weights.value(), options, memory, dx);
        },
        workspace, out);
  }
}

template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto sup_remix_with_gradient(const Eigen::MatrixBase<X>& x, const Y& labels,
                                           L&& lambda, const SupRemixOptions& options = {},
                                           World&... world) {
  return detail::by_value<SupervisedGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        sup_remix_with_gradient(x, labels, lambda, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_SUP_REMIX(T)                                                                   \
  SupervisedResult sup_remix_on_views(const char*, MatrixView<const T>, const Numbers&,          \
                                      const RemixLambda<T>&, const SupRemixOptions&, Workspace&, \
                                      MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SUP_REMIX)
#define SPHEREMIX_SUP_REMIX_BY_DISTANCE(T)                                                       \
  SupervisedResult sup_remix_on_views(const char*, MatrixView<const T>, const LabelDistances&,   \
                                      const RemixLambda<T>&, const SupRemixOptions&, Workspace&, \
                                      MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SUP_REMIX_BY_DISTANCE)
}  // namespace spheremix::losses::detail
