// Blocks of rows that go round the ranks: each rank keeps its own rows while those of all others pass
// by, in the memory of a few blocks where gathering takes that of all.
//
//            step 0   step 1   step 2     forward: block by block to the next rank
//   rank 0     0        2        1
//   rank 1     1        0        2        back: the table from right to left; the block that came
//   rank 2     2        1        0              last is there already, and the first
//
// Step t on rank r has block r - t. What ranks find for the rows of a block (dy) travels with it: the
// first of them sets it, each later one adds its part, the last sends the sum to the owner, who adds
// it to its own. So every sum has one order of the ranks, whatever the timing.
//
// Cost      of W ranks, N d numbers in all: forward W - 1 hops of a block, back W - 2, dy W - 1:
//           (3W - 4) / W N d for a sweep forward and one back with dy. The next block travels while
//           one is worked on. Half a ring, W / 2 hops, where a pair of blocks has to meet at one
//           of their two ranks alone.
// Memory    two blocks, and two of dy; of two ranks one each, and one where own rows have gaps. Blocks
//           have the size of the largest.
// Errors    all ranks agree before they call (core/meeting.hpp); nothing here throws but the backend.
#pragma once

#include <algorithm>

#include "spheremix/core/collectives.hpp"
#include "spheremix/core/workspace.hpp"

namespace spheremix::core {

/// Rows of the largest block of batch k.
inline Index largest_block(const Meeting& meeting, int k) {
  Index most = 0;
  for (int r = 0; r < meeting.ranks().size(); ++r) most = (std::max)(most, meeting.count(k, r));
  return most;
}

/// Where blocks of up to `values` numbers are while they are here. size: of the ranks, or one more
/// than the steps that are taken; copy: this rank's own rows have gaps; of_y: dy is wanted.
template <class T>
struct RingArrays {
  T* y[2] = {};
  T* dy[2] = {};

  RingArrays(int size, Index values, bool copy, bool of_y, Workspace::Frame& frame) {
    if (size < 2) return;
    const auto take = [&] { return frame.take<T>(std::size_t(values)); };
    y[0] = take();
    if (size > 2 || copy) y[1] = take();
    if (!of_y) return;
    dy[0] = take();
    dy[1] = size > 2 ? take() : y[0];  // of two ranks the block has done its duty by then
  }
};

/// A block at work.
template <class T>
struct RingBlock {
  int step;                 ///< 0: this rank's own
  Index first;              ///< row number of its row 0 in the whole batch
  MatrixView<const T> y{};  ///< its rows
  MatrixView<T> dy{};  ///< where what is found for them goes; no memory where nothing is wanted
  bool add = false;    ///< is it added to what is there? Of step 0 it is the caller's affair.
};

/// Batch k of a meeting on its way round; `times` rows of d numbers for each row of the batch.
template <class T>
class Ring {
 public:
  Ring(const Meeting& meeting, int k, Index times, Index d, const RingArrays<T>& arrays)
      : meeting_(meeting), k_(k), times_(times), d_(d), arrays_(arrays) {}

  int size() const { return meeting_.ranks().size(); }
  /// Rank and rows of the block of a step; step size() is step 0.
  int owner(int step) const { return peer(-step); }
  Index rows(int step) const { return times_ * meeting_.count(k_, owner(step)); }
  /// Rows of the largest block.
  Index most() const { return times_ * largest_block(meeting_, k_); }

  /// body(block) for steps 0, 1, ..., size() - 1; own: this rank's rows, dy: where their gradient goes.
  /// after(step) once the next block is here: for what travels besides (pass).
  template <class Body, class After>
  void forward(MatrixView<const T> own, MatrixView<T> dy, const Body& body,
               const After& after) const {
    forward(own, dy, body, after, size() - 1);
  }
  /// Of steps 0, ..., last alone.
  template <class Body, class After>
  void forward(MatrixView<const T> own, MatrixView<T> dy, const Body& body, const After& after,
               int last) const {
    const bool of_y = arrays_.dy[0] && dy.data;
    T *sum = arrays_.dy[0], *other = arrays_.dy[1];
    for (int t = 0; t <= last; ++t) {
      const RingBlock<T> block = at(t, own, of_y ? sum : nullptr, dy, t > 1);
      if (t < last) start(false, t, contiguous(t, block.y), arrays_.y[t % 2]);
      body(block);
      if (t < last) meeting_.ranks().wait();
      after(t);
      if (!of_y || t == 0) continue;
      if (t < last)
        pass(false, t, d_, sum, other), std::swap(sum, other);
      else
        start_home(t, sum, other), end_home(other, dy);
    }
  }

  /// The same after forward, of all steps or of the value alone, for steps size() - 1, ..., 1, 0.
  template <class Body, class After>
  void back(MatrixView<const T> own, MatrixView<T> dy, const Body& body, const After& after) const {
    const bool of_y = arrays_.dy[0] && dy.data;
    T *sum = arrays_.dy[0], *other = arrays_.dy[1];
    const int last = size() - 1;
    for (int t = last; t >= 0; --t) {
      const RingBlock<T> block = at(t, own, of_y ? sum : nullptr, dy, t < last);
      if (t > 1) start(true, t, block.y.data, arrays_.y[t % 2]);
      body(block);
      if (t > 1) meeting_.ranks().wait();
      after(t);
      if (!of_y) continue;
      if (t > 1)
        pass(true, t, d_, sum, other), std::swap(sum, other);
      else if (t == 1)
        start_home(t, sum, other);  // while this rank's own block is worked on
      else
        end_home(other, dy);
    }
  }

  /// `each` numbers a row of this step's block to the rank that has it next, or had it before; those of
  /// the block that comes from there to `other`.
  template <class U>
  void pass(bool back, int step, Index each, const U* values, U* other) const {
    start(back, step, values, other, each);
    meeting_.ranks().wait();
  }
  /// `each` numbers a row of this step's block to its owner; those of this rank's own rows to
  /// `other`.
  template <class U>
  void send_home(int step, Index each, const U* values, U* other) const {
    start_home(step, each, values, other);
    meeting_.ranks().wait();
  }

 private:
  int peer(int distance) const {
    const int size = meeting_.ranks().size();
    return (meeting_.ranks().rank() + distance % size + size) % size;
  }
  RingBlock<T> at(int t, MatrixView<const T> own, T* sum, MatrixView<T> dy, bool add) const {
    const Index n = rows(t), first = times_ * meeting_.first(k_, owner(t));
    if (t == 0) return {t, first, own, dy, false};
    return {t, first, {arrays_.y[(t - 1) % 2], n, d_, d_}, {sum, n, d_, d_}, add};
  }
  /// Rows of step 0 may have gaps, or none to point at.
  const T* contiguous(int t, MatrixView<const T> y) const {
    if (t > 0 || y.stride == y.cols || y.rows <= 1) return y.data;
    copy_rows<T>(y, {arrays_.y[1], y.rows, d_, d_});
    return arrays_.y[1];
  }
  template <class U>
  void start(bool back, int t, const U* values, U* other, Index each) const {
    const auto bytes = [&](int step) { return std::size_t(rows(step) * each) * sizeof(U); };
    meeting_.ranks().start(peer(back ? -1 : 1), values, bytes(t), peer(back ? 1 : -1), other,
                           bytes(back ? t - 1 + size() : t + 1));
  }
  void start(bool back, int t, const T* values, T* other) const {
    start(back, t, values, other, d_);
  }
  template <class U>
  void start_home(int t, Index each, const U* values, U* other) const {
    meeting_.ranks().start(owner(t), values, std::size_t(rows(t) * each) * sizeof(U), peer(t),
                           other, std::size_t(rows(0) * each) * sizeof(U));
  }
  /// The sum of a block to its owner, this rank's own to `other`; end_home adds it.
  void start_home(int t, const T* sum, T* other) const { start_home(t, d_, sum, other); }
  void end_home(const T* sum, MatrixView<T> dy) const {
    meeting_.ranks().wait();
    for (Index i = 0; i < dy.rows; ++i)
      for (Index j = 0; j < d_; ++j) dy(i, j) += sum[i * d_ + j];
  }

  const Meeting& meeting_;
  int k_;
  Index times_, d_;
  RingArrays<T> arrays_;
};

}  // namespace spheremix::core
