// clip on the CPU: formula, gradient and options in formula/clip.hpp.
//
// Shapes     X, Y: n x d, n >= 1; with targets Y: m x d. Rows are used as they are (normalise with
//            sphere::normalize_rows).
//            Rows of Eigen::half and Eigen::bfloat16 are taken in float, gradients are float.
// Accuracy   as info_nce: exact maxima over rows and columns, saturated losses keep their digits.
// Memory     4 n^2 bytes (float) for 6 n^2 d flops where memory_budget allows, down to one strip of
//            about 500 rows for 8 n^2 d.
// Errors     as info_nce.
#pragma once

#include "spheremix/formula/clip.hpp"
#include "spheremix/losses/detail/pairs.hpp"

namespace spheremix::losses {

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double clip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const ClipOptions& options = {}, World&... world) {
  return detail::value("clip", detail::PairLoss<true>(options), detail::over(options, world...), x,
                       y)
      .loss;
}

/// The loss with `targets` (losses/targets.hpp) in place of the diagonal. X: n x d, Y: m x d.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double clip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const Targets& targets, const ClipOptions& options = {},
                          World&... world) {
  return detail::value("clip", detail::PairLoss<true>(options, &targets),
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes. An `out` without the field x or y gets no
/// such gradient, which then costs no product.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void clip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                        const ClipOptions& options, core::Workspace& workspace, Out& out,
                        World&... world) {
  constexpr auto* name = "clip_with_gradient";
  detail::into(name, detail::PairLoss<true>(options), detail::over(options, world...), workspace,
               out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto clip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const ClipOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        clip_with_gradient(x, y, options, workspace, out, world...);
      });
}

/// The same with `targets` in place of the diagonal.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void clip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                        const Targets& targets, const ClipOptions& options,
                        core::Workspace& workspace, Out& out, World&... world) {
  constexpr auto* name = "clip_with_gradient";
  detail::into(name, detail::PairLoss<true>(options, &targets), detail::over(options, world...),
               workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto clip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const Targets& targets, const ClipOptions& options = {},
                                      World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        clip_with_gradient(x, y, targets, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses
