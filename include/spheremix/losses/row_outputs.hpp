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

template <class T>
std::size_t rows_bytes(Index rows, Index cols) {
  return Workspace::bytes_for<T>(std::size_t(rows * cols));
}

}  // namespace detail
}  // namespace spheremix::losses
