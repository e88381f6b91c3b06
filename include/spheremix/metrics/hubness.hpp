// hubness on the CPU: formula, gradient and options in formula/hubness.hpp.
//
// Shapes   X: N x d, Y: M x d. 1 <= k <= M (k < N within one batch).
// Errors   widths, k, a row with NaN or infinity (named): std::invalid_argument.
// Cost     2 N M d flops and a comparison a product; memory O(M) and what nearest takes a thread.
#pragma once

#include <atomic>
#include <cmath>
#include <vector>

#include "spheremix/formula/hubness.hpp"
#include "spheremix/metrics/detail/nearest_rows.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

/// The skewness and the counts that it is of.
struct HubnessResult {
  double skewness = 0;
  std::vector<Index> occurrences;  ///< O_j
};

namespace detail {

template <class T>
HubnessResult hubness(const char* function, core::MatrixView<const T> x,
                      core::MatrixView<const T> y, Index k, Index own,
                      const core::Share* share = nullptr) {
  check_query(function, x, y);
  const Index m = y.rows;
  check_nearest(function, k, m, own);
  HubnessResult result{0, std::vector<Index>(static_cast<std::size_t>(m))};
  core::Workspace workspace;
  for_nearest(
      x, y, k, own, workspace,
      [&](Index, const Candidate<T>* nearest) {
        for (Index p = 0; p < k; ++p)
          std::atomic_ref<Index>(result.occurrences[std::size_t(nearest[p].row)])
              .fetch_add(1, std::memory_order_relaxed);
      },
      share);
  if (share) share->add(result.occurrences.data(), m);
  const double mean = double(x.rows) * double(k) / double(m);
  double second = 0, third = 0;
  for (const Index o : result.occurrences) {
    const double away = double(o) - mean;
    second += away * away;
    third += away * away * away;
  }
  result.skewness = formula::skewness_of(second, third, double(m));
  return result;
}

}  // namespace detail

/// Within one batch.
template <class X>
[[nodiscard]] HubnessResult hubness(const Eigen::MatrixBase<X>& x,
                                    const HubnessOptions& options = {}) {
  const core::InputRows<core::Real<X>> rows(x);
  return detail::hubness("hubness", rows.view(), rows.view(), options.k, 0);
}

/// Rows of X ask, rows of Y answer.
template <class X, class Y>
[[nodiscard]] HubnessResult hubness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                    const HubnessOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> rows_x(x), rows_y(y);
  return detail::hubness("hubness", rows_x.view(), rows_y.view(), options.k, detail::kApart);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] HubnessResult hubness(const Eigen::MatrixBase<X>& x, const HubnessOptions& options,
                                    World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "hubness", world, options,
      [&](const core::Share* share, const RowMatrix<T>& all) {
        return detail::hubness("hubness", core::rows_of(all), core::rows_of(all), options.k, 0,
                               share);
      },
      x);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] HubnessResult hubness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                    const HubnessOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "hubness", world, options,
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y) {
        return detail::hubness("hubness", core::rows_of(all_x), core::rows_of(all_y), options.k,
                               detail::kApart, share);
      },
      x, y);
}

}  // namespace spheremix::metrics
