// sup_con on the CPU: formula, gradient and options in formula/sup_con.hpp.
//
// Shapes     X: n x d, n >= 1; labels: n finite numbers of any type (core/numbers.hpp), compared as
//            what they are, ids above 2^53 too. Anchors without a positive are left out and
//            counted (skipped); a batch of such anchors alone has loss 0 and no gradient.
// Accuracy   exact maxima; a row whose only positive dominates keeps its digits by log1p.
// Cost       6 n^2 d flops in O(strip x n) memory.
// Errors     shapes, labels not finite, tau, memory_budget too small. NaN in a row gives NaN.
#pragma once

#include "spheremix/formula/sup_con.hpp"
#include "spheremix/losses/detail/supervised.hpp"

namespace spheremix::losses {

namespace detail {

/// Sum over softmax row `s` (length n, self lifted out) with its largest entry set apart.
template <class T>
struct SoftmaxRow {
  T top;          ///< largest logit
  Index best;     ///< its column
  double others;  ///< sum of e^(z - top) over the other columns

  formula::SoftmaxLine<double> line() const { return {others, true}; }
};

/// e^(scale s - top) goes to e (0 in the best column); s keeps its values.
template <class T>
SoftmaxRow<T> softmax_row(T* s, Index n, T scale, T* e) {
  const T largest = SPHEREMIX_DISPATCH(row_largest<T>)(s, n);
  SoftmaxRow<T> row{core::rounded(scale * largest), Index(std::find(s, s + n, largest) - s), 0};
  s[row.best] = -core::infinity<T>;
  row.others = SPHEREMIX_DISPATCH(row_exponential<T>)(s, scale, row.top, e, n);
  s[row.best] = largest;
  return row;
}

template <class T>
SupervisedResult sup_con_on_views(const char* function, MatrixView<const T> x,
                                  const Numbers& labels, const SupConOptions& o,
                                  Workspace& workspace, MatrixView<T> dx) {
  expects_temperature<T>(function, "temperature", o.temperature);
  expects_tolerance(function, o.label_tolerance);
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr;
  using Arrays = SupervisedArrays<T, LabelOrder>;
  const auto plan =
      pairwise::make_row_plan<T>(function, n, n, d, 1, false, o.memory_budget,
                                 core::bytes_of<Arrays>(labels, o.label_tolerance, d, gradients));
  if (!computable(x, x, o.temperature)) {
    if (gradients) fill_nan(dx);
    return {core::nan<double>, core::nan<double>, 0};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const Arrays arrays(labels, o.label_tolerance, d, gradients, frame);
  const LabelOrder& order = arrays.order;
  SupervisedResult result;
  for (Index i = 0; i < n; ++i) result.skipped += order.last[i] - order.first[i] == 1;
  const Index anchors = n - result.skipped;
  double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
  const MatrixView<T> sorted = arrays.sorted.rows;  // positives are neighbours
  gather_rows<T>(x, order.place, sorted);
  const pairwise::PairGradients<T> to = arrays.sorted.gradients();
  const T scale = T(1 / o.temperature);
  const double line = anchors > 0 ? 1 / double(anchors) : 0;
  pairwise::row_sweep<T>(
      sorted, sorted, plan, frame,
      [&](const pairwise::PairRow<T>& row) {
        const Index i = row.i, first = order.first[i], last = order.last[i],
                    count = last - first - 1;
        T *const s = row.s, *const e = row.scratch;
        loss[i] = moment[i] = 0;
        if (count == 0) {
          std::fill_n(s, n, T(0));
          return;
        }
        s[i] = -core::infinity<T>;
        const SoftmaxRow<T> soft = softmax_row(s, n, scale, e);
        double below = 0, wanted = 0;  // sums of top - z and of the cosines of the positives
        for (Index j = first; j < last; ++j) {
          if (j == i) continue;
          below += double(soft.top) - double(core::rounded(scale * s[j]));
          wanted += double(s[j]);
        }
        const auto targets =
            formula::sup_con_line(soft.line(), double(soft.top), below, double(count));
        loss[i] = targets.loss();
        if (!gradients) return;
        const double unit = line / o.temperature;
        // p - 1 of a sole positive that dominates is minus the sum of the others.
        const bool sole = count == 1 && soft.best >= first && soft.best < last;
        const double own = unit * targets.slope(true, 1, 1, 0), cosine = double(s[soft.best]);
        e[soft.best] = sole ? T(0) : T(1);
        moment[i] = SPHEREMIX_DISPATCH(row_weights<T>)(s, e, T(unit / targets.softmax.total()), n);
        if (sole) {
          s[soft.best] = T(own);
          moment[i] += own * cosine;
          return;
        }
        const double share = unit / double(count);
        moment[i] -= share * wanted;
        for (Index j = first; j < last; ++j)
          if (j != i) s[j] = T(double(s[j]) - share);
      },
      to);
  if (gradients) scatter_sum<T>(to.dx, to.dy, order.place, dx);
  for (Index i = 0; i < n; ++i) {
    result.loss += line * loss[i];
    result.log_temperature -= moment[i];
  }
  return result;
}

template <class X>
double sup_con_value(Local here, const Eigen::MatrixBase<X>& x, const Numbers& labels,
                     const SupConOptions& options) {
  return supervised_value(
             "sup_con", x, labels,
             [&](auto view, const auto& y, auto& workspace, auto dx) {
               return sup_con_on_views("sup_con", view, y, options, workspace, dx);
             },
             here)
      .loss;
}

}  // namespace detail

/// The loss, in nats.
template <class X, class... World>
requires core::Worlds<World...>
[[nodiscard]] double sup_con(const Eigen::MatrixBase<X>& x, const core::Numbers& labels,
                             const SupConOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across(
        "sup_con", world..., options,
        [&](detail::Local here, const auto&... all) {
          return detail::sup_con_value(here, all..., options);
        },
        x, core::per_row(labels));
  } else {
    return detail::sup_con_value(detail::Local{}, x, labels, options);
  }
}

/// Loss and gradient into `out` (any struct with the fields of SupervisedGradient).
template <class X, class Out, class... World>
requires core::Worlds<World...>
void sup_con_with_gradient(const Eigen::MatrixBase<X>& x, const core::Numbers& labels,
                           const SupConOptions& options, core::Workspace& workspace, Out& out,
                           World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "sup_con_with_gradient", world..., options, workspace, out,
        [&](auto& memory, const auto&... all) -> auto& {
          auto& part =
              detail::whole_gradient<decltype(sup_con_with_gradient(all..., options))>(memory);
          sup_con_with_gradient(all..., options, memory, part);
          return part;
        },
        x, core::per_row(labels));
  } else {
    constexpr auto* name = "sup_con_with_gradient";
    detail::supervised_gradient(
        name, x, labels,
        [&](auto view, const auto& y, auto& memory, auto dx) {
          return detail::sup_con_on_views(name, view, y, options, memory, dx);
        },
        workspace, out);
  }
}

template <class X, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto sup_con_with_gradient(const Eigen::MatrixBase<X>& x, const core::Numbers& labels,
                                         const SupConOptions& options = {}, World&... world) {
  return detail::by_value<SupervisedGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        sup_con_with_gradient(x, labels, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_SUP_CON(T)                                                          \
  SupervisedResult sup_con_on_views(const char*, MatrixView<const T>, const Numbers&, \
                                    const SupConOptions&, Workspace&, MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SUP_CON)
}  // namespace spheremix::losses::detail
