// rank_n_contrast on the CPU: formula, gradient and options in formula/rank_n_contrast.hpp.
//
// Shapes     X: n x d, n >= 1, rows as they are; labels: n finite numbers of any type
//            (core/numbers.hpp), or label_distances of labels of several dimensions. n = 1 has no
//            pair: loss 0, skipped 1.
// Cost       6 n^2 d flops and about four exponentials a pair, in O(strip x n) memory and 3 n d.
// Accuracy   in double but for the products. Distances are those of the rows less their mean, the
//            short ones by differences. Equal rows give no gradient to each other (the subgradient 0
//            of a norm); rows at distance D give each other one that is right to eps/D.
// Errors     shapes, labels not finite, tau, label_tolerance < 0, memory_budget too small. NaN in a
//            row gives NaN.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/rank_n_contrast.hpp"
#include "spheremix/losses/detail/supervised.hpp"
#include "spheremix/losses/label_distances.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses {

namespace detail {

/// Numbers: rows in the order of their labels, so that an anchor's others by falling distance are a
/// merge of two runs.
struct RankRows {
  LabelOrder order;
  double slack = 0;

  RankRows(const Numbers& labels, double tolerance, Workspace::Frame& frame)
      : order(labels, 0, frame) {
    if (frame.counts()) return;
    const auto size = [](ExactNumber y) { return std::abs(y.high); };
    slack = formula::rank_slack(tolerance, labels.resolution(),
                                (std::max)(size(order.label[0]), size(order.label[order.n - 1])));
  }
  Index place(Index i) const { return order.place[i]; }

  /// The n - 1 others of row i by falling distance, and how far away they are.
  void others(Index i, Index* other, double* away) const {
    Index left = 0, right = order.n - 1;
    for (Index p = 0; p + 1 < order.n; ++p) {
      const double l = order.label[i] - order.label[left], r = order.label[right] - order.label[i];
      const bool take_left = left < i && (right == i || l >= r);
      away[p] = take_left ? l : r;
      other[p] = take_left ? left++ : right--;
    }
  }
};

/// Distances of the caller's: a sort an anchor.
struct RankTable {
  MatrixView<const double> table;
  double slack;

  RankTable(const LabelDistances& labels, double tolerance, Workspace::Frame&)
      : table(labels.view()), slack(tolerance) {}
  Index place(Index i) const { return i; }

  void others(Index i, Index* other, double* away) const {
    Index count = 0;
    for (Index k = 0; k < table.rows; ++k)
      if (k != i) other[count++] = k;
    std::sort(other, other + count, [&](Index a, Index b) {
      return table(i, a) > table(i, b) || (table(i, a) == table(i, b) && a < b);
    });
    for (Index p = 0; p < count; ++p) away[p] = table(i, other[p]);
  }
};

template <class T, class Order>
struct RankArrays {
  Order order;
  LineResults lines;
  SortedRows<T> sorted;
  double *squares, *mean;  ///< |x_i|^2; of the columns

  template <class Labels>
  RankArrays(const Labels& labels, double tolerance, Index cols, bool gradients,
             Workspace::Frame& frame)
      : order(labels, tolerance, frame),
        lines(labels.size(), frame),
        sorted(labels.size(), cols, gradients, frame),
        squares(frame.take<double>(std::size_t(labels.size()))),
        mean(frame.take<double>(std::size_t(cols))) {}
};

/// Rows for distances: the mean taken off, and in the last column a power of two too small to be seen
/// in a product, which is returned: in that column's gradient the sums of H = dL/d(product) over rows
/// and columns are found.
///
///   dL/dx_i = sum_j (H_ij + H_ji) (x_j - x_i)
template <class T>
double make_distance_rows(MatrixView<T> rows, double* mean) {
  const Index n = rows.rows, d = rows.cols - 1;
  std::fill_n(mean, d, 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) mean[k] += double(rows(i, k)) / double(n);
  double largest = 0;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) {
      rows(i, k) = T(double(rows(i, k)) - mean[k]);
      largest = (std::max)(largest, std::abs(double(rows(i, k))));
    }
  const double root = std::sqrt(double(core::epsilon<T>));
  const double mark = largest > 0 ? std::ldexp(1.0, std::ilogb(largest * root) - 1) : 1;
  for (Index i = 0; i < n; ++i) rows(i, d) = T(mark);
  return mark;
}

/// dX of row i from both products; mark 0: of cosines.
template <class T>
void put_rank_gradient(MatrixView<const T> rows, double mark, const pairwise::PairGradients<T>& g,
                       Index i, T* to) {
  const Index d = rows.cols - (mark > 0);
  const double sum = mark > 0 ? (double(g.dx(i, d)) + double(g.dy(i, d))) / mark : 0;
  for (Index k = 0; k < d; ++k)
    to[k] = T(double(g.dx(i, k)) + double(g.dy(i, k)) - sum * double(rows(i, k)));
}

/// One anchor. `row` is its row of products, by the order's places.
template <class T, class Order>
struct RankAnchor {
  static constexpr Index kScratch = 6 * pairwise::kDoubleRow<T>;
  const Order& order;
  const RankNContrastOptions& options;
  MatrixView<const T> x;
  const double* squares;
  bool gradients;

  /// |x_i - x_j| from their product.
  double distance(Index i, Index j, T product) const {
    const double ends = squares[i] + squares[j], square = ends - 2 * double(product);
    if (square > 0.1 * ends) return std::sqrt(square);
    return metrics::detail::row_distance(x.row(i), x.row(j), x.cols);
  }

  /// Loss and sum of dL/dz z of the anchor; dL/d(product) in row.s.
  void operator()(const pairwise::PairRow<T>& row, double& loss, double& moment) const {
    const Index i = row.i, n = x.rows, count = n - 1;
    const auto room = [&](Index k) {
      return reinterpret_cast<double*>(row.scratch + k * pairwise::kDoubleRow<T> * row.stride);
    };
    double *const away = room(0), *const z = room(1), *const total = room(2),
                  *const apart = room(3);
    Index *const other = reinterpret_cast<Index*>(room(4)), *const end =
                                                                reinterpret_cast<Index*>(room(5));
    const double each = 1 / (double(n) * double(count));
    order.others(i, other, away);
    formula::RunningLogSum sum;
    for (Index p = 0; p < count; ++p) {
      const T s = row.s[other[p]];
      apart[p] =
          options.similarity == RankSimilarity::cosine ? -double(s) : distance(i, other[p], s);
      z[p] = -apart[p] / options.temperature;
      sum.add(z[p]);
      total[p] = sum.value();
    }
    // From here total[p] is the denominator of the positive at p: of all that are as far away.
    Index last = 0;
    loss = moment = 0;
    for (Index p = 0; p < count; ++p) {
      while (last < count && away[last] >= away[p] - order.slack) ++last;
      end[p] = last;
      total[p] = total[last - 1];
      loss += each * (total[p] - z[p]);
    }
    if (!gradients) return;
    row.s[i] = 0;
    // tail: sum_{j >= p} e^(total[p] - total[j]). p: the first whose denominator holds q.
    double tail = 0;
    Index p = count;
    for (Index q = count; q-- > 0;) {
      while (p > 0 && end[p - 1] > q) {
        --p;
        tail = 1 + (tail > 0 ? tail * std::exp(total[p] - total[p + 1]) : 0);
      }
      const double g = each * (std::exp(z[q] - total[p]) * tail - 1);
      moment += g * z[q];
      const double slope = options.similarity == RankSimilarity::cosine ? 1
                           : apart[q] > 0                               ? 1 / apart[q]
                                                                        : 0;
      row.s[other[q]] = T(g * slope / options.temperature);
    }
  }
};

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
  const double mark = cosine ? 0 : make_distance_rows(rows, arrays.mean);
  for (Index i = 0; i < n; ++i) arrays.squares[i] = row_product(rows.row(i), rows.row(i), cols);
  const pairwise::PairGradients<T> to = arrays.sorted.gradients();
  const Anchor anchor{order, o, rows, arrays.squares, gradients};
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
        "rank_n_contrast", world..., options, true,
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
        "rank_n_contrast_with_gradient", world..., options, workspace, out, true,
        [&](auto& memory, const auto&... all) {
          decltype(rank_n_contrast_with_gradient(all..., options)) part;
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
  return detail::by_value<SupervisedGradient<RowMatrix<typename X::Scalar>>>(
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
