// The k nearest rows of Y, those of all ranks, to each of this rank's rows of X: those of each
// block that passes by (nearest_rows.hpp), merged with the nearest so far.
//
// Candidates are ordered by product, then by row of the whole batch: one order, so the k nearest
// are the same rows, with the bits of one process, in whatever order blocks come.
//
// Cost      as nearest: of a later block only products from the k-th largest so far on are
//           candidates
// Memory    k candidates and a number a row, and the ring's two blocks
#pragma once

#include "spheremix/metrics/detail/nearest_rows.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/pairwise/ring_rows.hpp"

namespace spheremix::metrics::detail {

/// The first `most` of two lists, each in order, to the first, which has room. Returns how many.
template <class One>
Index merge_first(One* list, Index held, const One* more, Index count, Index most) {
  const Index total = (std::min)(most, held + count);
  Index a = 0, b = 0;  // of each that are among them
  while (a + b < total) ++(b == count || (a < held && list[a] < more[b]) ? a : b);
  for (Index at = total; b > 0;)
    list[--at] = a > 0 && more[b - 1] < list[a - 1] ? list[--a] : more[--b];
  return total;
}

template <class T>
class NearestRing {
 public:
  /// After an agreement on the rows of Y, batch k. within: Y is X, and no row is near itself.
  NearestRing(core::Meeting& meeting, int k, core::MatrixView<const T> x,
              core::MatrixView<const T> y, Index most, bool within)
      : x_(x),
        most_(most),
        within_(within),
        owned_(meeting, k, y),
        ring_(*owned_),
        lists_(static_cast<std::size_t>(x.rows * most)),
        least_(static_cast<std::size_t>(x.rows), -core::infinity<T>) {
    std::size_t bytes = 0;
    for (int step = 0; step < meeting.ranks().size(); ++step) {
      const Index rows = ring_.rows(step), of_block = candidates(step, rows);
      if (x.rows > 0 && of_block > 0)
        bytes = (std::max)(bytes, nearest_bytes<T>(x.rows, rows, x.cols, of_block));
    }
    (void)workspace_.frame(bytes);  // nothing may throw while blocks go round
    meeting.agree();
    Index held = 0;
    ring_.for_each([&](const core::RingBlock<T>& block) { held = merge(block, held); });
  }

  /// Of own row i, nearest first.
  const Candidate<T>* of(Index i) const { return lists_.data() + i * most_; }

 private:
  /// How many of a block are looked for.
  Index candidates(int step, Index rows) const {
    return (std::min)(most_, rows - (within_ && step == 0));
  }
  /// Returns how many candidates each row has now, which had `held`.
  Index merge(const core::RingBlock<T>& block, Index held) {
    const Index count = candidates(block.step, block.y.rows);
    if (count < 1) return held;
    for_nearest(
        x_, block.y, count, within_ && block.step == 0 ? 0 : kApart, workspace_,
        [&](Index i, Candidate<T>* nearest, Index found) {
          for (Index p = 0; p < found; ++p) nearest[p].row += block.first;
          std::sort(nearest, nearest + found);
          Candidate<T>* const list = lists_.data() + i * most_;
          if (merge_first(list, held, nearest, found, most_) < most_) return;
          // Of equals a lower row may come.
          least_[std::size_t(i)] = std::nextafter(list[most_ - 1].cosine, -core::infinity<T>);
        },
        least_.data());
    return (std::min)(most_, held + count);
  }

  core::MatrixView<const T> x_;
  Index most_;
  bool within_;
  core::Owned<pairwise::RowsRing<T>> owned_;
  const pairwise::RowsRing<T>& ring_;
  std::vector<Candidate<T>> lists_;
  std::vector<T> least_;  ///< what later candidates of a row are above
  core::Workspace workspace_;
};

/// Checks of a query whose rows are on all ranks, Y's as batch k: an agreement.
template <class T>
void check_query_across(core::Meeting& meeting, int k, core::MatrixView<const T> x,
                        core::MatrixView<const T> y, Index most, bool within) {
  const char* const function = meeting.function();
  core::expects_same_width(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  agree_on_products(meeting, x, y, within);
  check_nearest(function, most, meeting.total(k), within ? 0 : kApart);
}

}  // namespace spheremix::metrics::detail
