// The inner loops for every instruction set this compiler can make code for, and the choice at run
// time.
//
// A program built with plain -O2 gets AVX-512 or AVX2 + FMA code where the processor has it;
// nobody's flags change and none are needed. SPHEREMIX_ISA=baseline|avx2|avx512 in the environment
// holds the choice down (for measurements and tests); results differ between instruction sets in
// the last digits, never between thread counts.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "spheremix/core/constants.hpp"
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

}  // namespace spheremix::pairwise

#define SPHEREMIX_ISA baseline
#define SPHEREMIX_ISA_TARGET
#define SPHEREMIX_ISA_BYTES 16
#if defined(__aarch64__)
#define SPHEREMIX_ISA_ROWS 12
#else
#define SPHEREMIX_ISA_ROWS 6
#endif
#include "spheremix/pairwise/isa_kernels.inc"
#undef SPHEREMIX_ISA
#undef SPHEREMIX_ISA_TARGET
#undef SPHEREMIX_ISA_BYTES
#undef SPHEREMIX_ISA_ROWS

#if defined(__x86_64__)
#define SPHEREMIX_ISA avx2
#define SPHEREMIX_ISA_TARGET __attribute__((target("avx2,fma")))
#define SPHEREMIX_ISA_BYTES 32
#define SPHEREMIX_ISA_ROWS 6
#include "spheremix/pairwise/isa_kernels.inc"
#undef SPHEREMIX_ISA
#undef SPHEREMIX_ISA_TARGET
#undef SPHEREMIX_ISA_BYTES
#undef SPHEREMIX_ISA_ROWS

#define SPHEREMIX_ISA avx512
#define SPHEREMIX_ISA_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define SPHEREMIX_ISA_BYTES 64
#define SPHEREMIX_ISA_ROWS 14
#include "spheremix/pairwise/isa_kernels.inc"
#undef SPHEREMIX_ISA
#undef SPHEREMIX_ISA_TARGET
#undef SPHEREMIX_ISA_BYTES
#undef SPHEREMIX_ISA_ROWS
#endif

namespace spheremix::pairwise {

enum class Isa { baseline, avx2, avx512 };

/// The instruction set in use: the processor's best, or the one that SPHEREMIX_ISA names if it has
/// it.
inline Isa isa() {
  static const Isa chosen = [] {
    Isa best = Isa::baseline;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
    if (best == Isa::avx2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      best = Isa::avx512;
#endif
    const char* wish = std::getenv("SPHEREMIX_ISA");
    if (wish && std::strcmp(wish, "baseline") == 0) return Isa::baseline;
    if (wish && std::strcmp(wish, "avx2") == 0 && best >= Isa::avx2) return Isa::avx2;
    return best;
  }();
  return chosen;
}

inline const char* isa_name() {
  return isa() == Isa::avx512 ? "avx512" : isa() == Isa::avx2 ? "avx2" : "baseline";
}

}  // namespace spheremix::pairwise

/// The name `kernel` of the copy in use, as a value:
/// SPHEREMIX_DISPATCH(register_tile<float, true>).
#if defined(__x86_64__)
#define SPHEREMIX_DISPATCH(...)                                       \
  (::spheremix::pairwise::isa() == ::spheremix::pairwise::Isa::avx512 \
       ? ::spheremix::pairwise::avx512::__VA_ARGS__                   \
   : ::spheremix::pairwise::isa() == ::spheremix::pairwise::Isa::avx2 \
       ? ::spheremix::pairwise::avx2::__VA_ARGS__                     \
       : ::spheremix::pairwise::baseline::__VA_ARGS__)
#else
#define SPHEREMIX_DISPATCH(...) (::spheremix::pairwise::baseline::__VA_ARGS__)
#endif
