// The instruction sets that inner loops are compiled for, and the choice at run time.
//
// A loop that is worth it is written once and compiled for every instruction set that this compiler
// can make code for (each_isa.inc); a program built with plain -O2 gets AVX-512 or AVX2 + FMA code
// where the processor has it; nobody's flags change and none are needed.
// SPHEREMIX_ISA=baseline|avx2|avx512 in the environment holds the choice down (for measurements and
// tests); results differ between instruction sets in the last digits, never between thread counts.
#pragma once

#include <cstdlib>
#include <cstring>

namespace spheremix::core {

enum class Isa { baseline, avx2, avx512 };

/// The instruction set that `wish` names where it is not above `best`, else `best`.
inline Isa held_down(Isa best, const char* wish) {
  if (wish && std::strcmp(wish, "baseline") == 0) return Isa::baseline;
  if (wish && std::strcmp(wish, "avx2") == 0 && best >= Isa::avx2) return Isa::avx2;
  return best;
}

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
    return held_down(best, std::getenv("SPHEREMIX_ISA"));
  }();
  return chosen;
}

inline const char* isa_name() {
  return isa() == Isa::avx512 ? "avx512" : isa() == Isa::avx2 ? "avx2" : "baseline";
}

}  // namespace spheremix::core

/// The copy in use of a function that every namespace SPACE::<instruction set> has, as a value:
/// SPHEREMIX_PICK_ISA(pairwise, register_tile<float, true>).
#if defined(__x86_64__)
#define SPHEREMIX_PICK_ISA(SPACE, ...)                        \
  (::spheremix::core::isa() == ::spheremix::core::Isa::avx512 \
       ? ::spheremix::SPACE::avx512::__VA_ARGS__              \
   : ::spheremix::core::isa() == ::spheremix::core::Isa::avx2 \
       ? ::spheremix::SPACE::avx2::__VA_ARGS__                \
       : ::spheremix::SPACE::baseline::__VA_ARGS__)
#else
#define SPHEREMIX_PICK_ISA(SPACE, ...) (::spheremix::SPACE::baseline::__VA_ARGS__)
#endif
