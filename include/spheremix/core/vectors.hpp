// The vocabulary of all loops that are compiled for each instruction set (isa.hpp): a vector
// register, reading and writing it. What stands in simd::<instruction set> is called by
//
//   SPHEREMIX_DISPATCH(sum_in_lanes<F>)(d, f)
//
// and written in .inc files that open that namespace (core/lanes.inc, sphere/row_loops.inc,
// pairwise/isa_*.inc), their functions marked SPHEREMIX_KERNEL (one for each instruction set),
// SPHEREMIX_STEP (inlined into those) or SPHEREMIX_LOOP (inlines what it calls, whatever that was
// compiled for). Vectors are the compilers' own (vector_size): g++ and clang++.
#pragma once

#include <cstdint>
#include <type_traits>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/isa.hpp"

namespace spheremix::simd {

/// The integer as wide as T, for counts and comparisons beside it in registers.
template <class T>
using LaneInt = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

}  // namespace spheremix::simd

/// Elements of a, then of b, by number: SPHEREMIX_SHUFFLE(a, b, 0, 4, 1, 5). g++ 11 only has the
/// older built-in.
#if defined(__clang__) || __GNUC__ >= 12
#define SPHEREMIX_SHUFFLE __builtin_shufflevector
#else
#define SPHEREMIX_SHUFFLE(A, B, ...) __builtin_shuffle(A, B, decltype((A) == (B)){__VA_ARGS__})
#endif

#define SPHEREMIX_ISA_COPY "spheremix/core/vectors.inc"
#include "spheremix/core/each_isa.inc"
