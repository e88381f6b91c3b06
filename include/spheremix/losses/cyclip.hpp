// cyclip on the CPU: formula, gradient and options in formula/cyclip.hpp.
//
// Shapes     X, Y: n x d, n >= 1. The squares are of cosines, without the temperature.
// Errors     as clip and geometric_consistency.
#pragma once

#include "spheremix/formula/cyclip.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/geometric_consistency.hpp"

namespace spheremix::losses {

namespace detail {

struct CyclipLoss : OfTwoBatches {
  static constexpr bool kShared = true;
  const CyclipOptions& options;

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& out) const {
    expects_consistency(function, {options.cross_weight, options.in_modal_weight});
    const Index n = in[0].rows, d = in[0].cols;
    const std::size_t least = core::bytes_of<ConsistencyArrays>(n, d, out[0].data != nullptr, 1);
    core::expects(least <= options.memory_budget, function, "memory_budget is ",
                  options.memory_budget, " bytes, but at least ", least,
                  " are needed for the consistency of ", n, " pairs of rows of length ", d);
    ContrastResult result = pair_loss_on_views<true, T>(
        function, in, options.temperature, options.memory_budget, workspace, {out[0], out[1]});
    result.loss += consistency_on_views<T>(
        in[0], in[1],
        formula::ConsistencyParts::of(options.cross_weight, options.in_modal_weight, 1 / double(n)),
        workspace, out[0], out[1], true, options.memory_budget);
    return result;
  }
};

}  // namespace detail

/// The loss.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double cyclip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const CyclipOptions& options = {}, World&... world) {
  return detail::value("cyclip", detail::CyclipLoss{{}, options}, detail::over(options, world...),
                       x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void cyclip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const CyclipOptions& options, core::Workspace& workspace, Out& out,
                          World&... world) {
  detail::into("cyclip_with_gradient", detail::CyclipLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto cyclip_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const CyclipOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        cyclip_with_gradient(x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_CYCLIP(T)                                                           \
  ContrastResult run(const CyclipLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_CYCLIP)
}  // namespace spheremix::losses::detail
