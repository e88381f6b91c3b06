// The instruction sets that inner loops are compiled for, and the choice at run time.
//
// A loop that is worth it is written once and compiled for every instruction set that this compiler
// can make code for (each_isa.inc); a program built with plain -O2 gets AVX-512 or AVX2 + FMA code
// where the processor has it; nobody's flags change and none are needed.
// SPHEREMIX_ISA=baseline|avx2|avx512 in the environment holds the choice down (for measurements and
// tests); results differ between instruction sets in the last digits, never between thread counts.
// Any other word is a std::invalid_argument from the first function that has such a loop, and from
// each after it; nothing is read before main.
//
// The processor is asked by its own instructions (cpuid, xgetbv), not through the compiler's run-time
// library: zig's and others lack what __builtin_cpu_supports calls.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "spheremix/core/checks.hpp"

/// Are there copies for AVX2 and AVX-512? Not with g++ for Windows, which keeps vectors of 32 and 64
/// bytes on a stack that is aligned to 16 (GCC bug 54412); clang++ does it right.
#if defined(__x86_64__) && !(defined(_WIN32) && !defined(__clang__))
#define SPHEREMIX_X86_COPIES 1
#else
#define SPHEREMIX_X86_COPIES 0
#endif

namespace spheremix::core {

enum class Isa { baseline, avx2, avx512 };

/// Their names, in that order.
inline constexpr const char* kIsaNames[] = {"baseline", "avx2", "avx512"};

namespace detail {

/// What cpuid and xgetbv answer, as far as it matters here.
struct CpuidAnswer {
  std::uint32_t highest = 0;  ///< leaf 0, eax: the last leaf there is
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_subleaves = 0;  ///< leaf 7.0, eax
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_1_eax = 0;
  std::uint32_t saved = 0;  ///< xgetbv(0): registers that the operating system saves
};

struct Features {
  Isa best = Isa::baseline;
  bool avx512_bf16 = false;
};

/// Bits as in Intel's manual, volume 2A (CPUID), and AMD's, volume 3, appendix E.
inline Features features_of(const CpuidAnswer& cpu) {
  const auto has = [](std::uint32_t word, std::uint32_t bits) { return (word & bits) == bits; };
  constexpr std::uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, avx2 = 1u << 5;
  constexpr std::uint32_t avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  constexpr std::uint32_t ymm = 0x6, zmm = 0xe6;
  Features found;
  if (cpu.highest < 7 || !has(cpu.leaf1_ecx, fma | osxsave | avx) || !has(cpu.saved, ymm) ||
      !has(cpu.leaf7_ebx, avx2))
    return found;
  found.best = Isa::avx2;
  if (!has(cpu.saved, zmm) || !has(cpu.leaf7_ebx, avx512_f_dq_bw_vl)) return found;
  found.best = Isa::avx512;
  found.avx512_bf16 = cpu.leaf7_subleaves >= 1 && has(cpu.leaf7_1_eax, 1u << 5);
  return found;
}

#if SPHEREMIX_X86_COPIES
inline CpuidAnswer ask_processor() {
  std::uint32_t a, b, c, d;
  const auto cpuid = [&](std::uint32_t leaf, std::uint32_t subleaf) {
    asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(leaf), "2"(subleaf));
  };
  CpuidAnswer cpu;
  cpuid(0, 0), cpu.highest = a;
  cpuid(1, 0), cpu.leaf1_ecx = c;
  if (cpu.leaf1_ecx & 1u << 27) {  // OSXSAVE: xgetbv may be used
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    cpu.saved = a;
  }
  if (cpu.highest < 7) return cpu;
  cpuid(7, 0), cpu.leaf7_subleaves = a, cpu.leaf7_ebx = b;
  if (cpu.leaf7_subleaves >= 1) cpuid(7, 1), cpu.leaf7_1_eax = a;
  return cpu;
}

/// Asked once.
inline const Features& features() {
  static const Features found = features_of(ask_processor());
  return found;
}
#else
inline Features features() { return {}; }
#endif

}  // namespace detail

/// The instruction set that `wish` names where it is not above `best`, else `best`; that as well
/// where nothing is wished. Throws for a word that is no name.
inline Isa held_down(Isa best, const char* wish) {
  if (!wish || !*wish) return best;
  for (int k = 0; k < 3; ++k)
    if (std::strcmp(wish, kIsaNames[k]) == 0) return Isa(k) < best ? Isa(k) : best;
  fail("SPHEREMIX_ISA", " is \"", wish, "\", where ", kIsaNames[0], ", ", kIsaNames[1], " and ",
       kIsaNames[2], " are known");
}

/// The instruction set in use: the processor's best, or the one that SPHEREMIX_ISA names if it has
/// it.
inline Isa isa() {
  static const Isa chosen = held_down(detail::features().best, std::getenv("SPHEREMIX_ISA"));
  return chosen;
}

inline const char* isa_name() { return kIsaNames[int(isa())]; }

}  // namespace spheremix::core

/// The copy in use of a function that every namespace simd::<instruction set> has, as a value:
/// SPHEREMIX_DISPATCH(register_tile<float, true>).
#if SPHEREMIX_X86_COPIES
#define SPHEREMIX_DISPATCH(...)                               \
  (::spheremix::core::isa() == ::spheremix::core::Isa::avx512 \
       ? ::spheremix::simd::avx512::__VA_ARGS__               \
   : ::spheremix::core::isa() == ::spheremix::core::Isa::avx2 \
       ? ::spheremix::simd::avx2::__VA_ARGS__                 \
       : ::spheremix::simd::baseline::__VA_ARGS__)
#else
#define SPHEREMIX_DISPATCH(...) (::spheremix::simd::baseline::__VA_ARGS__)
#endif
