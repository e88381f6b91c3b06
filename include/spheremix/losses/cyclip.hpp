// CyCLIP: CLIP with the similarities made symmetric across and alike within the modalities.
//
//   L = clip(X, Y; tau) + (1/n) sum_jk  cross_weight (x_j.y_k - x_k.y_j)^2
//                                     + in_modal_weight (x_j.x_k - y_j.y_k)^2
//
// Shapes     X, Y: n x d, n >= 1. The squares are of cosines, without the temperature.
// Gradient   the sum of the two parts'; dL/d ln(tau) is clip's.
// Errors     as clip and geometric_consistency.
// Source     Goel et al. 2022, "CyCLIP: Cyclic Contrastive Language-Image Pretraining", arXiv
//            2205.14459, equations 2 to 4 (both weights 0.25).
#pragma once

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/geometric_consistency.hpp"

namespace spheremix::losses {

struct CyclipOptions {
  double temperature = 0.07;
  double cross_weight = 0.25;
  double in_modal_weight = 0.25;
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory of the CLIP part
};

/// The loss.
template <class X, class Y>
[[nodiscard]] double cyclip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const CyclipOptions& options = {}) {
  core::Workspace workspace;
  return detail::pair_loss<true>("cyclip", x, y, options.temperature, options.memory_budget,
                                 workspace) +
         geometric_consistency(x, y, {options.cross_weight, options.in_modal_weight});
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient).
template <class X, class Y, class Out>
void cyclip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const CyclipOptions& options, core::Workspace& workspace, Out& out) {
  using T = typename X::Scalar;
  constexpr auto* name = "cyclip_with_gradient";
  const core::InputRows<T> rows_x(x), rows_y(y);
  detail::expects_consistency(name, rows_x.view(), rows_y.view(),
                              {options.cross_weight, options.in_modal_weight});
  detail::GradientRows<T, decltype(out.x), decltype(out.y)> rows(name, out.x, out.y, rows_x.view(),
                                                                 rows_y.view());
  const auto result = detail::pair_loss_on_views<true, T>(
      name, rows_x.view(), rows_y.view(), options.temperature, options.memory_budget, workspace,
      {rows.x.view(), rows.y.view()});
  out.loss = result.loss +
             detail::consistency_on_views<T>(rows_x.view(), rows_y.view(), options.cross_weight,
                                             options.in_modal_weight, 1 / double(x.rows()),
                                             workspace, rows.x.view(), rows.y.view(), true);
  out.log_temperature = result.log_temperature;
  rows.commit();
}

template <class X, class Y>
[[nodiscard]] ContrastiveGradient<RowMatrix<typename X::Scalar>> cyclip_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const CyclipOptions& options = {}) {
  core::Workspace workspace;
  ContrastiveGradient<RowMatrix<typename X::Scalar>> out;
  cyclip_with_gradient(x, y, options, workspace, out);
  return out;
}

}  // namespace spheremix::losses
