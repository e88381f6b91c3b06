// The copies for each instruction set, and which of them is picked.
#include "spheremix/core/isa.hpp"

#include <doctest/doctest.h>

#include <string>

#define SPHEREMIX_ISA_COPY "core/isa_copy.inc"
#include "spheremix/core/each_isa.inc"

using namespace spheremix;
using core::Isa;

TEST_CASE("the copy in use is the one that isa() and isa_name() name") {
  CHECK(SPHEREMIX_PICK_ISA(isa_test, name)() == std::string(core::isa_name()));
  CHECK(isa_test::baseline::name() == std::string("baseline"));
  CHECK(isa_test::baseline::bytes == 16);
#if SPHEREMIX_X86_COPIES
  CHECK(isa_test::avx2::name() == std::string("avx2"));
  CHECK(isa_test::avx2::bytes == 32);
  CHECK(isa_test::avx512::name() == std::string("avx512"));
  CHECK(isa_test::avx512::bytes == 64);
  CHECK(isa_test::baseline::registers == 16);
  CHECK(isa_test::avx512::registers == 32);
  const int best = core::isa() == Isa::avx512 ? 64 : core::isa() == Isa::avx2 ? 32 : 16;
  CHECK(SPHEREMIX_PICK_ISA(isa_test, bytes) == best);
#endif
}

TEST_CASE("SPHEREMIX_ISA holds the choice down, never up; other words mean nothing") {
  for (const Isa best : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    CHECK(core::held_down(best, nullptr) == best);
    CHECK(core::held_down(best, "") == best);
    CHECK(core::held_down(best, "AVX2") == best);
    CHECK(core::held_down(best, "avx512") == best);
    CHECK(core::held_down(best, "baseline") == Isa::baseline);
    CHECK(core::held_down(best, "avx2") == (best == Isa::baseline ? best : Isa::avx2));
  }
}

namespace {

/// What a processor with all of it answers, on a system that saves every register.
constexpr core::detail::CpuidAnswer kFull = {
    .highest = 0x10,
    .leaf1_ecx = 1u << 12 | 1u << 27 | 1u << 28,
    .leaf7_subleaves = 1,
    .leaf7_ebx = 1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31,
    .leaf7_1_eax = 1u << 5,
    .saved = 0xe7};

Isa best_without(std::uint32_t core::detail::CpuidAnswer::*word, std::uint32_t bits) {
  auto cpu = kFull;
  cpu.*word &= ~bits;
  return core::detail::features_of(cpu).best;
}

}  // namespace

TEST_CASE("an instruction set is used where processor and operating system both have it") {
  using Cpu = core::detail::CpuidAnswer;
  CHECK(core::detail::features_of(kFull).best == Isa::avx512);
  CHECK(core::detail::features_of(kFull).avx512_bf16);
  CHECK(core::detail::features_of({}).best == Isa::baseline);
  for (const int bit : {12, 27, 28})
    CHECK(best_without(&Cpu::leaf1_ecx, 1u << bit) == Isa::baseline);
  CHECK(best_without(&Cpu::leaf7_ebx, 1u << 5) == Isa::baseline);
  for (const int bit : {16, 17, 30, 31})
    CHECK(best_without(&Cpu::leaf7_ebx, 1u << bit) == Isa::avx2);
  for (const int bit : {1, 2}) CHECK(best_without(&Cpu::saved, 1u << bit) == Isa::baseline);
  for (const int bit : {5, 6, 7}) CHECK(best_without(&Cpu::saved, 1u << bit) == Isa::avx2);
  for (const auto change :
       {0, 1, 2, 3}) {  // bf16 needs its bit, the subleaf that has it, and AVX-512
    auto cpu = kFull;
    if (change == 1) cpu.leaf7_1_eax = 0;
    if (change == 2) cpu.leaf7_subleaves = 0;
    if (change == 3) cpu.saved = 0x7;
    CHECK(core::detail::features_of(cpu).avx512_bf16 == (change == 0));
  }
  auto old = kFull;
  old.highest = 6;  // what leaf 7 holds is not there
  CHECK(core::detail::features_of(old).best == Isa::baseline);
}

#if SPHEREMIX_X86_COPIES && defined(__GLIBC__)
TEST_CASE("this processor: as the compiler's run-time library finds it") {
  const auto found = core::detail::features();
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  CHECK(found.best == (avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::baseline));
  CHECK(found.avx512_bf16 == (avx512 && __builtin_cpu_supports("avx512bf16")));
}
#endif
