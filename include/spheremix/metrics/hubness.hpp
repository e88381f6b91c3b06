// hubness on the CPU: formula, gradient and options in formula/hubness.hpp.
//
// Shapes   X: N x d, Y: M x d. 1 <= k <= M (k < N within one batch).
// Errors   widths, k, a row with NaN or infinity (named): std::invalid_argument.
// Cost     2 N M d flops and a comparison a product; memory O(M) and what nearest takes a thread.
//          Over W processes O(M), too, besides nearest's.
#pragma once

#include <atomic>
#include <cmath>
#include <vector>

#include "spheremix/formula/hubness.hpp"
#include "spheremix/metrics/detail/nearest_ring.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"

namespace spheremix::metrics {

/// The skewness and the counts that it is of.
struct HubnessResult {
  double skewness = 0;
  std::vector<Index> occurrences;  ///< O_j
};

namespace detail {

/// From the occurrences, those of n rows' k nearest.
inline void put_skewness(HubnessResult& result, Index n, Index k) {
  const double m = double(result.occurrences.size()), mean = double(n) * double(k) / m;
  double second = 0, third = 0;
  for (const Index o : result.occurrences) {
    const double away = double(o) - mean;
    second += away * away;
    third += away * away * away;
  }
  result.skewness = formula::skewness_of(second, third, m);
}

template <class T>
HubnessResult hubness(const char* function, core::MatrixView<const T> x,
                      core::MatrixView<const T> y, Index k, Index own) {
  check_query(function, x, y);
  const Index m = y.rows;
  check_nearest(function, k, m, own);
  HubnessResult result{0, std::vector<Index>(static_cast<std::size_t>(m))};
  core::Workspace workspace;
  for_nearest(x, y, k, own, workspace, [&](Index, const Candidate<T>* nearest, Index count) {
    for (Index p = 0; p < count; ++p)
      std::atomic_ref<Index>(result.occurrences[std::size_t(nearest[p].row)])
          .fetch_add(1, std::memory_order_relaxed);
  });
  put_skewness(result, x.rows, k);
  return result;
}

/// Of the rows of all ranks, Y's as batch `of_y`: 0 where they are X's.
template <class T>
HubnessResult hubness_by_ring(core::Meeting& meeting, core::MatrixView<const T> x, int of_y,
                              core::MatrixView<const T> y, Index k) {
  const Index n = meeting.total(0), m = meeting.total(of_y);
  core::expects(n >= 1 && m >= 1, meeting.function(), "X has ", n, " rows and Y ", m);
  check_query_across(meeting, of_y, x, y, k, of_y == 0);
  HubnessResult result{0, std::vector<Index>(static_cast<std::size_t>(m))};
  const NearestRing<T> found(meeting, of_y, x, y, k, of_y == 0);
  for (Index i = 0; i < x.rows; ++i)
    for (Index p = 0; p < k; ++p) ++result.occurrences[std::size_t(found.of(i)[p].row)];
  pairwise::MeetingShare(meeting).add(result.occurrences.data(), m);
  put_skewness(result, n, k);
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
  return pairwise::over_blocks<T>(
      "hubness", world, options,
      [&](core::Meeting& meeting, const auto& rows) {
        return detail::hubness_by_ring<T>(meeting, rows, 0, rows, options.k);
      },
      x);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] HubnessResult hubness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                    const HubnessOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::over_blocks<T>(
      "hubness", world, options,
      [&](core::Meeting& meeting, const auto& xs, const auto& ys) {
        return detail::hubness_by_ring<T>(meeting, xs, 1, ys, options.k);
      },
      x, y);
}

}  // namespace spheremix::metrics
