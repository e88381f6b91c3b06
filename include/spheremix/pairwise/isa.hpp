// The inner loops of the pairwise engine for every instruction set, and the choice at run time
// (core/isa.hpp): SPHEREMIX_DISPATCH(name<...>)(arguments).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <type_traits>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/rounded.hpp"
#include "spheremix/core/vectors.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/formula/logistic.hpp"

namespace spheremix::pairwise {

/// Values of a row that the element-wise loops take at a time: constant trip counts, which every
/// compiler vectorises at -O2.
inline constexpr int kChunk = 64;

/// Depth of a packed block, in values: 2 KiB of each row.
template <class T>
inline constexpr Index kDepth = 2048 / Index(sizeof(T));

/// Distance between packed rows: one cache line more than the depth, so that the rows of a register
/// tile fall into different sets of the cache.
template <class T>
inline constexpr Index kPackStride = kDepth<T> + 64 / Index(sizeof(T));

/// Rows of the register tile of a processor with so many vector registers of so many bytes, each
/// row two vectors long. Where an element of A can be multiplied from memory, two registers are
/// enough besides the tile and B's.
constexpr int register_rows(int registers, int bytes) {
  return registers == 16 ? 6 : bytes == 64 ? 14 : 12;
}

/// Blocks of rows are multiples of this: a multiple of every register tile's rows, so that no tile
/// is cut but at the lower edge of a table, and the blocks are the same on every machine.
inline constexpr Index kRowUnit =
    std::lcm(std::lcm(register_rows(16, 16), register_rows(32, 16)), register_rows(32, 64));

/// Rows of A and columns of B packed at a time: a third of a MiB and one MiB a thread. Packed rows
/// and the panel that they meet stay in a second cache of 1 MiB.
inline constexpr Index kPackRows = 2 * kRowUnit;
inline constexpr Index kPackCols = 512;

/// Values in a thread's packing buffers.
template <class T>
inline constexpr Index kPackA = kPackRows* kPackStride<T>;
template <class T>
inline constexpr Index kPackB = kPackCols* kDepth<T>;

/// Operands of a product as they are (bf16.hpp rounds them).
template <class Plain>
using Itself = Plain;

}  // namespace spheremix::pairwise

#define SPHEREMIX_ISA_COPY "spheremix/pairwise/isa_kernels.inc"
#include "spheremix/core/each_isa.inc"

namespace spheremix::pairwise {

using core::Isa;
using core::isa;
using core::isa_name;

}  // namespace spheremix::pairwise
