// nt_xent on the CPU: formula, gradient and options in formula/nt_xent.hpp.
//
// Shapes     X, Y: n x d, n >= 1; rows as they are. L = 0 exactly for n = 1.
// Cost       24 n^2 d flops (a 2n x 2n table) in O(strip x n) memory.
// Accuracy, errors as info_nce.
#pragma once

#include "spheremix/formula/nt_xent.hpp"
#include "spheremix/losses/detail/stacked.hpp"

namespace spheremix::losses {

namespace detail {

template <class T>
struct NtXentArrays {
  Stacked<T> stacked;
  Index* special;
  ContrastArrays<T> contrast;

  NtXentArrays(MatrixView<const T> x, MatrixView<const T> y, bool gradients,
               Workspace::Frame& frame)
      : stacked(x, y, gradients, frame),
        special(frame.take<Index>(std::size_t(4 * x.rows))),
        contrast(2 * x.rows, 2 * x.rows, 2, false, gradients, frame) {}
};

struct NtXentLoss : OfTwoBatches {
  static constexpr bool kShared = true;
  const NtXentOptions& options;

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& to) const {
    const MatrixView<const T> x = in[0], y = in[1];
    const pairwise::PairGradients<T> out{to[0], to[1]};
    expects_temperature<T>(function, "temperature", options.temperature);
    const bool gradients = out.dx.data != nullptr;
    const Index n = x.rows, m = 2 * n;
    const auto plan = pairwise::make_plan<T>(
        function, m, m, x.cols, pairwise::keep_for<formula::SoftmaxPair<T, true, false>>(gradients),
        options.memory_budget, core::bytes_of<NtXentArrays<T>>(x, y, gradients));
    if (!computable(x, x, options.temperature) || !computable(y, y, options.temperature))
      return nan_result(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    const NtXentArrays<T> arrays(x, y, gradients, frame);
    const auto& [stacked, special, memory] = arrays;
    put_apart(formula::OtherView(n), m, special);
    const Contrast<T> contrast{.x = stacked.rows,
                               .y = stacked.rows,
                               .temperature = options.temperature,
                               .weight = 1,
                               .slot_count = formula::OtherView::kSlots,
                               .special = special};
    const ContrastResult result =
        run_contrast<T, false>(contrast, memory, plan, frame, stacked.gradients());
    if (gradients) stacked.unstack(out);
    return {result.loss, result.log_temperature, nullptr};
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double nt_xent(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                             const NtXentOptions& options = {}, World&... world) {
  return detail::value("nt_xent", detail::NtXentLoss{{}, options}, detail::over(options, world...),
                       x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void nt_xent_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                           const NtXentOptions& options, core::Workspace& workspace, Out& out,
                           World&... world) {
  detail::into("nt_xent_with_gradient", detail::NtXentLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto nt_xent_with_gradient(const Eigen::MatrixBase<X>& x,
                                         const Eigen::MatrixBase<Y>& y,
                                         const NtXentOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        nt_xent_with_gradient(x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_NT_XENT(T)                                                          \
  ContrastResult run(const NtXentLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_NT_XENT)
}  // namespace spheremix::losses::detail
