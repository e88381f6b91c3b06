// mixup_cross_entropy on the CPU: formula, gradient and options in formula/mixup_cross_entropy.hpp.
//
// Shapes     Z (logits): n x classes, n >= 1; a, b: n labels in [0, classes); lambda: one number in
//            [0, 1] or one a row. c, w: n x k, weights >= 0 used as they are. Labels, lambda and
//            weights of any integer or floating type (core/numbers.hpp).
// Accuracy   in double, maxima subtracted, log1p for a dominant class: finite for any finite
//            logits.
// Errors     shapes, labels outside, lambda outside [0, 1], weights negative or not finite.
//            NaN or +infinity in a row, or no class that is there, gives NaN.
#pragma once

#include "spheremix/formula/mixup_cross_entropy.hpp"
#include "spheremix/losses/detail/mixed_labels.hpp"

namespace spheremix::losses {

namespace detail {

template <class T>
double mixup_row(const MixedRow<T>& row, const T* z, Index classes, double each, T* dz) {
  const LogSoftmax s = log_softmax_of(z, classes);
  double loss = 0, weights = 0;
  for (Index c = 0; c < row.count; ++c) {
    weights += row.weight[c];
    const double surprise = s.surprise(z, row.label[c]);
    if (row.weight[c] != 0) loss += row.weight[c] * surprise;
    if (row.gradient) row.gradient[c] = each * surprise;
  }
  if (dz) {
    for (Index j = 0; j < classes; ++j) dz[j] = T(each * weights * s.probability(z, j));
    for (Index c = 0; c < row.count; ++c) {
      const Index j = row.label[c];
      dz[j] = T(each * s.slope(z, j, row.weight_of(j), weights));
    }
  }
  return loss;
}

}  // namespace detail

/// The loss against two labels a row.
template <class Z, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double mixup_cross_entropy(const Eigen::MatrixBase<Z>& logits, const core::Numbers& a,
                                         const core::Numbers& b, const L& lambda, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::mean_across("mixup_cross_entropy", world...,
                               core::also(core::NoOptions{}, lambda), logits,
                               [&] { return mixup_cross_entropy(logits, a, b, lambda); });
  } else {
    return detail::two_labels_value("mixup_cross_entropy", logits, a, b, lambda,
                                    [](const auto&... args) { return detail::mixup_row(args...); });
  }
}

/// Loss and gradients into `out` (any struct with the fields of MixedLabelGradient).
template <class Z, class L, class Out, class... World>
requires core::Worlds<World...>
void mixup_cross_entropy_with_gradient(const Eigen::MatrixBase<Z>& logits, const core::Numbers& a,
                                       const core::Numbers& b, const L& lambda,
                                       core::Workspace& workspace, Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::mean_gradient_across(
        "mixup_cross_entropy_with_gradient", world..., core::also(core::NoOptions{}, lambda),
        logits, out,
        [&] { mixup_cross_entropy_with_gradient(logits, a, b, lambda, workspace, out); });
  } else {
    detail::two_labels_gradient(
        "mixup_cross_entropy_with_gradient", logits, a, b, lambda,
        [](const auto&... args) { return detail::mixup_row(args...); }, workspace, out);
  }
}

template <class Z, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto mixup_cross_entropy_with_gradient(const Eigen::MatrixBase<Z>& logits,
                                                     const core::Numbers& a, const core::Numbers& b,
                                                     const L& lambda, World&... world) {
  using T = core::Real<Z>;
  return detail::by_value<MixedLabelGradient<RowMatrix<T>, detail::LambdaGradient<T, L>>>(
      [&](auto& workspace, auto& out) {
        mixup_cross_entropy_with_gradient(logits, a, b, lambda, workspace, out, world...);
      });
}

/// The loss against k labels a row.
template <class Z, class... World>
requires core::Worlds<World...>
[[nodiscard]] double mixup_cross_entropy_k(const Eigen::MatrixBase<Z>& logits,
                                           const core::Numbers& labels,
                                           const core::Numbers& weights, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::mean_across("mixup_cross_entropy_k", world..., core::NoOptions{}, logits,
                               [&] { return mixup_cross_entropy_k(logits, labels, weights); });
  } else {
    return detail::k_labels_value("mixup_cross_entropy_k", logits, labels, weights,
                                  [](const auto&... args) { return detail::mixup_row(args...); });
  }
}

/// Loss and dL/dlogits into `out` (fields loss, logits).
template <class Z, class Out, class... World>
requires core::Worlds<World...>
void mixup_cross_entropy_k_with_gradient(const Eigen::MatrixBase<Z>& logits,
                                         const core::Numbers& labels, const core::Numbers& weights,
                                         core::Workspace& workspace, Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::mean_gradient_across(
        "mixup_cross_entropy_k_with_gradient", world..., core::NoOptions{}, logits, out,
        [&] { mixup_cross_entropy_k_with_gradient(logits, labels, weights, workspace, out); });
  } else {
    detail::k_labels_gradient(
        "mixup_cross_entropy_k_with_gradient", logits, labels, weights,
        [](const auto&... args) { return detail::mixup_row(args...); }, workspace, out);
  }
}

template <class Z, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto mixup_cross_entropy_k_with_gradient(const Eigen::MatrixBase<Z>& logits,
                                                       const core::Numbers& labels,
                                                       const core::Numbers& weights,
                                                       World&... world) {
  return detail::by_value<LogitGradient<RowMatrix<core::Real<Z>>>>([&](auto& workspace, auto& out) {
    mixup_cross_entropy_k_with_gradient(logits, labels, weights, workspace, out, world...);
  });
}

}  // namespace spheremix::losses
