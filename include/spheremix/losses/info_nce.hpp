// info_nce on the CPU: formula, gradient and options in formula/info_nce.hpp.
//
// Shapes     X: n x d, Y: m x d, m >= n >= 1; with targets any m. Rows are used as they are
//            (normalise with sphere::normalize_rows).
//            Rows of Eigen::half and Eigen::bfloat16 are taken in float, gradients are float.
// Accuracy   exact maxima; the positive is never subtracted from a sum that it dominates, so
//            saturated losses and gradients keep their digits (down to tau = .001 and below).
// Memory     O(strip x n): 6 n^2 d flops without an n x n matrix.
// Errors     throws for different shapes, no rows, tau not positive, memory_budget too small. A NaN
//            or infinite component gives NaN throughout.
#pragma once

#include "spheremix/formula/info_nce.hpp"
#include "spheremix/losses/detail/pairs.hpp"

namespace spheremix::losses {

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double info_nce(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              const InfoNceOptions& options = {}, World&... world) {
  return detail::value("info_nce", detail::PairLoss<false>(options),
                       detail::over(options, world...), x, y)
      .loss;
}

/// The loss with `targets` (losses/targets.hpp) in place of the diagonal. X: n x d, Y: m x d.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double info_nce(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              const Targets& targets, const InfoNceOptions& options = {},
                              World&... world) {
  return detail::value("info_nce", detail::PairLoss<false>(options, &targets),
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes. An `out` without the field x or y gets no
/// such gradient, which then costs no product.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void info_nce_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const InfoNceOptions& options, core::Workspace& workspace, Out& out,
                            World&... world) {
  constexpr auto* name = "info_nce_with_gradient";
  detail::into(name, detail::PairLoss<false>(options), detail::over(options, world...), workspace,
               out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto info_nce_with_gradient(const Eigen::MatrixBase<X>& x,
                                          const Eigen::MatrixBase<Y>& y,
                                          const InfoNceOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        info_nce_with_gradient(x, y, options, workspace, out, world...);
      });
}

/// The same with `targets` in place of the diagonal.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void info_nce_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const Targets& targets, const InfoNceOptions& options,
                            core::Workspace& workspace, Out& out, World&... world) {
  constexpr auto* name = "info_nce_with_gradient";
  detail::into(name, detail::PairLoss<false>(options, &targets), detail::over(options, world...),
               workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto info_nce_with_gradient(const Eigen::MatrixBase<X>& x,
                                          const Eigen::MatrixBase<Y>& y, const Targets& targets,
                                          const InfoNceOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        info_nce_with_gradient(x, y, targets, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses
