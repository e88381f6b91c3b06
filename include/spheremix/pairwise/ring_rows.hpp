// Metrics of the rows of all ranks: by shares of the gathered rows (pairwise/shares.hpp) or, where
// those are too many, by ring: each rank keeps its own rows and blocks of the others pass by
// (core/ring.hpp).
//
// What is too many is a constant, the default memory_budget of the losses, and no option: rows that
// go round are no more bytes than gathered ones, for as many products, so a larger one would buy
// nothing; retrieval_ranks has no options; and a constant is agreed on by all ranks.
//
// Memory    two blocks of the size of the largest, N d / W numbers each where they are even; one
//           where a single step is taken and own rows have no gaps
// Errors    all ranks agree before rows go round (core/meeting.hpp)
#pragma once

#include "spheremix/core/ring.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::pairwise {

/// Bytes of gathered rows above which they go round.
inline constexpr std::size_t kRowsBudget = std::size_t(1) << 30;

/// Bytes of the rows of all ranks of batches [0, batches), from the last agreement.
template <class M>
std::size_t gathered_bytes(const M& meeting, int batches) {
  Index numbers = 0;
  for (int k = 0; k < batches; ++k) numbers += meeting.total(k) * Index(meeting.mine.cols[k]);
  return std::size_t(numbers) * std::size_t(meeting.mine.real);
}

/// Batch k of a meeting on its way round, with the memory that takes.
template <class T>
class RowsRing {
 public:
  /// own: this rank's rows of the batch. Of `steps` steps after that of its own. of_y: a gradient
  /// of the rows travels with them.
  RowsRing(const core::Meeting& meeting, int k, core::MatrixView<const T> own, int steps,
           bool of_y = false)
      : own_(own),
        steps_(steps),
        most_(core::largest_block(meeting, k)),
        arrays_(steps + 1, most_ * own.cols, own.rows > 1 && own.stride != own.cols, of_y),
        ring_(meeting, k, 1, own.cols, *arrays_) {}
  /// Of all steps: every rank sees every block.
  RowsRing(const core::Meeting& meeting, int k, core::MatrixView<const T> own)
      : RowsRing(meeting, k, own, meeting.ranks().size() - 1) {}

  /// Rows of the largest block; of the block of a step.
  Index most() const { return most_; }
  Index rows(int step) const { return ring_.rows(step); }
  int owner(int step) const { return ring_.owner(step); }

  /// body(block), this rank's own first. All ranks are here; nothing may throw.
  template <class Body>
  void for_each(const Body& body) const {
    ring_.forward(
        own_, {}, body, [](int) {}, steps_);
  }
  /// The same with dy, of this rank's rows; after(step) as core/ring.hpp has it.
  template <class Body, class After>
  void for_each(core::MatrixView<T> dy, const Body& body, const After& after) {
    if (!dy.data) dy.data = (*arrays_).dy[0];  // no rows: they are wanted all the same
    ring_.forward(own_, dy, body, after, steps_);
  }
  /// A number a row that travels with the block of a step: to the next rank or, from the last step,
  /// to the owner. `other`: what comes here.
  void pass(int step, const double* values, double* other) const {
    if (step < steps_)
      ring_.pass(false, step, 1, values, other);
    else
      ring_.send_home(step, 1, values, other);
  }

 private:
  core::MatrixView<const T> own_;
  int steps_;
  Index most_;
  core::Owned<core::RingArrays<T>> arrays_;
  core::Ring<T> ring_;
};

/// What call(share, all...) returns or, where the gathered arguments exceed `budget`,
/// ring(meeting): the same on every rank.
template <class World, class Options, class Ring, class Call, class... Arguments>
auto value_of_shares_or_ring(const char* function, World& world, const Options& options,
                             std::size_t budget, const Ring& ring, const Call& call,
                             const Arguments&... arguments) {
  std::optional<decltype(ring(std::declval<core::Meeting&>()))> value;
  const auto by_ring = [&](core::Meeting& meeting) {
    if (gathered_bytes(meeting, int(sizeof...(arguments))) <= budget) return false;
    value.emplace(ring(meeting));
    return true;
  };
  over_shares(
      function, world, core::unless(options, by_ring),
      [&](core::Meeting&, const core::Share* share, auto&... all) {
        value.emplace(call(share, all...));
      },
      arguments...);
  return *std::move(value);
}

}  // namespace spheremix::pairwise
