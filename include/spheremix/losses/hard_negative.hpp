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

/// What the options of HCL and of hn_nce ask for.
template <class T, class Options>
void expects_hard_negative(const char* function, const Options& o) {
  expects_temperature<T>(function, "temperature", o.temperature);
  core::expects(o.beta >= 0 && std::isfinite(o.beta), function, "beta is ", o.beta,
                ", not a finite number >= 0");
  core::expects(o.tau_plus >= 0 && o.tau_plus < 1, function, "tau_plus is ", o.tau_plus,
                ", outside [0, 1)");
}

/// One anchor of `count` negatives, and its `line`-th part of the mean.
template <class T>
struct HardNegativeAnchor {
  static constexpr Index kScratch = 2;
  double temperature, beta, tau_plus, count, line;
  bool gradients;

  /// p: its positive, i: itself (or p, where it is not among its keys), m keys. Its loss and part of
  /// dL/d ln(tau), with the sign turned; dL/ds in row.s.
  void operator()(const pairwise::PairRow<T>& row, Index m, Index i, Index p, double& loss,
                  double& moment) const {
    T *const s = row.s, *const e = row.scratch, *const f = e + row.stride;
    loss = moment = 0;
    if (count == 0) {
      s[i] = s[p] = 0;
      return;
    }
    const T scale = T(1 / temperature), hard = T((1 + beta) / temperature),
            soft = T(beta / temperature);
    const T positive = s[p];
    s[i] = s[p] = -core::infinity<T>;
    const T top = SPHEREMIX_DISPATCH(row_largest<T>)(s, m);
    const double sum = SPHEREMIX_DISPATCH(row_exponential<T>)(s, hard, hard * top, e, m);
    double weights = count;  // beta = 0: all negatives alike
    if (beta == 0) {
      std::fill_n(f, m, T(1));
      f[i] = f[p] = 0;
    } else {
      weights = SPHEREMIX_DISPATCH(row_exponential<T>)(s, soft, soft * top, f, m);
    }
    const double a = double(scale) * double(positive);
    const double u = std::log(count) + double(scale) * double(top) + std::log(sum / weights) - a;
    const formula::HardNegativeTerm term =
        formula::hard_negative_term(u, a, count, temperature, tau_plus);
    loss = line * term.loss;
    if (!gradients) return;
    const double own = -line * (term.pull + term.at_floor) / temperature;
    const T first = T(line * term.pull * (1 + beta) / (sum * temperature)),
            second = T(line * term.pull * beta / (weights * temperature));
    for (Index j = 0; j < m; ++j) e[j] = first * e[j] - second * f[j];
    const double mean = SPHEREMIX_DISPATCH(row_weights<T>)(s, e, T(1), m) + own * double(positive) -
                        line * term.at_floor / temperature;
    s[i] = 0;
    s[p] = T(own);
    moment = mean;
  }
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
    expects_hard_negative<T>(function, o);
    const bool gradients = out.dx.data != nullptr;
    const Index n = x.rows, m = 2 * n;
    const auto plan = pairwise::make_row_plan<T>(
        function, m, m, x.cols, HardNegativeAnchor<T>::kScratch, false, o.memory_budget,
        core::bytes_of<HardNegativeArrays<T>>(x, y, gradients));
    const double sharpest = o.temperature / (1 + o.beta);
    if (!computable(x, x, sharpest) || !computable(y, y, sharpest)) return nan_result(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    const HardNegativeArrays<T> arrays(x, y, gradients, frame);
    const Stacked<T>& stacked = arrays.stacked;
    double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
    const HardNegativeAnchor<T> anchor{o.temperature, o.beta,        o.tau_plus,
                                       double(m - 2), 1 / double(m), gradients};
    pairwise::row_sweep<T>(
        stacked.rows, stacked.rows, plan, frame,
        [&](const pairwise::PairRow<T>& row) {
          anchor(row, m, row.i, formula::OtherView(n).column(row.i, 0), loss[row.i], moment[row.i]);
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
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
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
