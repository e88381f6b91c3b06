// retrieval on the CPU: formula and options in formula/retrieval.hpp.
//
// Shapes  X, Y: N x d; row i's answer is Y's row i. Rows are used as they are: unit rows rank by
//         cosine.
// Errors  shapes that differ, N = 0, k < 1, a row with NaN or infinity (named):
//         std::invalid_argument.
// Cost    2 N^2 d flops for one direction, and no more for both; memory O(N).
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "spheremix/core/whole.hpp"
#include "spheremix/formula/retrieval.hpp"
#include "spheremix/metrics/detail/tiles.hpp"

namespace spheremix::metrics {

/// Means over the rows of X.
struct RetrievalResult {
  std::vector<double> recall;  ///< in [0, 1], one for each k
  double median_rank = 0;      ///< mean of the middle two for an even number of rows
  double mrr = 0;              ///< mean reciprocal rank
};

/// Both directions.
struct RetrievalBothResult {
  RetrievalResult x_to_y;  ///< X asks, Y answers
  RetrievalResult y_to_x;  ///< Y asks, X answers
};

namespace detail {

struct Ranks {
  std::vector<Index> rows, cols;
};

/// Ranks of the pairs within their rows of X Y^T and, if wanted, within their columns. Row i's answer
/// is Y's row first + i. A share adds up what the tiles of all give.
template <class T>
Ranks pair_ranks(core::MatrixView<const T> x, core::MatrixView<const T> y, bool both,
                 Index first = 0, const core::Share* share = nullptr) {
  const Index n = x.rows;
  const std::vector<T> own = paired_products(x, y.middle_rows(first, n));
  Ranks ranks{std::vector<Index>(std::size_t(n)), std::vector<Index>(std::size_t(both ? n : 0))};
  for_product_tiles(
      x, y, false,
      [&](Index i, Index j, core::MatrixView<T> tile, int) {
        simd::LaneInt<T> in_column[kTileCols] = {};
        for (Index r = 0; r < tile.rows; ++r) {
          // The pair itself is one of them.
          const Index in_row =
              SPHEREMIX_DISPATCH(count_at_least<T>)(tile.row(r), tile.cols, own[std::size_t(i + r)],
                                                    both ? own.data() + j : nullptr, in_column);
          std::atomic_ref<Index>(ranks.rows[std::size_t(i + r)])
              .fetch_add(in_row, std::memory_order_relaxed);
        }
        for (Index c = 0; both && c < tile.cols; ++c)
          std::atomic_ref<Index>(ranks.cols[std::size_t(j + c)])
              .fetch_add(Index(in_column[c]), std::memory_order_relaxed);
      },
      share);
  if (share) share->add(ranks.rows.data(), n);
  if (share && both) share->add(ranks.cols.data(), n);
  return ranks;
}

/// Of this rank's rows of X the ranks of their pairs among all rows of Y, gathered from all ranks.
template <class T>
std::vector<Index> ranks_across(core::Meeting& meeting, core::MatrixView<const T> x,
                                core::MatrixView<const T> all_y) {
  const Index first = meeting.first(0, meeting.ranks().rank());
  std::vector<Index> all(std::size_t(meeting.total(0)));
  Ranks mine;
  if (x.rows > 0) mine = pair_ranks(x, all_y, false, first);
  meeting.agree();
  core::gather_rows<Index>(meeting, 2, {mine.rows.data(), x.rows, 1, 1},
                           {all.data(), meeting.total(0), 1, 1});
  return all;
}

/// Both sides' ranks over several processes, each of which asks for its own rows: result =
/// finish(ranks), while the others wait for it.
template <class Result, class X, class Y, class World, class Finish>
Result checked_ranks_across(const char* function, const Eigen::MatrixBase<X>& x,
                            const Eigen::MatrixBase<Y>& y, const std::vector<Index>& k, bool both,
                            World& world, const Finish& finish) {
  using T = typename X::Scalar;
  Result result;
  core::RanksOf<World> ranks(world);
  core::over_ranks(ranks, function, [&](core::Meeting& meeting) {
    const core::InputRows<T> xs(x), ys(y);
    meeting.bring<T>(0, x.rows(), x.cols());
    meeting.bring<T>(1, y.rows(), y.cols());
    meeting.bring<T>(2, x.rows(), 1);
    meeting.mine.options = core::digest_of(core::listed(k));
    core::expects_same_shape(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
    meeting.mine.number[0] = finite_norm(function, "X", xs.view());
    meeting.mine.number[1] = finite_norm(function, "Y", ys.view());
    meeting.agree();
    core::expects(meeting.total(0) >= 1, function, "X has 0 rows where at least 1 are needed");
    expects_products<T>(function, meeting.largest(0), meeting.largest(1));
    expects_counts(function, k);
    RowMatrix<T> all(meeting.total(0), x.cols());
    const core::MatrixView<T> others{all.data(), all.rows(), all.cols(), all.cols()};
    meeting.agree();
    core::gather_rows<T>(meeting, 1, ys.view(), others);
    Ranks found;
    found.rows = ranks_across<T>(meeting, xs.view(), others);
    if (both) {
      core::gather_rows<T>(meeting, 0, xs.view(), others);
      found.cols = ranks_across<T>(meeting, ys.view(), others);
    }
    result = finish(found);
  });
  return result;
}

inline RetrievalResult summary_of(std::vector<Index> ranks, const std::vector<Index>& k) {
  const double n = double(ranks.size());
  RetrievalResult result;
  for (const Index most : k)
    result.recall.push_back(
        double(std::count_if(ranks.begin(), ranks.end(), [most](Index r) { return r <= most; })) /
        n);
  result.mrr = sum_over_rows(Index(ranks.size()),
                             [&](Index i) { return 1 / double(ranks[std::size_t(i)]); }) /
               n;
  std::sort(ranks.begin(), ranks.end());
  const std::size_t middle = ranks.size() / 2;
  result.median_rank = ranks.size() % 2 == 1
                           ? double(ranks[middle])
                           : (double(ranks[middle - 1]) + double(ranks[middle])) / 2;
  return result;
}

/// The means of one direction, or of both.
inline RetrievalResult summary_of_rows(Ranks& ranks, const RetrievalOptions& options) {
  return summary_of(std::move(ranks.rows), options.k);
}
inline RetrievalBothResult summary_of_both(Ranks& ranks, const RetrievalOptions& options) {
  return {summary_of_rows(ranks, options), summary_of(std::move(ranks.cols), options.k)};
}

template <class X, class Y>
Ranks checked_ranks(const char* function, const Eigen::MatrixBase<X>& x,
                    const Eigen::MatrixBase<Y>& y, const RetrievalOptions& options, bool both) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  check_pairs(function, xs.view(), ys.view(), 1);
  expects_counts(function, options.k);
  return pair_ranks(xs.view(), ys.view(), both);
}

}  // namespace detail

/// The rank of y_i among all rows of Y as x_i sees them, 1 the best: N numbers.
template <class X, class Y>
[[nodiscard]] std::vector<Index> retrieval_ranks(const Eigen::MatrixBase<X>& x,
                                                 const Eigen::MatrixBase<Y>& y) {
  return detail::checked_ranks("retrieval_ranks", x, y, {}, false).rows;
}

/// X asks, Y answers.
template <class X, class Y>
[[nodiscard]] RetrievalResult retrieval(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const RetrievalOptions& options = {}) {
  detail::Ranks ranks = detail::checked_ranks("retrieval", x, y, options, false);
  return detail::summary_of_rows(ranks, options);
}

/// retrieval(X, Y) and retrieval(Y, X) in one sweep.
template <class X, class Y>
[[nodiscard]] RetrievalBothResult retrieval_both(const Eigen::MatrixBase<X>& x,
                                                 const Eigen::MatrixBase<Y>& y,
                                                 const RetrievalOptions& options = {}) {
  detail::Ranks ranks = detail::checked_ranks("retrieval_both", x, y, options, true);
  return detail::summary_of_both(ranks, options);
}

/// Over several processes: of the pairs of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] std::vector<Index> retrieval_ranks(const Eigen::MatrixBase<X>& x,
                                                 const Eigen::MatrixBase<Y>& y, World& world) {
  return detail::checked_ranks_across<std::vector<Index>>(
      "retrieval_ranks", x, y, {}, false, world,
      [](detail::Ranks& ranks) { return std::move(ranks.rows); });
}

template <class X, class Y, core::Communicator World>
[[nodiscard]] RetrievalResult retrieval(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const RetrievalOptions& options, World& world) {
  return detail::checked_ranks_across<RetrievalResult>(
      "retrieval", x, y, options.k, false, world,
      [&](detail::Ranks& ranks) { return detail::summary_of_rows(ranks, options); });
}

template <class X, class Y, core::Communicator World>
[[nodiscard]] RetrievalBothResult retrieval_both(const Eigen::MatrixBase<X>& x,
                                                 const Eigen::MatrixBase<Y>& y,
                                                 const RetrievalOptions& options, World& world) {
  return detail::checked_ranks_across<RetrievalBothResult>(
      "retrieval_both", x, y, options.k, true, world,
      [&](detail::Ranks& ranks) { return detail::summary_of_both(ranks, options); });
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_PAIR_RANKS(T)                                                       \
  Ranks pair_ranks(core::MatrixView<const T>, core::MatrixView<const T>, bool, Index, \
                   const core::Share*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_PAIR_RANKS)
}  // namespace spheremix::metrics::detail
