// What rank_n_contrast makes of one anchor: its others by falling distance of their labels, and the two
// chains of log-sum-exps over them (formula/rank_n_contrast.hpp).
#pragma once

#include "spheremix/formula/rank_n_contrast.hpp"
#include "spheremix/losses/detail/supervised.hpp"
#include "spheremix/losses/label_distances.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses::detail {

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
  double *squares, *centre;  ///< |x_i|^2; of the columns

  template <class Labels>
  RankArrays(const Labels& labels, double tolerance, Index cols, bool gradients,
             Workspace::Frame& frame)
      : order(labels, tolerance, frame),
        lines(labels.size(), frame),
        sorted(labels.size(), cols, gradients, frame),
        squares(frame.take<double>(std::size_t(labels.size()))),
        centre(frame.take<double>(std::size_t(cols))) {}
};

/// How distance rows are stored: `mark` is their last column, and 1 is `unit` of them.
struct RankUnits {
  double mark = 0, unit = 1;
};

/// The medians of the columns, the lower ones of an even number; each: n numbers to work in.
template <class T>
void column_medians(MatrixView<const T> x, double* each, double* median) {
  for (Index k = 0; k < x.cols; ++k) {
    for (Index i = 0; i < x.rows; ++i) each[i] = double(x(i, k));
    double* const middle = each + (x.rows - 1) / 2;
    std::nth_element(each, middle, each + x.rows);
    median[k] = *middle;
  }
}

/// Rows for distances: the medians of the columns taken off, so that a few rows far away take no
/// digits from the others, times a power of two by which the largest component is near 1 and no
/// product underflows; and in the last column a power of two too small to be seen
/// in a product, which is returned: in that column's gradient the sums of H = dL/d(product) over rows
/// and columns are found.
///
///   dL/dx_i = sum_j (H_ij + H_ji) (x_j - x_i)
template <class T>
RankUnits make_distance_rows(MatrixView<T> rows, double* each, double* centre) {
  const Index n = rows.rows, d = rows.cols - 1;
  column_medians<T>({rows.data, n, d, rows.stride}, each, centre);
  double largest = 0;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k)
      largest = (std::max)(largest, std::abs(double(rows(i, k)) - centre[k]));
  const double unit = largest > 0 ? std::ldexp(1.0, -(std::max)(std::ilogb(largest), -1000)) : 1;
  largest *= unit;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) rows(i, k) = T((double(rows(i, k)) - centre[k]) * unit);
  const double root = std::sqrt(double(core::epsilon<T>));
  const double mark = largest > 0 ? std::ldexp(1.0, std::ilogb(largest * root) - 1) : 1;
  for (Index i = 0; i < n; ++i) rows(i, d) = T(mark);
  return {mark, unit};
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
  double unit;

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
      z[p] = -apart[p] / (options.temperature * unit);
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

}  // namespace spheremix::losses::detail
