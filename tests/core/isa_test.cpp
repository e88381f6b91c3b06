// The copies for each instruction set, and which of them is picked.
#include "spheremix/core/isa.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#if defined(__linux__)
#include <unistd.h>
#endif

#include "spheremix/core/lanes.hpp"
#include "spheremix/core/parallel.hpp"

#define SPHEREMIX_ISA_COPY "core/isa_copy.inc"
#include "spheremix/core/each_isa.inc"

using namespace spheremix;
using core::Isa;

TEST_CASE("the copy in use is the one that isa() and isa_name() name") {
  CHECK(SPHEREMIX_DISPATCH(test_name)() == std::string(core::isa_name()));
  CHECK(simd::baseline::test_name() == std::string("baseline"));
  CHECK(simd::baseline::test_bytes == 16);
#if SPHEREMIX_X86_COPIES
  CHECK(simd::avx2::test_name() == std::string("avx2"));
  CHECK(simd::avx2::test_bytes == 32);
  CHECK(simd::avx512::test_name() == std::string("avx512"));
  CHECK(simd::avx512::test_bytes == 64);
  CHECK(simd::baseline::test_registers == 16);
  CHECK(simd::avx512::test_registers == 32);
  const int best = core::isa() == Isa::avx512 ? 64 : core::isa() == Isa::avx2 ? 32 : 16;
  CHECK(SPHEREMIX_DISPATCH(test_bytes) == best);
#endif
}

TEST_CASE("SPHEREMIX_ISA holds the choice down, never up; other words are errors") {
  for (const Isa best : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    CHECK(core::held_down(best, nullptr) == best);
    CHECK(core::held_down(best, "") == best);
    CHECK(core::held_down(best, "avx512") == best);
    CHECK(core::held_down(best, "baseline") == Isa::baseline);
    CHECK(core::held_down(best, "avx2") == (best == Isa::baseline ? best : Isa::avx2));
    for (const std::string wrong : {"AVX2", "avx9", " avx2", "avx51", "avx5122", "none"}) {
      std::string said;
      try {
        (void)core::held_down(best, wrong.c_str());
      } catch (const std::invalid_argument& error) {
        said = error.what();
      }
      CHECK(said ==
            "SPHEREMIX_ISA is \"" + wrong + "\", where baseline, avx2 and avx512 are known");
    }
  }
}

#if defined(__linux__)
TEST_CASE("child: each call refuses the word in the environment alike" * doctest::skip()) {
  const double x[3] = {1, 2, 3};
  const auto said = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return {};
  };
  const std::string first = said([&] { (void)core::row_product(x, x, 3); });
  CHECK(first == "SPHEREMIX_ISA is \"avx9\", where baseline, avx2 and avx512 are known");
  CHECK(said([&] { (void)core::row_product(x, x, 3); }) == first);
  CHECK(said([&] { (void)core::isa_name(); }) == first);
  CHECK(said([&] {
          core::parallel_for(8, 2, [&](Index, int) { (void)core::row_product(x, x, 3); });
        }) == first);
}

TEST_CASE(
    "SPHEREMIX_ISA=avx9: an error from the first call and from each after it, none before main") {
  char self[4096] = {};
  REQUIRE(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  const std::string command =
      "SPHEREMIX_ISA=avx9 '" + std::string(self) + "' --no-skip --test-case='child: each*'";
  CHECK(std::system((command + " | grep -q 'assertions: 4 . 4 passed'").c_str()) == 0);
}
#endif

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
