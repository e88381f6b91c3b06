// What the blocks of CLIP + m2-Mix (sweeps.hpp) say about each other's lines, until it is merged:
// statistics in the first sweep, dL/dA and dL/dB in the second.
//
// Strips [begin, end) are merged at a time: those lines get what the blocks before them and among them
// say, the lines before them what the blocks of these strips say. Every line meets its blocks in their
// order, however the strips are grouped.
#pragma once

#include "spheremix/losses/detail/clip_m2/plan.hpp"
#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::losses::detail::clip_m2 {

using namespace pairwise;

/// The four statistics of every pair of rows, over all others.
template <class T>
struct MixLines {
  T* top[kMixLines];       ///< n
  double* sum[kMixLines];  ///< n, relative to top
  T* positive;             ///< n: v_i . t_i
};

template <class T>
class MixPartials {
 public:
  MixPartials(const MixPlan& plan, const MixPartialsMemory<T>& memory)
      : plan_(plan), memory_(memory) {}

  /// The next strips, not more than a group, start at `first`.
  void begin(Index first) { begin_ = plan_.group < plan_.blocks ? first : 0; }

  T* top(int k, Index line, Index other) const { return at(memory_.top[k], line, other); }
  T* sum(int k, Index line, Index other) const { return at(memory_.sum[k], line, other); }
  T* da(Index line, Index other) const { return at(memory_.da, line, other); }
  T* db(Index line, Index other) const { return at(memory_.db, line, other); }

  void merge_statistics(Index first, Index end, const MixLines<T>& out) const {
    core::parallel_for(kMixLines * end, plan_.threads, [&](Index task, int) {
      const Index k = task % kMixLines, line = task / kMixLines, row = plan_.first(line);
      for (Index i = 0; i < plan_.count(line); ++i) {
        T top = line < first ? out.top[k][row + i] : -core::infinity<T>;
        double sum = line < first ? out.sum[k][row + i] : 0;
        for (Index j = line < first ? first : 0; j < end; ++j)
          formula::merge_softmax(top, sum, this->top(int(k), line, j)[i],
                                 double(this->sum(int(k), line, j)[i]));
        out.top[k][row + i] = top;
        out.sum[k][row + i] = sum;
      }
    });
  }

  void merge_weights(Index first, Index end, double* da, double* db) const {
    for (Index line = 0; line < end; ++line)
      for (Index i = 0; i < plan_.count(line); ++i) {
        const Index row = plan_.first(line) + i;
        double sum_a = line < first ? da[row] : 0, sum_b = line < first ? db[row] : 0;
        for (Index j = line < first ? first : 0; j < end; ++j) {
          sum_a += double(this->da(line, j)[i]);
          sum_b += double(this->db(line, j)[i]);
        }
        da[row] = sum_a;
        db[row] = sum_b;
      }
  }

 private:
  /// What block `other` says about the lines of block `line`; one of them is in the strips at hand.
  T* at(T* all, Index line, Index other) const {
    if (other >= begin_) return all + (other - begin_) * plan_.n + plan_.first(line);
    return all + plan_.group * plan_.n + (other * plan_.group + line - begin_) * plan_.block;
  }

  MixPlan plan_;
  MixPartialsMemory<T> memory_;
  Index begin_ = 0;
};

}  // namespace spheremix::losses::detail::clip_m2
