// retrieval on the CPU: formula and options in formula/retrieval.hpp.
//
// Shapes  X, Y: N x d; row i's answer is Y's row i. Rows are used as they are: unit rows rank by
//         cosine.
// Errors  shapes that differ, N = 0, k < 1, a row with NaN or infinity (named):
//         std::invalid_argument.
// Cost    2 N^2 d flops for one direction, and no more for both; memory O(N). Over W processes
//         twice for both, and two blocks of N d / W numbers.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "spheremix/formula/retrieval.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/tiles.hpp"
#include "spheremix/pairwise/ring_rows.hpp"

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

/// Adds to the ranks of the pairs, whose products are `own`, what a table X Y^T has: within its
/// rows and, if wanted, within its columns. Of a share, what its tiles have.
template <class T>
void add_ranks(core::MatrixView<const T> x, core::MatrixView<const T> y, const std::vector<T>& own,
               bool both, Ranks& ranks, TileMemory<T>& memory, const core::Share* share = nullptr) {
  for_product_tiles(
      x, y, false, memory,
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
}

/// Ranks of the pairs within their rows of X Y^T and, if wanted, within their columns. A share adds up
/// what the tiles of all give.
template <class T>
Ranks pair_ranks(core::MatrixView<const T> x, core::MatrixView<const T> y, bool both,
                 const core::Share* share = nullptr) {
  const Index n = x.rows;
  const std::vector<T> own = paired_products(x, y);
  Ranks ranks{std::vector<Index>(std::size_t(n)), std::vector<Index>(std::size_t(both ? n : 0))};
  core::Owned<TileMemory<T>> memory(threads_for(n, y.rows, x.cols), true);
  add_ranks(x, y, own, both, ranks, *memory, share);
  if (share) share->add(ranks.rows.data(), n);
  if (share && both) share->add(ranks.cols.data(), n);
  return ranks;
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

namespace detail {

/// Of this rank's rows of X the ranks of their pairs among all ranks' rows of Y, batch k, which go
/// round; gathered from all.
template <class T>
std::vector<Index> ranks_by_ring(core::Meeting& meeting, int k, core::MatrixView<const T> x,
                                 core::MatrixView<const T> y) {
  std::vector<Index> found(std::size_t(meeting.total(k)));
  Ranks mine{std::vector<Index>(std::size_t(x.rows)), {}};
  const std::vector<T> own = paired_products(x, y);
  core::Owned<pairwise::RowsRing<T>> ring(meeting, k, y);
  core::Owned<TileMemory<T>> memory(threads_for(x.rows, (*ring).most(), x.cols), true);
  meeting.agree();
  (*ring).for_each(
      [&](const core::RingBlock<T>& block) { add_ranks(x, block.y, own, false, mine, *memory); });
  meeting.agree();
  core::gather_rows<Index>(meeting, 2, {mine.rows.data(), x.rows, 1, 1},
                           {found.data(), meeting.total(0), 1, 1});
  return found;
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
    agree_on_products(meeting, xs.view(), ys.view());
    core::expects(meeting.total(0) >= 1, function, "X has 0 rows where at least 1 are needed");
    expects_counts(function, k);
    Ranks found;
    found.rows = ranks_by_ring<T>(meeting, 1, xs.view(), ys.view());
    if (both) found.cols = ranks_by_ring<T>(meeting, 0, ys.view(), xs.view());
    result = finish(found);
  });
  return result;
}

}  // namespace detail

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
#define SPHEREMIX_PAIR_RANKS(T) \
  Ranks pair_ranks(core::MatrixView<const T>, core::MatrixView<const T>, bool, const core::Share*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_PAIR_RANKS)
}  // namespace spheremix::metrics::detail
