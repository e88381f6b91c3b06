// decoupled_contrastive on the CPU: formula, gradient and options in formula/decoupled_contrastive.hpp.
//
// Shapes     X, Y: n x d, n >= 2: one pair alone has no negatives.
// Cost       24 n^2 d flops in O(strip x n) memory.
// Errors     shapes, n < 2, tau, sigma, memory_budget too small. NaN gives NaN.
#pragma once

#include "spheremix/formula/decoupled_contrastive.hpp"
#include "spheremix/losses/detail/stacked.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

namespace detail {

template <class T>
struct DclArrays {
  Stacked<T> stacked;
  LineResults lines;
  double* pair;  ///< c of n pairs, then dL/dc

  DclArrays(MatrixView<const T> x, MatrixView<const T> y, bool gradients, Workspace::Frame& frame)
      : stacked(x, y, gradients, frame),
        lines(2 * x.rows, frame),
        pair(frame.take<double>(std::size_t(2 * x.rows))) {}
};

struct DclLoss : OfTwoBatches {
  static constexpr bool kShared = true;
  const DecoupledContrastiveOptions& options;

  /// The positives' part: returns -(1/n) sum w_i c_i / tau, and dL/dc_i in `slope`.
  double positives(const double* c, Index n, double* slope) const {
    const double line = 1 / (double(n) * options.temperature);
    double part = 0;
    if (options.weighting == DclWeighting::none) {
      for (Index i = 0; i < n; ++i) part -= line * c[i], slope[i] = -line;
      return part;
    }
    const double top = *std::max_element(c, c + n);
    formula::DclWeights weights{double(n), options.sigma};
    for (Index i = 0; i < n; ++i) {
      slope[i] = std::exp((c[i] - top) / options.sigma);
      weights.sum += slope[i];
      weights.along += slope[i] * (c[i] - top);
      part -= 2 * line * c[i];
    }
    const double mean = weights.mean();
    for (Index i = 0; i < n; ++i)
      slope[i] = line * weights.slope(weights.share(slope[i]), (c[i] - top) - mean);
    return part + (top + mean) / options.temperature;
  }

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& to) const {
    const MatrixView<const T> x = in[0], y = in[1];
    const pairwise::PairGradients<T> out{to[0], to[1]};
    expects_temperature<T>(function, "temperature", options.temperature);
    core::expects(options.sigma > 0 && std::isfinite(options.sigma), function, "sigma is ",
                  options.sigma, ", which must be positive and finite");
    core::expects(x.rows >= 2, function, "X has one row: there are no negatives");
    const bool gradients = out.dx.data != nullptr;
    const Index n = x.rows, m = 2 * n;
    const auto plan =
        pairwise::make_row_plan<T>(function, m, m, x.cols, 1, false, options.memory_budget,
                                   core::bytes_of<DclArrays<T>>(x, y, gradients));
    if (!computable(x, x, options.temperature) || !computable(y, y, options.temperature))
      return nan_result(out);
    Workspace::Frame frame = workspace.frame(plan.bytes);
    const DclArrays<T> arrays(x, y, gradients, frame);
    const Stacked<T>& stacked = arrays.stacked;
    double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
    double* const pair = arrays.pair;
    const T scale = T(1 / options.temperature);
    const double line = 1 / double(m);
    pairwise::row_sweep<T>(
        stacked.rows, stacked.rows, plan, frame,
        [&](const pairwise::PairRow<T>& row) {
          const Index i = row.i, p = formula::OtherView(n).column(i, 0);
          T *const s = row.s, *const e = row.scratch;
          s[i] = s[p] = -core::infinity<T>;
          const T top = scale * SPHEREMIX_DISPATCH(row_largest<T>)(s, m);
          const double sum = SPHEREMIX_DISPATCH(row_exponential<T>)(s, scale, top, e, m);
          loss[i] = line * (double(top) + std::log(sum));
          moment[i] = 0;
          if (!gradients) return;
          // e is 0 at i and p, so their entries of G are.
          moment[i] =
              SPHEREMIX_DISPATCH(row_weights<T>)(s, e, T(line / (sum * options.temperature)), m);
        },
        stacked.gradients());
    if (gradients) stacked.unstack(out);
    for (Index i = 0; i < n; ++i) pair[i] = row_product(x.row(i), y.row(i), x.cols);
    ContrastResult result;
    result.loss = positives(pair, n, pair + n);
    if (!core::leads(frame.share())) result.loss = 0, std::fill_n(pair + n, n, 0.0);
    result.log_temperature = -result.loss;  // the positives' part goes with 1 / tau
    if (gradients) add_pairs<T>(out.dx, out.dy, x, y, pair + n);
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
[[nodiscard]] double decoupled_contrastive(const Eigen::MatrixBase<X>& x,
                                           const Eigen::MatrixBase<Y>& y,
                                           const DecoupledContrastiveOptions& options = {},
                                           World&... world) {
  return detail::value("decoupled_contrastive", detail::DclLoss{{}, options},
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void decoupled_contrastive_with_gradient(const Eigen::MatrixBase<X>& x,
                                         const Eigen::MatrixBase<Y>& y,
                                         const DecoupledContrastiveOptions& options,
                                         core::Workspace& workspace, Out& out, World&... world) {
  detail::into("decoupled_contrastive_with_gradient", detail::DclLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto decoupled_contrastive_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const DecoupledContrastiveOptions& options = {}, World&... world) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        decoupled_contrastive_with_gradient(x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_DECOUPLED_CONTRASTIVE(T)                                         \
  ContrastResult run(const DclLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_DECOUPLED_CONTRASTIVE)
}  // namespace spheremix::losses::detail
