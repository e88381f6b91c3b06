// What a loss of batches of rows is given: views of the batches, and of where their gradients go.
#pragma once

#include <array>
#include <cstddef>

#include "spheremix/core/view.hpp"
#include "spheremix/core/workspace.hpp"

namespace spheremix::losses::detail {

using core::MatrixView;
using core::Workspace;

/// A rank's block of the rows of a table whose columns are the rows of all ranks: what a loss by
/// strip asks of the others (losses/detail/strip.hpp).
template <class T>
class Strip;

/// Views of the K batches of a call, and of their gradients. Of a loss by strip on one of several
/// ranks: batch 0 has this rank's rows, batch 1 those of all.
template <class T, std::size_t K>
struct Inputs : std::array<MatrixView<const T>, K> {
  const Strip<T>* strip = nullptr;
};
template <class T, std::size_t K>
using Outputs = std::array<MatrixView<T>, K>;

}  // namespace spheremix::losses::detail
