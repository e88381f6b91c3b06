// m2_mix on the CPU: formula, gradient and options in formula/m2_mix.hpp.
//
// Shapes     X, Y: n x d, n >= 1. lambda: one number in [0, 1], or one a row.
// Cost       12 n^2 d flops in O(strip x n) memory, and the mixed rows with their gradient.
// Errors     throws for different shapes, no rows, lambda outside [0, 1], an antipodal pair (the
//            mix is undefined), tau not positive, memory_budget too small. A NaN component gives
//            NaN throughout.
#pragma once

#include "spheremix/formula/m2_mix.hpp"
#include "spheremix/losses/detail/m2_tables.hpp"
#include "spheremix/losses/detail/mix_ring.hpp"

namespace spheremix::losses {

namespace detail {

/// m2_mix as mix_entry runs it.
struct M2Loss {
  const M2MixOptions& options;

  Index keys_a_row() const { return options.negatives == Negatives::append ? 2 : 1; }

  template <class T>
  MixResult operator()(const char* function, MatrixView<const T> x, MatrixView<const T> y,
                       RowParameter<T> lambda, Workspace& workspace,
                       const pairwise::PairGradients<T>& out,
                       const std::type_identity_t<ContrastRing<T>>* ring = nullptr) const {
    expects_temperature<T>(function, "temperature", options.temperature);
    const ExtrasOf extras(function, options, x.rows);
    const M2Call<T> call{function,
                         x,
                         y,
                         lambda,
                         options.temperature,
                         options.reduction == Reduction::sum ? 1.0 : 0.5,
                         options.negatives,
                         extras.get(),
                         ring};
    const bool gradients = ring ? ring->gradients : out.dx.data != nullptr;
    const std::size_t lambda_bytes = core::bytes_of<LambdaSlopes>(x.rows);
    const auto plan = m2_plan(call, gradients, options.memory_budget, lambda_bytes);
    if (!computable(x, y, options.temperature, ring)) return not_a_number(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    MixResult result{LambdaSlopes(x.rows, frame).each};
    const ContrastResult one = run_m2(call, plan, frame, out, result.lambda);
    result.loss = one.loss;
    result.log_temperature = one.log_temperature;
    return result;
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double m2_mix(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const L& lambda, const M2MixOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::LossResult by_ring{0};
    const auto ring = [&](core::Meeting& meeting) {
      core::Workspace workspace;
      return detail::mix_by_ring(meeting, detail::M2Loss{options}, workspace, by_ring, x, y,
                                 lambda);
    };
    const double loss = detail::value_across(
        "m2_mix", world..., core::unless(options, ring),
        [&](detail::Local here, const auto&... all) {
          return detail::mix_value("m2_mix", detail::M2Loss{options}, all..., here);
        },
        x, core::paired(y), core::per_row(lambda));
    return loss + by_ring.loss;  // one of them is 0
  } else {
    return detail::mix_value("m2_mix", detail::M2Loss{options}, x, y, lambda);
  }
}

/// Loss and gradients into `out` (any struct with the fields of MixGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class L, class Out, class... World>
requires core::Worlds<World...>
void m2_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const L& lambda, const M2MixOptions& options, core::Workspace& workspace,
                          Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    const auto ring = [&](core::Meeting& meeting) {
      return detail::mix_by_ring(meeting, detail::M2Loss{options}, workspace, out, x, y, lambda);
    };
    detail::gradient_across(
        "m2_mix_with_gradient", world..., core::unless(options, ring), workspace, out,
        [&](auto& memory, const auto&... all) -> auto& {
          auto& part =
              detail::whole_gradient<decltype(m2_mix_with_gradient(all..., options))>(memory);
          m2_mix_with_gradient(all..., options, memory, part);
          return part;
        },
        x, core::paired(y), core::per_row(lambda));
  } else {
    detail::mix_into("m2_mix_with_gradient", detail::M2Loss{options}, workspace, out, x, y, lambda);
  }
}

template <class X, class Y, class L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto m2_mix_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y, const L& lambda,
                                        const M2MixOptions& options = {}, World&... world) {
  using T = core::Real<X>;
  return detail::by_value<MixGradient<RowMatrix<T>, detail::LambdaGradient<T, L>>>(
      [&](auto& workspace, auto& out) {
        m2_mix_with_gradient(x, y, lambda, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_M2_MIX(T)                                                                 \
  Mixing<T, M2Loss>::Result run(const Mixing<T, M2Loss>&, const char*, const Inputs<T, 2>&, \
                                Workspace&, const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_M2_MIX)
}  // namespace spheremix::losses::detail
