// decoupled_mixup on the CPU: formula, gradient and options in formula/decoupled_mixup.hpp.
//
// Shapes, errors, accuracy as mixup_cross_entropy; eta, power >= 0, threshold > 0.
#pragma once

#include "spheremix/formula/decoupled_mixup.hpp"
#include "spheremix/formula/logistic.hpp"
#include "spheremix/losses/mixup_cross_entropy.hpp"

namespace spheremix::losses {

namespace detail {

using formula::decoupled_weight;
using formula::DecoupledWeight;
using formula::sigmoid;
using formula::softplus;

template <class T>
struct DecoupledRow {
  const DecoupledMixupOptions& options;

  /// The labels of a row, which are all different.
  struct Labels {
    const MixedRow<T>& row;

    int count() const { return int(row.count); }
    bool first(int c) const { return row.weight[c] > 0; }
    double weight(int c) const { return row.weight[c]; }
  };
  bool keeps(const MixedRow<T>& row, Index c) const {
    return row.weight[c] > 0 && formula::decoupled_keeps(options, Labels{row}, int(c));
  }

  double operator()(const MixedRow<T>& row, const T* z, Index classes, double each, T* dz) const {
    return options.form == DecoupledForm::binary ? binary(row, z, classes, each, dz)
                                                 : regularised(row, z, classes, each, dz);
  }

  double binary(const MixedRow<T>& row, const T* z, Index classes, double each, T* dz) const {
    double loss = 0;
    for (Index j = 0; j < classes; ++j) {
      double target = 0;
      for (Index c = 0; c < row.count; ++c)
        if (row.label[c] == j && keeps(row, c)) {
          const DecoupledWeight w = decoupled_weight(options, row.weight[c]);
          target = w.value;
          if (row.gradient && w.slope != 0) row.gradient[c] = -each * w.slope * double(z[j]);
        }
      // target softplus(-z) + (1 - target) softplus(z): both parts keep their digits at +-800.
      const double zj = double(z[j]);
      if (target != 0) loss += target * softplus(-zj);
      loss += (1 - target) * softplus(zj);
      if (dz) dz[j] = T(each * ((1 - target) * sigmoid(zj) - target * sigmoid(-zj)));
    }
    return loss;
  }

  double regularised(const MixedRow<T>& row, const T* z, Index classes, double each, T* dz) const {
    double loss = mixup_row(row, z, classes, each, dz);
    if (row.with_weight() <= 1) return loss;
    const LogSoftmax rest = log_softmax_without(z, classes, [&](Index j) { return row.holds(j); });
    if (rest.best < 0) return loss;
    const double log_rest = rest.top + std::log1p(rest.others);
    double pull = 0;
    for (Index c = 0; c < row.count; ++c) {
      if (!keeps(row, c)) continue;
      const DecoupledWeight w = decoupled_weight(options, row.weight[c]);
      const double u = log_rest - double(z[row.label[c]]), term = softplus(u);
      loss += options.weight * w.value * term;
      if (row.gradient) row.gradient[c] += each * options.weight * w.slope * term;
      const double push = each * options.weight * w.value * sigmoid(u);
      pull += push;
      if (dz) dz[row.label[c]] = T(double(dz[row.label[c]]) - push);
    }
    if (dz)
      for (Index j = 0; j < classes; ++j)
        if (!row.holds(j)) dz[j] = T(double(dz[j]) + pull * rest.probability(z, j));
    return loss;
  }
};

inline void expects_decoupled(const char* function, const DecoupledMixupOptions& o) {
  core::expects(o.weight >= 0 && std::isfinite(o.weight), function, "weight is ", o.weight,
                ", not a finite number >= 0");
  core::expects(o.threshold > 0 && std::isfinite(o.threshold), function, "threshold is ",
                o.threshold, ", which must be positive and finite");
  core::expects(o.power >= 0 && std::isfinite(o.power), function, "power is ", o.power,
                ", not a finite number >= 0");
}

}  // namespace detail

/// The loss against two labels a row.
template <class Z, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double decoupled_mixup(const Eigen::MatrixBase<Z>& logits, const core::Numbers& a,
                                     const core::Numbers& b, const L& lambda,
                                     const DecoupledMixupOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::mean_across("decoupled_mixup", world..., core::also(options, lambda), logits,
                               [&] { return decoupled_mixup(logits, a, b, lambda, options); });
  } else {
    detail::expects_decoupled("decoupled_mixup", options);
    return detail::two_labels_value("decoupled_mixup", logits, a, b, lambda,
                                    detail::DecoupledRow<core::Real<Z>>{options});
  }
}

/// Loss and gradients into `out` (any struct with the fields of MixedLabelGradient).
template <class Z, class L, class Out, class... World>
requires core::Worlds<World...>
void decoupled_mixup_with_gradient(const Eigen::MatrixBase<Z>& logits, const core::Numbers& a,
                                   const core::Numbers& b, const L& lambda,
                                   const DecoupledMixupOptions& options, core::Workspace& workspace,
                                   Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::mean_gradient_across(
        "decoupled_mixup_with_gradient", world..., core::also(options, lambda), logits, out,
        [&] { decoupled_mixup_with_gradient(logits, a, b, lambda, options, workspace, out); });
  } else {
    constexpr auto* name = "decoupled_mixup_with_gradient";
    detail::expects_decoupled(name, options);
    detail::two_labels_gradient(name, logits, a, b, lambda,
                                detail::DecoupledRow<core::Real<Z>>{options}, workspace, out);
  }
}

template <class Z, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto decoupled_mixup_with_gradient(const Eigen::MatrixBase<Z>& logits,
                                                 const core::Numbers& a, const core::Numbers& b,
                                                 const L& lambda,
                                                 const DecoupledMixupOptions& options = {},
                                                 World&... world) {
  using T = core::Real<Z>;
  return detail::by_value<MixedLabelGradient<RowMatrix<T>, detail::LambdaGradient<T, L>>>(
      [&](auto& workspace, auto& out) {
        decoupled_mixup_with_gradient(logits, a, b, lambda, options, workspace, out, world...);
      });
}

/// The loss against k labels a row.
template <class Z, class... World>
requires core::Worlds<World...>
[[nodiscard]] double decoupled_mixup_k(const Eigen::MatrixBase<Z>& logits,
                                       const core::Numbers& labels, const core::Numbers& weights,
                                       const DecoupledMixupOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::mean_across("decoupled_mixup_k", world..., options, logits,
                               [&] { return decoupled_mixup_k(logits, labels, weights, options); });
  } else {
    detail::expects_decoupled("decoupled_mixup_k", options);
    return detail::k_labels_value("decoupled_mixup_k", logits, labels, weights,
                                  detail::DecoupledRow<core::Real<Z>>{options});
  }
}

/// Loss and dL/dlogits into `out` (fields loss, logits).
template <class Z, class Out, class... World>
requires core::Worlds<World...>
void decoupled_mixup_k_with_gradient(const Eigen::MatrixBase<Z>& logits,
                                     const core::Numbers& labels, const core::Numbers& weights,
                                     const DecoupledMixupOptions& options,
                                     core::Workspace& workspace, Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::mean_gradient_across(
        "decoupled_mixup_k_with_gradient", world..., options, logits, out,
        [&] { decoupled_mixup_k_with_gradient(logits, labels, weights, options, workspace, out); });
  } else {
    constexpr auto* name = "decoupled_mixup_k_with_gradient";
    detail::expects_decoupled(name, options);
    detail::k_labels_gradient(name, logits, labels, weights,
                              detail::DecoupledRow<core::Real<Z>>{options}, workspace, out);
  }
}

template <class Z, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto decoupled_mixup_k_with_gradient(const Eigen::MatrixBase<Z>& logits,
                                                   const core::Numbers& labels,
                                                   const core::Numbers& weights,
                                                   const DecoupledMixupOptions& options = {},
                                                   World&... world) {
  return detail::by_value<LogitGradient<RowMatrix<core::Real<Z>>>>([&](auto& workspace, auto& out) {
    decoupled_mixup_k_with_gradient(logits, labels, weights, options, workspace, out, world...);
  });
}

}  // namespace spheremix::losses
