// rank_n_contrast on the CPU: formula, gradient and options in formula/rank_n_contrast.hpp.
//
// Shapes     X: n x d, n >= 1, rows as they are; labels: n finite numbers of any type
//            (core/numbers.hpp), or label_distances of labels of several dimensions. n = 1 has no
//            pair: loss 0, skipped 1.
// Cost       6 n^2 d flops and about four exponentials a pair, in O(strip x n) memory and 3 n d.
// Accuracy   in double but for the products. Distances are those of the rows less the medians of
//            their columns, the short ones by differences. Equal rows give no gradient to each other
//            (the subgradient 0 of a norm); rows at distance D give each other one that is right to
//            eps R / D, R their length less the medians: a few rows far away change nothing for the
//            others.
// Errors     shapes, labels not finite, tau, label_tolerance < 0, memory_budget too small. NaN in a
//            row gives NaN.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/rank_n_contrast.hpp"
#include "spheremix/losses/detail/rank_rows.hpp"

namespace spheremix::losses {

namespace detail {

template <class Order, class T, class Labels>
SupervisedResult rank_n_contrast_by(const char* function, MatrixView<const T> x,
                                    const Labels& labels, const RankNContrastOptions& o,
                                    Workspace& workspace, MatrixView<T> dx) {
  expects_temperature<T>(function, "temperature", o.temperature);
  expects_tolerance(function, o.label_tolerance);
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr, cosine = o.similarity == RankSimilarity::cosine;
  using Arrays = RankArrays<T, Order>;
  using Anchor = RankAnchor<T, Order>;
  const Index cols = cosine ? d : d + 1;
  const auto plan = pairwise::make_row_plan<T>(
      function, n, n, cols, Anchor::kScratch, false, o.memory_budget,
      core::bytes_of<Arrays>(labels, o.label_tolerance, cols, gradients));
  if (!computable(x, x, (std::min)(1.0, o.temperature) / 4)) {
    if (gradients) fill_nan(dx);
    return {core::nan<double>, core::nan<double>, 0};
  }
  if (n == 1) {
    for (Index k = 0; gradients && k < d; ++k) dx(0, k) = 0;
    return {0, 0, 1};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const Arrays arrays(labels, o.label_tolerance, cols, gradients, frame);
  const Order& order = arrays.order;
  const MatrixView<T> rows = arrays.sorted.rows;
  for (Index i = 0; i < n; ++i) std::copy_n(x.row(order.place(i)), d, rows.row(i));
  const auto [mark, unit] =
      cosine ? RankUnits{} : make_distance_rows(rows, arrays.squares, arrays.centre);
  for (Index i = 0; i < n; ++i) arrays.squares[i] = row_product(rows.row(i), rows.row(i), cols);
  const pairwise::PairGradients<T> to = arrays.sorted.gradients();
  const Anchor anchor{order, o, rows, arrays.squares, gradients, unit};
  pairwise::row_sweep<T>(
      rows, rows, plan, frame,
      [&](const pairwise::PairRow<T>& row) {
        anchor(row, arrays.lines.loss[row.i], arrays.lines.moment[row.i]);
      },
      to);
  SupervisedResult result;
  for (Index i = 0; i < n; ++i) {
    result.loss += arrays.lines.loss[i];
    if (!gradients) continue;
    result.log_temperature -= arrays.lines.moment[i];
    put_rank_gradient<T>(rows, mark, to, i, dx.row(order.place(i)));
  }
  return result;
}

template <class T>
SupervisedResult rank_n_contrast_on_views(const char* function, MatrixView<const T> x,
                                          const Numbers& labels, const RankNContrastOptions& o,
                                          Workspace& workspace, MatrixView<T> dx) {
  return rank_n_contrast_by<RankRows>(function, x, labels, o, workspace, dx);
}
/// By distances of the caller's.
template <class T>
SupervisedResult rank_n_contrast_on_views(const char* function, MatrixView<const T> x,
                                          const LabelDistances& labels,
                                          const RankNContrastOptions& o, Workspace& workspace,
                                          MatrixView<T> dx) {
  return rank_n_contrast_by<RankTable>(function, x, labels, o, workspace, dx);
}

template <class X, class Y>
double rank_n_contrast_value(Local here, const Eigen::MatrixBase<X>& x, const Y& labels,
                             const RankNContrastOptions& options) {
  const GivenLabels<Y> given(labels);
  return supervised_value(
             "rank_n_contrast", x, given,
             [&](auto view, const auto& y, auto& workspace, auto dx) {
               return rank_n_contrast_on_views("rank_n_contrast", view, y, options, workspace, dx);
             },
             here)
      .loss;
}

}  // namespace detail

/// The loss, in nats. labels: numbers (core/numbers.hpp) or LabelDistances.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double rank_n_contrast(const Eigen::MatrixBase<X>& x, const Y& labels,
                                     const RankNContrastOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across(
        "rank_n_contrast", world..., options,
        [&](detail::Local here, const auto&... all) {
          return detail::rank_n_contrast_value(here, all..., options);
        },
        x, core::per_row(labels));
  } else {
    return detail::rank_n_contrast_value(detail::Local{}, x, labels, options);
  }
}

/// Loss and gradient into `out` (any struct with the fields of SupervisedGradient).
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void rank_n_contrast_with_gradient(const Eigen::MatrixBase<X>& x, const Y& labels,
                                   const RankNContrastOptions& options, core::Workspace& workspace,
                                   Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "rank_n_contrast_with_gradient", world..., options, workspace, out,
        [&](auto& memory, const auto&... all) -> auto& {
          auto& part =
              detail::whole_gradient<decltype(rank_n_contrast_with_gradient(all..., options))>(
                  memory);
          rank_n_contrast_with_gradient(all..., options, memory, part);
          return part;
        },
        x, core::per_row(labels));
  } else {
    constexpr auto* name = "rank_n_contrast_with_gradient";
    const detail::GivenLabels<Y> given(labels);
    detail::supervised_gradient(
        name, x, given,
        [&](auto view, const auto& y, auto& memory, auto dx) {
          return detail::rank_n_contrast_on_views(name, view, y, options, memory, dx);
        },
        workspace, out);
  }
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto rank_n_contrast_with_gradient(const Eigen::MatrixBase<X>& x, const Y& labels,
                                                 const RankNContrastOptions& options = {},
                                                 World&... world) {
  return detail::by_value<SupervisedGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        rank_n_contrast_with_gradient(x, labels, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_RANK_N_CONTRAST(T)                                                          \
  SupervisedResult rank_n_contrast_on_views(const char*, MatrixView<const T>, const Numbers&, \
                                            const RankNContrastOptions&, Workspace&,          \
                                            MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_RANK_N_CONTRAST)
#define SPHEREMIX_RANK_N_CONTRAST_BY_DISTANCE(T)                                                \
  SupervisedResult rank_n_contrast_on_views(const char*, MatrixView<const T>,                   \
                                            const LabelDistances&, const RankNContrastOptions&, \
                                            Workspace&, MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_RANK_N_CONTRAST_BY_DISTANCE)
}  // namespace spheremix::losses::detail
