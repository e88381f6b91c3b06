// V-Mix: the rows of X mixed with their partners' rows, against soft targets; Y as it is.
//
//   v_i = geodesic mix of x_i and x_J(i) with weight lambda on x_i;   logits z_ij = v_i . y_j / tau
//   targets W = lambda I + (1 - lambda) J:  w_ii = lambda, w_iJ(i) = 1 - lambda
//   L = (1/2n) [ sum_i sum_j w_ij (lse_j' z_ij' - z_ij) + sum_j sum_i w_ij (lse_i' z_i'j - z_ij) ]
//
// Shapes     X, Y: n x d, n >= 1. lambda: one number in [0, 1], or one a row. partners: J, n
//            indices; empty is the flip J(i) = n - 1 - i (an odd n has a row that is its own
//            partner: it stays as it is).
// Units      nats.
// Gradient   G = ((W 1) P - W + Q (1^T W) - W) / (2 n tau) over rows and columns, then through the
//            mixing (slerp's pullback); dL/dlambda includes the targets, -log p_ii + log p_iJ(i)
//            per line. A map J that is no involution, or lambda per row, makes W's columns sum to
//            other than 1: the column direction takes them as they are.
// Errors     throws for different shapes, no rows, lambda outside [0, 1], partners out of range,
//            antipodal partners, tau not positive, memory_budget too small. A NaN component gives
//            NaN throughout.
// Source     Oh et al. 2023, "Geodesic Multi-Modal Mixup for Robust Fine-Tuning", arXiv 2203.03897,
//            section 3.3.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/losses/side_entry.hpp"

namespace spheremix::losses {

struct VMixOptions {
  double temperature = 0.01;
  std::vector<Index> partners = {};                  ///< empty: flip
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

/// The loss, in nats.
template <class X, class Y, class L>
[[nodiscard]] double v_mix(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                           const L& lambda, const VMixOptions& options = {}) {
  return detail::mix_value("v_mix", detail::SideLoss{options, true, false}, x, y, lambda);
}

/// Loss and gradients into `out` (any struct with the fields of MixGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class L, class Out>
void v_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                         const L& lambda, const VMixOptions& options, core::Workspace& workspace,
                         Out& out) {
  detail::mix_into("v_mix_with_gradient", detail::SideLoss{options, true, false}, workspace, out, x,
                   y, lambda);
}

template <class X, class Y, class L>
[[nodiscard]] auto v_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                       const L& lambda, const VMixOptions& options = {}) {
  using T = typename X::Scalar;
  return detail::by_value<MixGradient<RowMatrix<T>, detail::LambdaGradient<T, L>>>(
      [&](auto& workspace, auto& out) {
        v_mix_with_gradient(x, y, lambda, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_V_MIX(T)                                                                   \
  Mixing<T, SideLoss<VMixOptions>>::Result run(const Mixing<T, SideLoss<VMixOptions>>&,      \
                                               const char*, const Inputs<T, 2>&, Workspace&, \
                                               const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_V_MIX)
}  // namespace spheremix::losses::detail
