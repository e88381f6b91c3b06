// Rows as a tile type wants them: where they lie if they already are so, else a copy in the
// scratch.
#pragma once

#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::pairwise {

/// Whether a tile of Tile can read `m` as it lies.
template <class Tile, class T>
bool is_operand(const core::MatrixView<const T>& m) {
  if constexpr (!std::is_same_v<typename Tile::Input, T>)
    return false;
  else
    return m.cols % Tile::kAlign == 0 && m.stride % Tile::kAlign == 0 &&
           (Tile::kAlign == 1 || reinterpret_cast<std::uintptr_t>(m.data) % 16 == 0);
}

template <class Tile>
std::size_t operand_bytes(Index rows, Index cols) {
  return scratch_bytes<typename Tile::Input>(std::size_t(rows * round_up(cols, Tile::kAlign)));
}

/// Bytes of scratch that `m` needs as an operand: 0 where it lies right.
template <class Tile, class T>
std::size_t operand_bytes(const core::MatrixView<const T>& m) {
  return is_operand<Tile>(m) ? 0 : operand_bytes<Tile>(m.rows, m.cols);
}

/// m's operand in *to; enqueues the copy where one is needed.
template <class Tile, class T>
Status make_operand(const core::MatrixView<const T>& m, ScratchFrame& frame, cudaStream_t stream,
                    core::MatrixView<const typename Tile::Input>* to) {
  if constexpr (std::is_same_v<typename Tile::Input, T>) {
    if (is_operand<Tile>(m)) {
      *to = m;
      return {};
    }
  }
  if constexpr (std::is_same_v<typename Tile::Input, Half>) {
    const Index cols = round_up(m.cols, Tile::kAlign);
    Half* const data = frame.take<Half>(std::size_t(m.rows * cols));
    if (!data) return invalid("the scratch is too small");
    *to = {data, m.rows, cols, cols};
    using Kernel = ToHalfKernel<T>;
    return start(Kernel{m, {data, m.rows, cols, cols}}, ceil_div(m.rows * cols, Kernel::kEach),
                 stream);
  } else {
    return invalid("rows of this type cannot be operands of this precision");
  }
}

}  // namespace spheremix::gpu::pairwise
