// What the losses of several batches of rows share: outputs that must lie apart, and temporaries.
#pragma once

#include <initializer_list>

#include "spheremix/losses/contrastive.hpp"

namespace spheremix::losses {

/// Loss and gradients of a loss of two batches without a temperature.
template <class Matrix>
struct PairGradient {
  double loss;
  Matrix x;  ///< dL/dX
  Matrix y;  ///< dL/dY
};

namespace detail {

/// Throws where an output shares memory with an input or with another output.
template <class T>
void expects_outputs_apart(const char* function, std::initializer_list<MatrixView<T>> outputs,
                           std::initializer_list<MatrixView<const T>> inputs) {
  for (auto a = outputs.begin(); a != outputs.end(); ++a) {
    for (const auto& in : inputs) core::expects_apart(function, *a, in);
    for (auto b = a + 1; b != outputs.end(); ++b)
      core::expects(!core::overlap(*a, *b), function, "two outputs overlap");
  }
}

/// rows x cols values of a frame.
template <class T>
MatrixView<T> take_rows(Workspace::Frame& frame, Index rows, Index cols) {
  return {frame.take<T>(std::size_t(rows * cols)), rows, cols, cols};
}

/// A loss and its part of dL/d ln(tau) for each of n lines.
struct LineResults {
  double *loss, *moment;

  LineResults(Index n, Workspace::Frame& frame)
      : loss(frame.take<double>(std::size_t(n))), moment(frame.take<double>(std::size_t(n))) {}
};

}  // namespace detail
}  // namespace spheremix::losses
