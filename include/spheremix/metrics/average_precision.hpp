// mean_average_precision on the CPU: formula in formula/average_precision.hpp.
//
// Shapes   X: N x d, Y: M x d, N and M labels of any type (core/numbers.hpp).
// Errors   widths, numbers of labels, a row with NaN or infinity (named): std::invalid_argument. No
//          query with a relevant row: value 0 and skipped = N.
// Cost     2 N M d flops and a sort a row.
#pragma once

#include "spheremix/core/numbers.hpp"
#include "spheremix/formula/average_precision.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

namespace detail {

template <class T>
AveragePrecisionResult average_precision(const char* function, core::MatrixView<const T> x,
                                         core::MatrixView<const T> y, const core::Numbers& label_x,
                                         const core::Numbers& label_y, bool within,
                                         const core::Share* share = nullptr) {
  check_query(function, x, y);
  label_x.expects_vector(function, "labels of X", x.rows);
  label_y.expects_vector(function, "labels of Y", y.rows);
  std::vector<core::ExactNumber> answers;
  for (Index j = 0; j < y.rows; ++j) answers.push_back(label_y[j]);
  std::vector<double> each(static_cast<std::size_t>(x.rows), -1.0);
  for_whole_rows(
      x, y,
      [&](Index i, T* s) {
        const core::ExactNumber wanted = label_x[i];
        std::vector<T> relevant, others;
        for (Index j = 0; j < y.rows; ++j)
          if (!within || j != i)
            (answers[std::size_t(j)] == wanted ? relevant : others).push_back(s[j]);
        if (relevant.empty()) return;
        std::sort(relevant.begin(), relevant.end(), std::greater<T>());
        std::sort(others.begin(), others.end(), std::greater<T>());
        double sum = 0;
        std::size_t ahead = 0;
        for (std::size_t r = 0; r < relevant.size(); ++r) {
          while (ahead < others.size() && others[ahead] >= relevant[r]) ++ahead;
          sum += formula::precision_at(double(r + 1), double(ahead));
        }
        each[std::size_t(i)] = sum / double(relevant.size());
      },
      share);
  if (share) share->gather(each.data(), x.rows);
  AveragePrecisionResult result;
  CompensatedSum sum;
  for (const double ap : each) {
    if (ap < 0)
      ++result.skipped;
    else
      sum.add(ap);
  }
  const Index counted = x.rows - result.skipped;
  result.value = counted > 0 ? sum.value() / double(counted) : 0;
  return result;
}

}  // namespace detail

/// Rows of X ask, rows of Y answer.
template <class X, class Y>
[[nodiscard]] AveragePrecisionResult mean_average_precision(const Eigen::MatrixBase<X>& x,
                                                            const Eigen::MatrixBase<Y>& y,
                                                            const core::Numbers& label_x,
                                                            const core::Numbers& label_y) {
  using T = core::Real<X>;
  const core::InputRows<T> rows_x(x), rows_y(y);
  return detail::average_precision("mean_average_precision", rows_x.view(), rows_y.view(), label_x,
                                   label_y, false);
}

/// Within one batch, each row asking all others.
template <class X>
[[nodiscard]] AveragePrecisionResult mean_average_precision(const Eigen::MatrixBase<X>& x,
                                                            const core::Numbers& labels) {
  const core::InputRows<core::Real<X>> rows(x);
  return detail::average_precision("mean_average_precision", rows.view(), rows.view(), labels,
                                   labels, true);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] AveragePrecisionResult mean_average_precision(const Eigen::MatrixBase<X>& x,
                                                            const Eigen::MatrixBase<Y>& y,
                                                            const core::Numbers& label_x,
                                                            const core::Numbers& label_y,
                                                            World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "mean_average_precision", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y,
          const core::Numbers& labels_x, const core::Numbers& labels_y) {
        return detail::average_precision("mean_average_precision", core::rows_of(all_x),
                                         core::rows_of(all_y), labels_x, labels_y, false, share);
      },
      x, y, core::paired(label_x), core::paired(label_y, 1));
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] AveragePrecisionResult mean_average_precision(const Eigen::MatrixBase<X>& x,
                                                            const core::Numbers& labels,
                                                            World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "mean_average_precision", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all, const core::Numbers& all_labels) {
        return detail::average_precision("mean_average_precision", core::rows_of(all),
                                         core::rows_of(all), all_labels, all_labels, true, share);
      },
      x, core::paired(labels));
}

}  // namespace spheremix::metrics
