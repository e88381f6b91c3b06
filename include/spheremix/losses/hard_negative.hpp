// hard_negative on the CPU: formula, gradient and options in formula/hard_negative.hpp.
//
// Shapes     X, Y: n x d, n >= 1; n = 1 has no negatives and loss 0.
// Cost       24 n^2 d flops in O(strip x n) memory.
// Errors     shapes, tau, beta < 0, tau_plus outside [0, 1), memory_budget too small. NaN gives
//            NaN.
#pragma once

#include "spheremix/formula/hard_negative.hpp"
#include "spheremix/losses/detail/stacked.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

namespace detail {

template <class T>
struct HardNegativeArrays {
  Stacked<T> stacked;
  LineResults lines;

  HardNegativeArrays(MatrixView<const T> x, MatrixView<const T> y, bool gradients,
                     Workspace::Frame& frame)
      : stacked(x, y, gradients, frame), lines(2 * x.rows, frame) {}
};

struct HardNegativeLoss : OfTwoBatches {
  static constexpr bool kShared = true;
  const HardNegativeOptions& options;

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& to) const {
    const MatrixView<const T> x = in[0], y = in[1];
    const pairwise::PairGradients<T> out{to[0], to[1]};
    const HardNegativeOptions& o = options;
    expects_temperature<T>(function, "temperature", o.temperature);
    core::expects(o.beta >= 0 && std::isfinite(o.beta), function, "beta is ", o.beta,
                  ", not a finite number >= 0");
    core::expects(o.tau_plus >= 0 && o.tau_plus < 1, function, "tau_plus is ", o.tau_plus,
                  ", outside [0, 1)");
    const bool gradients = out.dx.data != nullptr;
    const Index n = x.rows, m = 2 * n;
    const auto plan =
        pairwise::make_row_plan<T>(function, m, m, x.cols, 2, false, o.memory_budget,
                                   core::bytes_of<HardNegativeArrays<T>>(x, y, gradients));
    const double sharpest = o.temperature / (1 + o.beta);
    if (!computable(x, x, sharpest) || !computable(y, y, sharpest)) return nan_result(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    const HardNegativeArrays<T> arrays(x, y, gradients, frame);
    const Stacked<T>& stacked = arrays.stacked;
    double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
    const T scale = T(1 / o.temperature), hard = T((1 + o.beta) / o.temperature),
            soft = T(o.beta / o.temperature);
    const double count = double(m - 2), line = 1 / double(m);
    pairwise::row_sweep<T>(
        stacked.rows, stacked.rows, plan, frame,
        [&](const pairwise::PairRow<T>& row) {
          const Index i = row.i, p = other_view(i, n);
          T *const s = row.s, *const e = row.scratch, *const f = e + row.stride;
          loss[i] = moment[i] = 0;
          if (n == 1) {
            s[0] = s[1] = 0;
            return;
          }
          const T positive = s[p];
          s[i] = s[p] = -core::infinity<T>;
          const T top = SPHEREMIX_DISPATCH(row_largest<T>)(s, m);
          const double sum = SPHEREMIX_DISPATCH(row_exponential<T>)(s, hard, hard * top, e, m);
          double weights = count;  // beta = 0: all negatives alike
          if (o.beta == 0) {
            std::fill_n(f, m, T(1));
            f[i] = f[p] = 0;
          } else {
            weights = SPHEREMIX_DISPATCH(row_exponential<T>)(s, soft, soft * top, f, m);
          }
          const double a = double(scale) * double(positive);
          const double u =
              std::log(count) + double(scale) * double(top) + std::log(sum / weights) - a;
          const formula::HardNegativeTerm term =
              formula::hard_negative_term(u, a, count, o.temperature, o.tau_plus);
          loss[i] = line * term.loss;
          if (!gradients) return;
          const double own = -line * (term.pull + term.at_floor) / o.temperature;
          const T first = T(line * term.pull * (1 + o.beta) / (sum * o.temperature)),
                  second = T(line * term.pull * o.beta / (weights * o.temperature));
          for (Index j = 0; j < m; ++j) e[j] = first * e[j] - second * f[j];
          const double mean = SPHEREMIX_DISPATCH(row_weights<T>)(s, e, T(1), m) +
                              own * double(positive) - line * term.at_floor / o.temperature;
          s[i] = 0;
          s[p] = T(own);
          moment[i] = mean;
        },
        stacked.gradients());
    if (gradients) stacked.unstack(out);
    ContrastResult result;
    for (Index i = 0; i < m; ++i) {
      result.loss += loss[i];
      result.log_temperature -= moment[i];
    }
    return result;
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double hard_negative(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const HardNegativeOptions& options = {}, World&... world) {
  return detail::value("hard_negative", detail::HardNegativeLoss{{}, options},
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void hard_negative_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                 const HardNegativeOptions& options, core::Workspace& workspace,
                                 Out& out, World&... world) {
  detail::into("hard_negative_with_gradient", detail::HardNegativeLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto hard_negative_with_gradient(const Eigen::MatrixBase<X>& x,
                                               const Eigen::MatrixBase<Y>& y,
                                               const HardNegativeOptions& options = {},
                                               World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<typename X::Scalar>>>(
      [&](auto& workspace, auto& out) {
        hard_negative_with_gradient(x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_HARD_NEGATIVE(T)                                                          \
  ContrastResult run(const HardNegativeLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_HARD_NEGATIVE)
}  // namespace spheremix::losses::detail
