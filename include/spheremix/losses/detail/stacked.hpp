// Two views of a batch as one stacked batch [X; Y] of 2 n rows: row i and row i + n are positives
// of each other, everything else is a negative.
#pragma once

#include "spheremix/losses/detail/mixing.hpp"

namespace spheremix::losses::detail {

/// The stacked rows and room for their two gradients, in a frame.
template <class T>
struct Stacked {
  MatrixView<T> rows{}, dx{}, dy{};

  Stacked(MatrixView<const T> x, MatrixView<const T> y, bool gradients, Workspace::Frame& frame)
      : rows(take_rows<T>(frame, 2 * x.rows, x.cols)) {
    if (gradients) {
      dx = take_rows<T>(frame, 2 * x.rows, x.cols);
      dy = take_rows<T>(frame, 2 * x.rows, x.cols);
    }
    if (frame.counts()) return;
    put_rows<T>(rows.middle_rows(0, x.rows), x, false);
    put_rows<T>(rows.middle_rows(x.rows, x.rows), y, false);
  }

  pairwise::PairGradients<T> gradients() const { return {dx, dy, false, false}; }

  /// dX, dY = the halves of the sum of both.
  void unstack(const pairwise::PairGradients<T>& out) const {
    const Index n = rows.rows / 2;
    for (const bool second : {false, true}) {
      const auto to = second ? out.dy : out.dx;
      put_rows<T>(to, dx.middle_rows(second ? n : 0, n), false);
      put_rows<T>(to, dy.middle_rows(second ? n : 0, n), true);
    }
  }
};

template <class T>
ContrastResult nan_result(const pairwise::PairGradients<T>& out) {
  fill_nan(out.dx);
  fill_nan(out.dy);
  return {core::nan<double>, core::nan<double>, nullptr};
}

}  // namespace spheremix::losses::detail
