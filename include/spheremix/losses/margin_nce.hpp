// margin_nce on the CPU: formula, gradient and options in formula/margin_nce.hpp.
//
// Shapes     X, Y: n x d, n >= 1; rows are used as they are.
// Cost       6 n^2 d flops in O(strip x n) memory, as info_nce.
// Accuracy   as info_nce: a pair far ahead of its margin or far behind keeps its digits.
// Errors     as info_nce, and a margin that is negative, not finite or too large for the
//            temperature. NaN gives NaN.
#pragma once

#include "spheremix/formula/margin_nce.hpp"
#include "spheremix/losses/detail/pairs.hpp"

namespace spheremix::losses {

namespace detail {

struct MarginNceResult {
  double loss, log_temperature, margin;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.log_temperature = log_temperature;
    out.margin = margin;
  }
};

struct MarginNceLoss : OfPairs<false> {
  const MarginNceOptions& options;

  template <class T>
  MarginNceResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                             const Outputs<T, 2>& out) const {
    expects_temperature<T>(function, "temperature", options.temperature);
    core::expects(margin_fits<T>(options.margin, options.temperature), function, "margin is ",
                  options.margin, ", which must be at least 0 and no more than a logit can hold");
    const T margin = T(options.margin);
    double slope = 0;
    const ContrastResult result =
        pair_loss_on_views<false, T>(function, in, options.temperature, options.memory_budget,
                                     workspace, {out[0], out[1]}, margin, &slope);
    return {result.loss, result.log_temperature - double(margin) * slope, slope};
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double margin_nce(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                const MarginNceOptions& options = {}, World&... world) {
  return detail::value("margin_nce", detail::MarginNceLoss{{}, options},
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of MarginNceGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void margin_nce_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              const MarginNceOptions& options, core::Workspace& workspace, Out& out,
                              World&... world) {
  detail::into("margin_nce_with_gradient", detail::MarginNceLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto margin_nce_with_gradient(const Eigen::MatrixBase<X>& x,
                                            const Eigen::MatrixBase<Y>& y,
                                            const MarginNceOptions& options = {}, World&... world) {
  return detail::by_value<MarginNceGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        margin_nce_with_gradient(x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_MARGIN_NCE(T)                                                           \
  MarginNceResult run(const MarginNceLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                      const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_MARGIN_NCE)
}  // namespace spheremix::losses::detail
