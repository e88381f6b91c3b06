// Rows as a tile type wants them: where they lie if they already are so, else a copy in the
// scratch.
#pragma once

#include "spheremix/gpu/pairwise/half_tile.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::pairwise {

/// Rows in the operand type of the tensor cores, columns padded with zeros to a multiple of 8. Two
/// batches in one launch, the second with no rows where there is one; one warp a row.
template <class T>
struct ToHalfKernel {
  static constexpr unsigned kThreads = 256, kResident = 4, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  static constexpr int kPiece = 8;

  struct Side {
    core::MatrixView<const T> from{};
    core::MatrixView<Half> to{};  ///< cols a multiple of 8, rows on 16 bytes
    bool wide = false;            ///< rows of `from` on 16 bytes

    Index blocks() const { return ceil_div(to.rows, kRowsEach); }
  };
  Side side[2];
  Index first_blocks;

  __device__ void operator()() const {
    const bool first = Index(blockIdx.x) < first_blocks;
    const Side& s = side[first ? 0 : 1];
    const Index i =
        (Index(blockIdx.x) - (first ? 0 : first_blocks)) * kRowsEach + threadIdx.x / kWarp;
    if (i >= s.to.rows) return;
    for (Index k = threadIdx.x % kWarp * kPiece; k < s.to.cols; k += kWarp * kPiece) {
      T in[kPiece];
      if (s.wide && k + kPiece <= s.from.cols) {
        load_piece(s.from.row(i) + k, in);
      } else {
        SPHEREMIX_UNROLL
        for (int e = 0; e < kPiece; ++e)
          in[e] = k + e < s.from.cols ? s.from(i, k + e) : narrow<T>(Arithmetic<T>(0));
      }
      Half out[kPiece];
      SPHEREMIX_UNROLL
      for (int e = 0; e < kPiece; ++e) out[e] = narrow<Half>(float(widen(in[e])));
      store_piece(s.to.row(i) + k, out);
    }
  }
};

/// Whether a tile of Tile can read `m` as it lies.
template <class Tile, class T>
bool is_operand(const core::MatrixView<const T>& m) {
  if constexpr (!std::is_same_v<typename Tile::Input, T>)
    return false;
  else
    return m.cols % Tile::kAlign == 0 && m.stride % Tile::kAlign == 0 &&
           (Tile::kAlign == 1 || reinterpret_cast<std::uintptr_t>(m.data) % 16 == 0);
}

/// Converts (or copies) rows: to = from, zeros after the last column.
template <class From, class To>
struct CopyRowsKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const From> from;
  core::MatrixView<To> to;
  __device__ void operator()() const {
    const Index q = Index(blockIdx.x) * kThreads + threadIdx.x, i = q / to.cols, k = q % to.cols;
    if (i < to.rows)
      to(i, k) = narrow<To>(k < from.cols ? Arithmetic<To>(widen(from(i, k))) : Arithmetic<To>(0));
  }
};
template <class From, class To>
void copy_rows(Work& work, const core::MatrixView<const From>& from,
               const core::MatrixView<To>& to) {
  using Kernel = CopyRowsKernel<From, To>;
  start(work, Kernel{from, to}, ceil_div(to.rows * to.cols, Kernel::kThreads));
}

/// Memory for an operand of rows x cols, with the columns that the tiles want.
template <class Tile>
core::MatrixView<typename Tile::Input> take_operand(Work& work, Index rows, Index cols) {
  const Index wide = round_up(cols, Tile::kAlign);
  return {work.take<typename Tile::Input>(rows * wide), rows, wide, wide};
}

/// Two batches as operands; enqueues the copies where they are needed, both in one launch.
template <class Tile>
struct Operands {
  core::MatrixView<const typename Tile::Input> x, y;
};
template <class Tile, class T>
Operands<Tile> make_operands(Work& work, const core::MatrixView<const T>& x,
                             const core::MatrixView<const T>& y) {
  if constexpr (std::is_same_v<typename Tile::Input, Half>) {
    using Kernel = ToHalfKernel<T>;
    const auto side = [&](const core::MatrixView<const T>& m) -> typename Kernel::Side {
      if (is_operand<Tile>(m)) return {};
      return {m, take_operand<Tile>(work, m.rows, m.cols), gpu::detail::rows_on_16_bytes(m)};
    };
    const auto as_it_lies = [](const core::MatrixView<const T>& m) {
      if constexpr (std::is_same_v<T, Half>)
        return m;
      else
        return core::MatrixView<const Half>{};
    };
    const typename Kernel::Side first = side(x), second = side(y);
    start(work, Kernel{{first, second}, first.blocks()}, first.blocks() + second.blocks());
    return {first.to.data ? core::MatrixView<const Half>(first.to) : as_it_lies(x),
            second.to.data ? core::MatrixView<const Half>(second.to) : as_it_lies(y)};
  } else {
    if constexpr (std::is_same_v<typename Tile::Input, T>)
      if (is_operand<Tile>(x) && is_operand<Tile>(y)) return {x, y};
    work.fail(invalid("rows of this type cannot be operands of this precision"));
    return {};
  }
}

/// m as an operand; enqueues the copy where one is needed.
template <class Tile, class T>
core::MatrixView<const typename Tile::Input> make_operand(Work& work,
                                                          const core::MatrixView<const T>& m) {
  return make_operands<Tile>(work, m, core::MatrixView<const T>{}).x;
}

}  // namespace spheremix::gpu::pairwise
