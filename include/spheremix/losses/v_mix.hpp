// v_mix on the CPU: formula, gradient and options in formula/partner_mix.hpp.
//
// Shapes     X, Y: n x d, n >= 1. lambda: one number in [0, 1], or one a row. partners: n indices,
//            empty: flip.
// Errors     throws for different shapes, no rows, lambda outside [0, 1], partners out of range,
//            antipodal partners, tau not positive, memory_budget too small. A NaN component gives
//            NaN throughout.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/losses/detail/side_entry.hpp"

namespace spheremix::losses {

using VMixOptions = PartnerMixOptions<std::vector<Index>>;

/// The loss, in nats.
template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double v_mix(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                           const L& lambda, const VMixOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across(
        "v_mix", world..., options,
        [&](detail::Local here, const auto& all_0, const auto& all_1, const auto& all_2,
            const std::vector<Index>& partners) {
          const auto all_options = detail::with_partners(options, partners);
          return detail::mix_value("v_mix", detail::SideLoss{all_options, true, false}, all_0,
                                   all_1, all_2, here);
        },
        x, core::paired(y), core::per_row(lambda), core::paired(options.partners));
  } else {
    return detail::mix_value("v_mix", detail::SideLoss{options, true, false}, x, y, lambda);
  }
}

/// Loss and gradients into `out` (any struct with the fields of MixGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class L, class Out, class... World>
requires core::Worlds<World...>
void v_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                         const L& lambda, const VMixOptions& options, core::Workspace& workspace,
                         Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "v_mix_with_gradient", world..., options, workspace, out,
        [&](auto& memory, const auto& all_0, const auto& all_1, const auto& all_2,
            const std::vector<Index>& partners) -> auto& {
          const auto all_options = detail::with_partners(options, partners);
          auto& part = detail::whole_gradient<decltype(v_mix_with_gradient(all_0, all_1, all_2,
                                                                           all_options))>(memory);
          v_mix_with_gradient(all_0, all_1, all_2, all_options, memory, part);
          return part;
        },
        x, core::paired(y), core::per_row(lambda), core::paired(options.partners));
  } else {
    detail::mix_into("v_mix_with_gradient", detail::SideLoss{options, true, false}, workspace, out,
                     x, y, lambda);
  }
}

template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto v_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                       const L& lambda, const VMixOptions& options = {},
                                       World&... world) {
  using T = core::Real<X>;
  return detail::by_value<MixGradient<RowMatrix<T>, detail::LambdaGradient<T, L>>>(
      [&](auto& workspace, auto& out) {
        v_mix_with_gradient(x, y, lambda, options, workspace, out, world...);
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
