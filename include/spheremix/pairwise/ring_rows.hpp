// Metrics of the rows of all ranks by ring: each rank keeps its own rows, and blocks of the others
// pass by (core/ring.hpp). Never by gathering them: rows that go round are no more bytes, for as
// many products, in the memory of two blocks.
//
// Memory    two blocks of the size of the largest, N d / W numbers each where they are even; one
//           where a single step is taken and own rows have no gaps
// Errors    all ranks agree before rows go round (core/meeting.hpp)
#pragma once

#include <optional>
#include <utility>

#include "spheremix/core/digest.hpp"
#include "spheremix/core/eigen.hpp"
#include "spheremix/core/ring.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::pairwise {

/// Batch k of a meeting on its way round, with the memory that takes: of a frame, or
/// core::Owned<RowsRing<T>>.
template <class T>
class RowsRing {
 public:
  /// own: this rank's rows of the batch. Of `steps` steps after that of its own. of_y: a gradient
  /// of the rows travels with them.
  RowsRing(const core::Meeting& meeting, int k, core::MatrixView<const T> own, int steps, bool of_y,
           core::Workspace::Frame& frame)
      : own_(own),
        steps_(steps),
        most_(core::largest_block(meeting, k)),
        arrays_(steps + 1, most_ * own.cols, own.rows > 1 && own.stride != own.cols, of_y, frame),
        ring_(meeting, k, 1, own.cols, arrays_) {}
  /// Of all steps: every rank sees every block.
  RowsRing(const core::Meeting& meeting, int k, core::MatrixView<const T> own,
           core::Workspace::Frame& frame)
      : RowsRing(meeting, k, own, meeting.ranks().size() - 1, false, frame) {}

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
    if (!dy.data) dy.data = arrays_.dy[0];  // no rows: they are wanted all the same
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
  core::RingArrays<T> arrays_;
  core::Ring<T> ring_;
};

/// What call(meeting, rows...) returns on every rank with its own rows, core::MatrixViews, once all
/// know how many the others have.
template <class T, class World, class Options, class Call, class... Batches>
auto over_blocks(const char* function, World& world, const Options& options, const Call& call,
                 const Eigen::MatrixBase<Batches>&... batches) {
  std::optional<decltype(call(std::declval<core::Meeting&>(),
                              core::InputRows<T>(batches).view()...))>
      result;
  core::RanksOf<World> ranks(world);
  core::over_ranks(ranks, function, [&](core::Meeting& meeting) {
    meeting.mine.options = core::digest_of(options);
    int k = 0;
    (meeting.bring<T>(k++, batches.rows(), batches.cols()), ...);
    meeting.agree();
    result.emplace(call(meeting, core::InputRows<T>(batches).view()...));
  });
  return *std::move(result);
}

}  // namespace spheremix::pairwise
