// v_mix, l_mix and vl_mix as mix_entry.hpp runs them.
#pragma once

#include "spheremix/losses/detail/mix_entry.hpp"
#include "spheremix/losses/detail/side_tables.hpp"

namespace spheremix::losses::detail {

template <class Options>
struct SideLoss {
  const Options& options;
  bool mix_x, mix_y;
  VlTargets targets = VlTargets::identity;  ///< where both sides are mixed

  template <class T>
  MixResult operator()(const char* function, MatrixView<const T> x, MatrixView<const T> y,
                       RowParameter<T> lambda, Workspace& workspace,
                       const pairwise::PairGradients<T>& out) const {
    expects_temperature<T>(function, "temperature", options.temperature);
    expects_partners(function, options.partners, x.rows);
    // L-Mix is V-Mix with the modalities exchanged: the mixed side is always the table's rows.
    const bool exchange = !mix_x;
    const ExtrasOf extras(function, options, x.rows);
    const SideCall<T> call{function,
                           exchange ? y : x,
                           exchange ? x : y,
                           lambda,
                           options.partners,
                           options.temperature,
                           1,
                           true,
                           mix_x && mix_y,
                           targets,
                           extras.get(),
                           exchange};
    const bool gradients = out.dx.data != nullptr;
    const std::size_t lambda_bytes = core::bytes_of<LambdaSlopes>(x.rows);
    const auto plan = side_plan(call, gradients, options.memory_budget, lambda_bytes);
    if (!computable(x, y, options.temperature)) return not_a_number(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    MixResult result{LambdaSlopes(x.rows, frame).each};
    const pairwise::PairGradients<T> to =
        exchange ? pairwise::PairGradients<T>{out.dy, out.dx} : out;
    const ContrastResult one = run_side(call, plan, frame, to, result.lambda);
    result.loss = one.loss;
    result.log_temperature = one.log_temperature;
    return result;
  }
};
template <class Options>
SideLoss(const Options&, bool, bool) -> SideLoss<Options>;
template <class Options>
SideLoss(const Options&, bool, bool, VlTargets) -> SideLoss<Options>;

}  // namespace spheremix::losses::detail
