// InfoNCE from bf16 products with f32 sums: for speed, where three digits are enough.
//
//   L = (1/n) sum_i ( log sum_j e^(s_ij / tau) - s_ii / tau ),   S = bf16(X) bf16(Y)^T
//   dX = bf16(G) bf16(Y),  dY = bf16(G)^T bf16(X),  dL/d ln(tau) = -sum_ij G_ij S_ij
//
// as info_nce.hpp in all else. Accuracy, speed, memory, errors: clip_bf16.hpp. float only.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/pairwise/product_bf16.hpp"

namespace spheremix::losses {

/// The loss, in nats.
template <class X, class Y>
[[nodiscard]] double info_nce_bf16(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const InfoNceOptions& options = {}) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  return detail::value("info_nce_bf16", detail::PairLoss<false, pairwise::Bf16Products>(options), x,
                       y)
      .loss;
}

/// The loss with `targets` (losses/targets.hpp) in place of the diagonal. X: n x d, Y: m x d.
template <class X, class Y>
[[nodiscard]] double info_nce_bf16(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const Targets& targets, const InfoNceOptions& options = {}) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  return detail::value("info_nce_bf16",
                       detail::PairLoss<false, pairwise::Bf16Products>(options, &targets), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes. An `out` without the field x or y gets no
/// such gradient, which then costs no product.
template <class X, class Y, class Out>
void info_nce_bf16_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                 const InfoNceOptions& options, core::Workspace& workspace,
                                 Out& out) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  constexpr auto* name = "info_nce_bf16_with_gradient";
  detail::into(name, detail::PairLoss<false, pairwise::Bf16Products>(options), workspace, out, x,
               y);
}

template <class X, class Y>
[[nodiscard]] auto info_nce_bf16_with_gradient(const Eigen::MatrixBase<X>& x,
                                               const Eigen::MatrixBase<Y>& y,
                                               const InfoNceOptions& options = {}) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        info_nce_bf16_with_gradient(x, y, options, workspace, out);
      });
}

/// The same with `targets` in place of the diagonal.
template <class X, class Y, class Out>
void info_nce_bf16_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                 const Targets& targets, const InfoNceOptions& options,
                                 core::Workspace& workspace, Out& out) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  constexpr auto* name = "info_nce_bf16_with_gradient";
  detail::into(name, detail::PairLoss<false, pairwise::Bf16Products>(options, &targets), workspace,
               out, x, y);
}

template <class X, class Y>
[[nodiscard]] auto info_nce_bf16_with_gradient(const Eigen::MatrixBase<X>& x,
                                               const Eigen::MatrixBase<Y>& y,
                                               const Targets& targets,
                                               const InfoNceOptions& options = {}) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        info_nce_bf16_with_gradient(x, y, targets, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_INFO_NCE_BF16(T)                                                \
  ContrastResult run(const PairLoss<false, pairwise::Bf16Products>&, const char*, \
                     const Inputs<T, 2>&, Workspace&, const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE_FLOAT(SPHEREMIX_INFO_NCE_BF16)
}  // namespace spheremix::losses::detail
