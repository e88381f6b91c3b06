// The inner loops of the pairwise engine for every instruction set, and the choice at run time
// (core/isa.hpp): SPHEREMIX_DISPATCH(name<...>)(arguments).
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/isa.hpp"
#include "spheremix/core/rounded.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/pairwise/mix_block.hpp"

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

/// Rows of A and columns of B packed at a time: a third of a MiB and one MiB a thread. Packed rows
/// and the panel that they meet stay in a second cache of 1 MiB. kPackRows is a multiple of every
/// kRows.
inline constexpr Index kPackRows = 168;
inline constexpr Index kPackCols = 512;

/// Values in a thread's packing buffers.
template <class T>
inline constexpr Index kPackA = kPackRows* kPackStride<T>;
template <class T>
inline constexpr Index kPackB = kPackCols* kDepth<T>;

/// The integer as wide as T, for counts and comparisons beside it in registers.
template <class T>
using LaneInt = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

/// Operands of a product as they are (bf16.hpp rounds them).
template <class Plain>
using Itself = Plain;

}  // namespace spheremix::pairwise

/// Elements of a, then of b, by number: SPHEREMIX_SHUFFLE(a, b, 0, 4, 1, 5). g++ 11 only has the
/// older built-in.
#if defined(__clang__) || __GNUC__ >= 12
#define SPHEREMIX_SHUFFLE __builtin_shufflevector
#else
#define SPHEREMIX_SHUFFLE(A, B, ...) __builtin_shuffle(A, B, decltype((A) == (B)){__VA_ARGS__})
#endif

#define SPHEREMIX_ISA_COPY "spheremix/pairwise/isa_kernels.inc"
#include "spheremix/core/each_isa.inc"

namespace spheremix::pairwise {

using core::Isa;
using core::isa;
using core::isa_name;

}  // namespace spheremix::pairwise

/// The copy in use of an inner loop, as a value: SPHEREMIX_DISPATCH(register_tile<float, true>).
#define SPHEREMIX_DISPATCH(...) SPHEREMIX_PICK_ISA(pairwise, __VA_ARGS__)
