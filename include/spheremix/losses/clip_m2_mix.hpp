// clip_m2_mix on the CPU: formula, gradient and options in formula/clip_m2_mix.hpp.
//
// Shapes, units, errors: as clip and m2_mix.
// Cost       with gradients and Negatives::replace 12 n^2 d flops in 2 n^2 numbers of memory, up to 16 in
//            any less down to 1792 n of them (m2_shared.hpp), as memory_budget has them; else 18 where clip's
//            table fits, 20 otherwise.
#pragma once

#include "spheremix/formula/clip_m2_mix.hpp"
#include "spheremix/losses/detail/m2_shared.hpp"
#include "spheremix/losses/detail/pairs.hpp"
#include "spheremix/losses/m2_mix.hpp"

namespace spheremix::losses {

namespace detail {

struct ClipM2Loss {
  const ClipM2MixOptions& options;

  template <class T>
  MixResult operator()(const char* function, MatrixView<const T> x, MatrixView<const T> y,
                       RowParameter<T> lambda, Workspace& workspace,
                       const pairwise::PairGradients<T>& out) const {
    expects_temperature<T>(function, "mix_temperature", options.mix_temperature);
    core::expects(std::isfinite(options.weight), function, "weight is ", options.weight);
    const double half = options.reduction == Reduction::sum ? 1.0 : 0.5;
    const ExtrasOf extras(function, options, x.rows);
    const M2Call<T> call{
        function,          x,           y, lambda, options.mix_temperature, options.weight * half,
        options.negatives, extras.get()};
    const bool gradients = out.dx.data != nullptr;
    const std::size_t lambda_bytes = core::bytes_of<LambdaSlopes>(x.rows);
    // Whether a budget is enough must not depend on the batch, which may need the direct route.
    const auto plan = m2_plan(call, gradients, options.memory_budget, lambda_bytes);
    std::optional<clip_m2::MixPlan> shared;
    if (gradients && options.shared && options.negatives == Negatives::replace && !extras.get() &&
        !workspace.share())
      shared = shared_plan<T>(x.rows, core::budget_left(options.memory_budget, lambda_bytes));
    if (shared) {
      expects_temperature<T>(function, "temperature", options.temperature);
      if (!computable(x, y, (std::min)(options.temperature, options.mix_temperature)))
        return not_a_number(out);
      Workspace::Frame frame =
          workspace.frame(core::bytes_of<SharedArrays<T>>(*shared) + lambda_bytes);
      MixResult result{LambdaSlopes(x.rows, frame).each};
      SharedResult both;
      if (run_shared(call, options.temperature, *shared, frame, out.dx, out.dy, result.lambda,
                     both)) {
        result.loss = both.loss;
        result.log_temperature = both.log_temperature;
        result.log_mix_temperature = both.log_mix_temperature;
        return result;
      }
    }
    const ContrastResult clip =
        pair_loss_on_views<true, T>(function, {{x, y}}, options.temperature, options.memory_budget,
                                    workspace, out, T(0), nullptr, extras.get());
    if (!computable(x, y, options.mix_temperature) || !(clip.loss <= core::largest<double>))
      return not_a_number(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    MixResult result{LambdaSlopes(x.rows, frame).each, clip.loss, clip.log_temperature};
    const ContrastResult mixed =
        run_m2(call, plan, frame, {out.dx, out.dy, true, true}, result.lambda);
    result.loss += mixed.loss;
    result.log_mix_temperature = mixed.log_temperature;
    return result;
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double clip_m2_mix(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                 const L& lambda, const ClipM2MixOptions& options = {},
                                 World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across(
        "clip_m2_mix", world..., options,
        [&](detail::Local here, const auto&... all) {
          return detail::mix_value("clip_m2_mix", detail::ClipM2Loss{options}, all..., here);
        },
        x, core::paired(y), core::per_row(lambda));
  } else {
    return detail::mix_value("clip_m2_mix", detail::ClipM2Loss{options}, x, y, lambda);
  }
}

/// Loss and gradients into `out` (any struct with the fields of TwoTemperatureGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class L, class Out, class... World>
requires core::Worlds<World...>
void clip_m2_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                               const L& lambda, const ClipM2MixOptions& options,
                               core::Workspace& workspace, Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "clip_m2_mix_with_gradient", world..., options, workspace, out,
        [&](auto& memory, const auto&... all) -> auto& {
          auto& part =
              detail::whole_gradient<decltype(clip_m2_mix_with_gradient(all..., options))>(memory);
          clip_m2_mix_with_gradient(all..., options, memory, part);
          return part;
        },
        x, core::paired(y), core::per_row(lambda));
  } else {
    detail::mix_into("clip_m2_mix_with_gradient", detail::ClipM2Loss{options}, workspace, out, x, y,
                     lambda);
  }
}

template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto clip_m2_mix_with_gradient(const Eigen::MatrixBase<X>& x,
                                             const Eigen::MatrixBase<Y>& y, const L& lambda,
                                             const ClipM2MixOptions& options = {},
                                             World&... world) {
  using T = core::Real<X>;
  return detail::by_value<TwoTemperatureGradient<RowMatrix<T>, detail::LambdaGradient<T, L>>>(
      [&](auto& workspace, auto& out) {
        clip_m2_mix_with_gradient(x, y, lambda, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_CLIP_M2_MIX(T)                                               \
  Mixing<T, ClipM2Loss>::Result run(const Mixing<T, ClipM2Loss>&, const char*, \
                                    const Inputs<T, 2>&, Workspace&, const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_CLIP_M2_MIX)
}  // namespace spheremix::losses::detail
