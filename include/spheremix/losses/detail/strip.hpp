// A loss of X and Y on one rank of several: this rank's rows of the table against the columns of all.
//
//   strip   all rows of Y are gathered, one block; dY goes to the owners of its rows afterwards
//   ring    where those rows, with their gradient, do not fit memory_budget: blocks of Y go round, and
//           their dY with them (core/ring.hpp). 2 N d numbers become 4 N d / W, 2 N d / W of two ranks.
//
// The sweeps have what the blocks leave of the budget; where that is too little, all of it.
#pragma once

#include "spheremix/core/ring.hpp"
#include "spheremix/losses/detail/inputs.hpp"
#include "spheremix/pairwise/norms.hpp"

namespace spheremix::losses::detail {

using core::Meeting;

/// What a loss by strip asks. Calls on it come in the same order on every rank.
template <class T>
class Strip {
 public:
  /// After an agreement on the rows of X and Y, with their largest norms as numbers 0 and 1.
  Strip(Meeting& meeting, bool of_gradients, const core::Ring<T>* blocks, std::size_t bytes)
      : first(meeting.first(0, meeting.ranks().rank())),
        total(meeting.total(0)),
        x_norm(meeting.largest(0)),
        y_norm(meeting.largest(1)),
        gradients(of_gradients),
        ring(blocks),
        columns(ring ? ring->most() : meeting.total(1)),
        held(bytes),
        meeting_(meeting) {}
  virtual ~Strip() = default;

  const Index first;                ///< row number of this rank's row 0 in the whole batch
  const Index total;                ///< rows in all: what means divide by
  const double x_norm, y_norm;      ///< pairwise::largest_norm of all rows of X, of Y
  const bool gradients;             ///< are any wanted? An empty block has none to show it.
  const core::Ring<T>* const ring;  ///< or null: Y and dY have the rows of all ranks
  const Index columns;              ///< of the largest block: all without a ring
  const std::size_t held;           ///< bytes of the budget that blocks take

  /// body(block) for each block of columns: all at once, or this rank's own and then the others. All
  /// ranks are here then.
  template <class Body>
  void blocks(MatrixView<const T> y, MatrixView<T> dy, const Body& body) const {
    visit(y, dy, &body, [](const void* of, const core::RingBlock<T>& block) {
      (*static_cast<const Body*>(of))(block);
    });
  }

  Meeting& meeting() const { return meeting_; }

  /// Returns when all ranks are here; the values (Record::kNumbers at most) are then those of all,
  /// added up in the order of the ranks. Between the last such call and the end of the loss nothing
  /// may throw.
  virtual void sum(double* values, int count) const = 0;
  void sum() const { sum(nullptr, 0); }

 private:
  /// Virtual, so that programs without a communicator do not compile it.
  virtual void visit(MatrixView<const T> y, MatrixView<T> dy, const void* of,
                     void (*body)(const void* of, const core::RingBlock<T>& block)) const = 0;

  Meeting& meeting_;
};

template <class T>
class StripOfMeeting : public Strip<T> {
 public:
  using Strip<T>::Strip;
  using Strip<T>::sum;

  void sum(double* values, int count) const override { this->meeting().add(values, count); }

 private:
  void visit(MatrixView<const T> y, MatrixView<T> dy, const void* of,
             void (*body)(const void*, const core::RingBlock<T>&)) const override {
    if (!this->ring) return body(of, {0, 0, y, dy});
    this->sum();
    this->ring->forward(
        y, dy, [&](const core::RingBlock<T>& block) { body(of, block); }, [](int) {});
  }
};

template <class T>
struct StripArrays {
  MatrixView<T> y, dy;
  T* other = nullptr;  ///< dY of this rank's rows as another rank has them

  StripArrays(Index total, Index own, Index d, bool gradients, bool of_y, Workspace::Frame& frame)
      : y{frame.take<T>(std::size_t(total * d)), total, d, d} {
    if (gradients) dy = {nullptr, total, d, d};
    if (!of_y) return;
    dy = {frame.take<T>(std::size_t(total * d)), total, d, d};
    other = frame.take<T>(std::size_t(own * d));
  }
};

/// memory_budget of options; without one no ring.
template <class Options>
std::size_t budget_of(const Options& options) {
  if constexpr (requires { options.memory_budget; })
    return options.memory_budget;
  else
    return std::size_t(-1);
}

/// The rank's rows of X against one block of Y after another.
template <class Loss, class T>
auto by_ring(Meeting& meeting, const Loss& loss, const Inputs<T, 2>& in, Workspace& workspace,
             const Outputs<T, 2>& out, bool gradients) {
  const int size = meeting.ranks().size();
  const Index d = in[1].cols, values = core::largest_block(meeting, 1) * d;
  const bool of_y = out[1].data != nullptr, gaps = in[1].rows > 1 && in[1].stride != d;
  const std::size_t bytes = core::bytes_of<core::RingArrays<T>>(size, values, gaps, of_y);
  Workspace::Frame frame = workspace.beside().frame(bytes);
  const core::RingArrays<T> arrays(size, values, gaps, of_y, frame);
  meeting.mine.number[0] = pairwise::largest_norm(in[0]);
  meeting.mine.number[1] = pairwise::largest_norm(in[1]);
  meeting.agree();
  const core::Ring<T> ring(meeting, 1, 1, d, arrays);
  const typename Loss::template StripType<T> strip(meeting, gradients, &ring, bytes);
  return run(loss, meeting.function(), Inputs<T, 2>{{in[0], in[1]}, &strip}, workspace, out);
}

/// The rank's rows of X against all rows of Y.
template <class Loss, class T>
auto by_strip(Meeting& meeting, const Loss& loss, const Inputs<T, 2>& in, Workspace& workspace,
              const Outputs<T, 2>& out, bool gradients, std::size_t budget) {
  const bool of_y = out[1].data != nullptr;
  const Index own = in[0].rows, d = in[0].cols, total = meeting.total(1);
  if (core::bytes_of<StripArrays<T>>(total, Index(0), d, gradients, of_y) > budget)
    return by_ring(meeting, loss, in, workspace, out, gradients);
  Workspace::Frame frame =
      workspace.beside().frame(core::bytes_of<StripArrays<T>>(total, own, d, gradients, of_y));
  const StripArrays<T> arrays(total, own, d, gradients, of_y, frame);
  meeting.mine.number[0] = pairwise::largest_norm(in[0]);
  meeting.mine.number[1] = pairwise::largest_norm(in[1]);
  meeting.agree();
  const typename Loss::template StripType<T> strip(meeting, gradients, nullptr, 0);
  core::gather_rows<T>(meeting, 1, in[1], arrays.y);
  Inputs<T, 2> rows{{in[0], arrays.y}, &strip};
  const auto result =
      run(loss, meeting.function(), rows, workspace, Outputs<T, 2>{out[0], arrays.dy});
  if (of_y) core::reduce_scatter_rows<T>(meeting, 1, arrays.dy, out[1], arrays.other);
  return result;
}

}  // namespace spheremix::losses::detail
