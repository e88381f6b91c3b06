// siglip on the CPU: formula, gradient and options in formula/siglip.hpp.
//
// Shapes     X: n x d, Y: m x d, m >= n >= 1; with targets any m. The learned scale of the paper is
//            e^a = 1/tau. Rows of Eigen::half and Eigen::bfloat16 are taken in float, gradients are
//            float.
// Cost       6 n^2 d flops in O(strip x n) memory, one sweep: no statistics.
// Accuracy   softplus(u) = max(u, 0) + log1p(e^-|u|): finite and exact to a few eps everywhere.
// Errors     shapes, no rows, tau, bias not finite, memory_budget too small. NaN gives NaN.
#pragma once

#include "spheremix/formula/siglip.hpp"
#include "spheremix/losses/detail/pair_set.hpp"
#include "spheremix/losses/detail/stacked.hpp"
#include "spheremix/losses/targets.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

namespace detail {

struct SiglipResult {
  double loss, log_temperature, bias;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.log_temperature = log_temperature;
    out.bias = bias;
  }
};

struct SiglipArrays {
  LineResults lines;
  double* shift;   ///< of each row, its part of dL/dbias
  double* weight;  ///< of each row over the largest
  PairSet targets, excluded;

  SiglipArrays(const TargetOptions& o, Index n, Index m, Workspace::Frame& frame)
      : lines(n, frame),
        shift(frame.take<double>(std::size_t(n))),
        weight(frame.take<double>(std::size_t(n))),
        targets(o.targets, n, m, frame),
        excluded(o.exclude, o.exclude ? n : 0, m, frame) {
    if (frame.share()) std::fill_n(shift, n, 0.0);
  }

  void expects_targets_of_rows(const char* function) const {
    Index i = 0;
    while (i < targets.n && !targets.any(i)) ++i;
    core::expects(i < targets.n, function, "no row has a target in a table of ", targets.n, " x ",
                  targets.m);
  }
};

/// One row of the table with u in row.scratch: its softplus and what follows from it.
template <class T>
struct SiglipRow {
  const pairwise::PairRow<T>& row;
  const PairSet& targets;
  Index m;
  formula::SiglipPair<T> pair;

  void flip() const {
    for (PairSet::Walk w = targets.walk(row.i, 0, m); targets.step(w);)
      row.scratch[w.j] = -row.scratch[w.j];
  }
  /// -p log sigmoid(u) - (1 - p) log sigmoid(-u) = softplus(-|u|) + ((1 - p) u or -p u): leaves -|u|,
  /// returns the sum of the rest.
  double fold() const {
    double rest = 0;
    for_dense_blocks(targets.from->soft, row.i, 0, m, [&](Index j, Index block, const double* p) {
      T* const u = row.scratch + j;
      for (Index k = 0; k < block; ++k) {
        if (!(u[k] > -core::infinity<T>)) continue;  // excluded
        rest += u[k] > 0 ? (1 - p[k]) * double(u[k]) : -p[k] * double(u[k]);
        u[k] = u[k] > 0 ? -u[k] : u[k];
      }
    });
    return rest;
  }
  /// sigmoid(u) - p from sigmoid(-|u|).
  void unfold() const {
    for_dense_blocks(targets.from->soft, row.i, 0, m, [&](Index j, Index block, const double* p) {
      for (Index k = 0; k < block; ++k) {
        T& u = row.scratch[j + k];
        u = pair.logit(row.s[j + k]) > 0 ? T(1 - p[k]) - u : u - T(p[k]);
      }
    });
  }
};

struct SiglipLoss : OfTargets<SiglipLoss, true> {
  template <class T>
  using StripType = StripOfMeeting<T>;
  static constexpr bool kShared = true;  // with targets
  const SiglipOptions& options;

  explicit SiglipLoss(const SiglipOptions& o, const Targets* of = nullptr)
      : OfTargets(o, of), options(o) {}

  template <class T>
  SiglipResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                          const Outputs<T, 2>& to) const {
    const MatrixView<const T> x = in[0], y = in[1];
    const pairwise::PairGradients<T> out{to[0], to[1]};
    expects_temperature<T>(function, "temperature", options.temperature);
    core::expects(std::isfinite(T(options.bias)), function, "bias is ", options.bias);
    const Strip<T>* const strip = in.strip;  // with targets on the diagonal
    const bool gradients = strip ? strip->gradients : out.wanted();
    const Index n = x.rows, m = strip ? strip->columns : y.rows;
    if (!strip) expects_targets(function, targets, n, m, 1);
    const auto plan =
        plan_beside(strip ? strip->held : 0, options.memory_budget, [&](std::size_t budget) {
          return pairwise::make_row_plan<T>(function, n, m, x.cols, 1, false, budget,
                                            core::bytes_of<SiglipArrays>(targets, n, m));
        });
    if (!computable(in, options.temperature)) {
      if (strip) strip->sum();
      if (targets.row_losses) std::fill_n(targets.row_losses, n, core::nan<double>);
      const ContrastResult bad = nan_result(out);
      return {bad.loss, bad.loss, bad.loss};
    }
    Workspace::Frame frame = workspace.frame(plan.bytes);
    SiglipArrays arrays(targets, n, m, frame);
    const double sum = weights_over_largest(targets.row_weights, n, arrays.weight);
    if (!strip) arrays.expects_targets_of_rows(function);
    core::expects(strip || sum > 0, function, "the row_weights add up to 0");
    const double lines = strip ? double(strip->total) : sum;
    double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
    double* const shift = arrays.shift;
    const auto pair = formula::SiglipPair<T>::of(options, 1);
    const bool soft = arrays.targets.dense();
    const auto sweep = [&](const core::RingBlock<T>& block) {
      const Index cols = block.y.rows;
      const bool again = block.step > 0;
      if (cols == 0) return;
      if (strip) arrays.targets.own = strip->first - block.first;
      pairwise::RowPlan<T> part = plan;
      part.plan.m = cols;
      Workspace::Frame rest = frame;
      pairwise::row_sweep<T>(
          x, block.y, part, rest,
          [&](const pairwise::PairRow<T>& row) {
            T *const s = row.s, *const u = row.scratch;
            const SiglipRow<T> pairs{row, arrays.targets, cols, pair};
            const auto exclude = [&](T value) {
              if (!targets.exclude) return;
              for (PairSet::Walk w = arrays.excluded.walk(row.i, 0, cols); arrays.excluded.step(w);)
                if (!(arrays.targets.at(row.i, w.j) > 0)) u[w.j] = value;
            };
            const auto put = [&](double& to_row, double here) {
              to_row = again ? to_row + here : here;
            };
            for (Index j = 0; j < cols; ++j) u[j] = pair.logit(s[j]);
            if (!soft) pairs.flip();
            exclude(-core::infinity<T>);
            const double outside = soft ? pairs.fold() : 0;
            put(loss[row.i], SPHEREMIX_DISPATCH(row_softplus<T>)(u, cols) + outside);
            if (!gradients) return;
            if (soft) {
              pairs.unfold();
              exclude(0);
            } else {
              pairs.flip();
            }
            put(shift[row.i], SPHEREMIX_DISPATCH(row_sum<T>)(u, cols));
            const T factor = T(arrays.weight[row.i] / (lines * options.temperature));
            put(moment[row.i], SPHEREMIX_DISPATCH(row_weights<T>)(row.s, u, factor, cols));
          },
          {out.dx, block.dy, again, block.add});
    };
    if (strip)
      strip->blocks(y, out.dy, sweep);
    else
      sweep({0, 0, y, out.dy});
    SiglipResult result{0, 0, 0};
    for (Index i = 0; i < n; ++i) {
      result.loss += arrays.weight[i] * loss[i] / lines;
      if (targets.row_losses) targets.row_losses[i] = loss[i];
      if (!gradients) continue;
      result.log_temperature -= moment[i];
      result.bias += arrays.weight[i] * shift[i] / lines;
    }
    if (frame.share() && targets.row_losses) frame.share()->gather(targets.row_losses, n);
    if (!strip) return result;
    double sums[] = {result.loss, result.log_temperature, result.bias};
    strip->sum(sums, 3);
    return {sums[0], sums[1], sums[2]};
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double siglip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const SiglipOptions& options = {}, World&... world) {
  return detail::value("siglip", detail::SiglipLoss(options), detail::over(options, world...), x, y)
      .loss;
}

/// The loss with `targets` (losses/targets.hpp) in place of the diagonal. X: n x d, Y: m x d.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double siglip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const Targets& targets, const SiglipOptions& options = {},
                            World&... world) {
  return detail::value("siglip", detail::SiglipLoss(options, &targets),
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of SiglipGradient), without an
/// allocation once `workspace` and `out` have their sizes. An `out` without the field x or y gets no
/// such gradient, which then costs no product.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void siglip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const SiglipOptions& options, core::Workspace& workspace, Out& out,
                          World&... world) {
  constexpr auto* name = "siglip_with_gradient";
  detail::into(name, detail::SiglipLoss(options), detail::over(options, world...), workspace, out,
               x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto siglip_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const SiglipOptions& options = {}, World&... world) {
  return detail::by_value<SiglipGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        siglip_with_gradient(x, y, options, workspace, out, world...);
      });
}

/// The same with `targets` in place of the diagonal.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void siglip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const Targets& targets, const SiglipOptions& options,
                          core::Workspace& workspace, Out& out, World&... world) {
  constexpr auto* name = "siglip_with_gradient";
  detail::into(name, detail::SiglipLoss(options, &targets), detail::over(options, world...),
               workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto siglip_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y, const Targets& targets,
                                        const SiglipOptions& options = {}, World&... world) {
  return detail::by_value<SiglipGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        siglip_with_gradient(x, y, targets, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_SIGLIP(T)                                                         \
  SiglipResult run(const SiglipLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                   const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SIGLIP)
}  // namespace spheremix::losses::detail
