#include "spheremix/core/philox.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace spheremix;

namespace {

bool equal(const core::PhiloxBlock& got, std::uint32_t a, std::uint32_t b, std::uint32_t c,
           std::uint32_t d) {
  return got.word[0] == a && got.word[1] == b && got.word[2] == c && got.word[3] == d;
}

}  // namespace

TEST_CASE("Philox4x32-10 gives the published vectors of Random123") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(equal(core::philox4x32({{0, 0, 0, 0}}, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c,
              0x9b00dbd8));
  CHECK(equal(core::philox4x32({{ones, ones, ones, ones}}, ones, ones), 0x408f276d, 0x41c83b0e,
              0xa20bc7c6, 0x6d5451fd));
  CHECK(equal(
      core::philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
      0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST_CASE("uniform01 is never 0 nor 1 and exact in its bits") {
  CHECK(core::uniform01<float>(0, 0) == 0x1p-24f);
  CHECK(core::uniform01<float>(0xffffffff, 0xffffffff) == 1 - 0x1p-24f);
  CHECK(core::uniform01<double>(0, 0) == 0x1p-53);
  CHECK(core::uniform01<double>(0xffffffff, 0xffffffff) == 1 - 0x1p-53);
}

TEST_CASE("a stream is a function of seed, step and item, and goes on block after block") {
  core::PhiloxStream stream(0x0123456789abcdefu, 7, 0x1122334455667788u);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const auto want =
        core::philox4x32({{0x55667788u, 0x11223344u, 7, block}}, 0x89abcdefu, 0x01234567u);
    for (std::uint32_t word : want.word) CHECK(stream.next() == word);
  }
}

TEST_CASE("float and double streams stay in step") {
  core::PhiloxStream a(1, 2, 3), b(1, 2, 3);
  for (int i = 0; i < 10; ++i)
    CHECK(std::abs(double(a.uniform<float>()) - b.uniform<double>()) < 1e-7);
}

TEST_CASE("every sampling call takes a step of its own") {
  core::Philox rng(9);
  CHECK(rng.take_step() == 0);
  CHECK(rng.take_step() == 1);
  CHECK(rng.step() == 2);
  CHECK(rng.stream(0, 5).next() != rng.stream(1, 5).next());
}
