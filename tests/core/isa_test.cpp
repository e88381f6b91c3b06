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
#if defined(__x86_64__)
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
