// One rank's part of a computation on a batch that all ranks have whole: its share of the rows of
// every table of pairs.
//
// A workspace carries it to the sweeps (pairwise/row_sweep.hpp, pairwise/softmax_sweeps.hpp). What a
// function returns is then a part of a sum over the ranks: of the loss, of its other numbers, of
// every gradient. What is computed once for a whole batch counts on the first rank alone (leads).
//
// add, merge and gather come in the same order on every rank, and all ranks agree before they send
// (core/meeting.hpp). pairwise/shares.hpp is the share of a communicator's rank.
#pragma once

#include <cstddef>
#include <vector>

#include "spheremix/core/view.hpp"

namespace spheremix::core {

class Share {
 public:
  /// Rows [first(n), last(n)) of n are this rank's.
  Index first(Index n) const { return first(n, rank_); }
  Index last(Index n) const { return first(n, rank_ + 1); }
  Index first(Index n, int rank) const { return n * rank / size_; }
  int rank() const { return rank_; }
  int size() const { return size_; }

  /// values = their sums over the ranks, in a fixed order of the ranks.
  virtual void add(double* values, Index count) const = 0;
  /// Integers, below 2^53.
  void add(Index* values, Index count) const;
  /// (top, sum) of e^(z - top) over some z: those over the z of all ranks.
  virtual void merge(float* top, double* sum, Index count) const = 0;
  virtual void merge(double* top, double* sum, Index count) const = 0;
  /// What each rank has written for its share of `rows` rows, to all. byte(of, i): where row i begins.
  virtual void gather(void* data, Index rows, std::size_t (*byte)(const void* of, Index row),
                      const void* of) const = 0;

  /// `cols` Ts a row.
  template <class T>
  void gather(T* data, Index rows, Index cols = 1) const {
    gather(
        data, rows,
        [](const void* of, Index row) {
          return std::size_t(row * *static_cast<const Index*>(of)) * sizeof(T);
        },
        &cols);
  }

 protected:
  Share(int rank, int size) : rank_(rank), size_(size) {}
  ~Share() = default;

 private:
  int rank_, size_;
};

inline void Share::add(Index* values, Index count) const {
  std::vector<double> sum(values, values + count);
  add(sum.data(), count);
  for (Index k = 0; k < count; ++k) values[k] = Index(sum[std::size_t(k)]);
}

/// Rows [from, to) of n: all, or those of a share.
struct OwnRows {
  Index from, to;

  OwnRows(Index first, Index end) : from(first), to(end) {}
  OwnRows(const Share* share, Index n)
      : from(share ? share->first(n) : 0), to(share ? share->last(n) : n) {}
  Index count() const { return to - from; }
  template <class T>
  MatrixView<T> of(MatrixView<T> all) const {
    return all.middle_rows(from, count());
  }
  /// Zeros to the other rows, where a share has no part of a sum.
  template <class T>
  void clear_others(MatrixView<T> all) const {
    all.middle_rows(0, from).fill(T(0));
    all.middle_rows(to, all.rows - to).fill(T(0));
  }
};

/// Does what is computed once for the whole batch count here?
inline bool leads(const Share* share) { return !share || share->rank() == 0; }

}  // namespace spheremix::core
