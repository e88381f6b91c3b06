// hn_nce on the CPU: formula, gradient and options in formula/hn_nce.hpp.
//
// Shapes     X, Y: n x d, n >= 1; n = 1 has no negatives and loss 0.
// Cost       12 n^2 d flops in O(strip x n) memory: a sweep over the rows and one over the columns.
// Errors     shapes, tau, beta < 0, tau_plus outside [0, 1), memory_budget too small. NaN gives
//            NaN.
#pragma once

#include "spheremix/formula/hn_nce.hpp"
#include "spheremix/losses/hard_negative.hpp"

namespace spheremix::losses {

namespace detail {

struct HnNceLoss : OfTwoBatches {
  static constexpr bool kShared = true;
  const HnNceOptions& options;

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& to) const {
    const HnNceOptions& o = options;
    expects_hard_negative<T>(function, o);
    const bool gradients = to[0].data != nullptr;
    const Index n = in[0].rows;
    const auto plan =
        pairwise::make_row_plan<T>(function, n, n, in[0].cols, HardNegativeAnchor<T>::kScratch,
                                   false, o.memory_budget, core::bytes_of<LineResults>(n));
    if (!computable(in[0], in[1], o.temperature / (1 + o.beta)))
      return nan_result(pairwise::PairGradients<T>{to[0], to[1]});
    const HardNegativeAnchor<T> anchor{o.temperature,     o.beta,   o.tau_plus, double(n - 1),
                                       1 / double(2 * n), gradients};
    ContrastResult result;
    for (const std::size_t side : {std::size_t(0), std::size_t(1)}) {
      Workspace::Frame frame = workspace.frame(plan.bytes);
      const LineResults lines(n, frame);
      const bool add = side == 1;
      pairwise::row_sweep<T>(
          in[side], in[1 - side], plan, frame,
          [&](const pairwise::PairRow<T>& row) {
            anchor(row, n, row.i, row.i, lines.loss[row.i], lines.moment[row.i]);
          },
          pairwise::PairGradients<T>{to[side], to[1 - side], add, add});
      for (Index i = 0; i < n; ++i) {
        result.loss += lines.loss[i];
        result.log_temperature -= lines.moment[i];
      }
    }
    return result;
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double hn_nce(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const HnNceOptions& options = {}, World&... world) {
  return detail::value("hn_nce", detail::HnNceLoss{{}, options}, detail::over(options, world...), x,
                       y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void hn_nce_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const HnNceOptions& options, core::Workspace& workspace, Out& out,
                          World&... world) {
  detail::into("hn_nce_with_gradient", detail::HnNceLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto hn_nce_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const HnNceOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        hn_nce_with_gradient(x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_HN_NCE(T)                                                          \
  ContrastResult run(const HnNceLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_HN_NCE)
}  // namespace spheremix::losses::detail
