// Lines of a softmax loss with targets: sums, pairs set apart, and the memory of a call.
#pragma once

#include "spheremix/losses/detail/target_table.hpp"

namespace spheremix::losses::detail {

/// Sums over pairs of a line that are not set apart.
struct LineSums {
  double weight = 0, pull = 0;  ///< of its targets: t, t z
  double all = 0, count = 0;    ///< of what is not excluded: z, 1

  void add_target(double t, double z) {
    weight += t;
    pull += t * z;
  }
  void operator+=(const LineSums& o) {
    weight += o.weight;
    pull += o.pull;
    all += o.all;
    count += o.count;
  }
  /// 4 a line.
  static double* numbers(LineSums* lines) {
    static_assert(sizeof(LineSums) == 4 * sizeof(double));
    return static_cast<double*>(static_cast<void*>(lines));
  }
};

/// A line and its pairs that are set apart.
template <class T>
struct ApartLine
    : formula::ApartEntries<T> {  ///< weight: without the best's; in the end of all others
  Index count = 0;
  double below = 0;  ///< sum of t (top - z)
  double all = 0;    ///< sum of z
  formula::TargetLine<double> line{};

  void raise(Index k, T z) {
    ++count;
    all += double(z);
    formula::ApartEntries<T>::raise(k, z);
  }
  void add(Index k, T z, double t) {
    below += t * (double(this->top) - double(z));
    formula::ApartEntries<T>::add(k, z);
    if (k != this->best) this->weight += t;
  }
};

/// What the lines of one direction have.
struct TargetLineArrays {
  LineSums* sums;
  double *slope, *even;  ///< dL/ds = -(slope w) at a target of weight w, -even everywhere

  TargetLineArrays(Index lines, Workspace::Frame& frame)
      : sums(frame.take<LineSums>(std::size_t(lines))),
        slope(frame.take<double>(std::size_t(lines))),
        even(frame.take<double>(std::size_t(lines))) {
    if (frame.counts()) return;
    for (Index i = 0; i < lines; ++i) sums[i] = {}, slope[i] = even[i] = 0;
  }
};

template <class T>
struct TargetArrays {
  TargetTable table;
  TargetLineArrays rows, cols;
  ApartLine<T>* lines;  ///< of rows, then of columns
  pairwise::SoftmaxStatistics<T> stats{};
  pairwise::SoftmaxWeights<T> weights{};

  SPHEREMIX_COLD TargetArrays(const TargetOptions& o, Index n, Index m, bool both, bool gradients,
                              Workspace::Frame& frame)
      : table(o, n, m, both, frame),
        rows(n, frame),
        cols(both ? m : 0, frame),
        lines(frame.take<ApartLine<T>>(std::size_t((std::max)(n, m)))) {
    const Index apart = both ? n + m : n;
    stats.special = frame.take<T>(std::size_t(apart));
    if (gradients) weights.special = frame.take<double>(std::size_t(apart));
    take(n, gradients, frame, stats.row_max, stats.row_sum, weights.row_shift, weights.row_scale);
    if (both)
      take(m, gradients, frame, stats.col_max, stats.col_sum, weights.col_shift, weights.col_scale);
  }

 private:
  static void take(Index count, bool gradients, Workspace::Frame& frame, T*& top, double*& sum,
                   T*& shift, T*& scale) {
    top = frame.take<T>(std::size_t(count));
    sum = frame.take<double>(std::size_t(count));
    if (gradients) shift = frame.take<T>(std::size_t(count));
    if (gradients) scale = frame.take<T>(std::size_t(count));
  }
};

}  // namespace spheremix::losses::detail
