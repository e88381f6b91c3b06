#include "spheremix/io/half.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace spheremix;

namespace {

/// The definition, in long double.
long double defined_value(std::uint32_t half) {
  const int exponent = int(half >> 10) & 31;
  const long double mantissa = half & 1023;
  const long double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1 + mantissa / 1024, exponent - 15);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("every half is converted exactly, and back to the same bits") {
  for (std::uint32_t half = 0; half < 65536; ++half) {
    const float value = io::half_value(std::uint16_t(half));
    const bool special = ((half >> 10) & 31) == 31;
    if (!special) {
      REQUIRE(static_cast<long double>(value) == defined_value(half));
      REQUIRE(std::signbit(value) == ((half & 0x8000) != 0));
      REQUIRE(io::half_bits(double(value)) == half);
    } else if ((half & 1023) == 0) {
      REQUIRE(std::isinf(value));
      REQUIRE(io::half_bits(double(value)) == half);
    } else {
      REQUIRE(std::isnan(value));
      const std::uint16_t back = io::half_bits(double(value));
      REQUIRE(((back >> 10) == (half >> 10) && (back & 1023) != 0));
    }
  }
}

TEST_CASE("numbers between two halves go to the nearer one, ties to the even one") {
  for (std::uint32_t half = 0; half < 0x7bff; ++half) {
    const auto low = double(defined_value(half)), high = double(defined_value(half + 1));
    const double middle = (low + high) / 2;  // exact in double
    const auto even = std::uint16_t((half & 1) == 0 ? half : half + 1);
    REQUIRE(io::half_bits(std::nextafter(middle, 0.0)) == half);
    REQUIRE(io::half_bits(middle) == even);
    REQUIRE(io::half_bits(std::nextafter(middle, 1e9)) == half + 1);
    REQUIRE(io::half_bits(-middle) == (even | 0x8000));
  }
  CHECK(io::half_bits(std::nextafter(65520.0, 0.0)) == 0x7bff);
  CHECK(io::half_bits(65520.0) == 0x7c00);
  CHECK(io::half_bits(1e300) == 0x7c00);
  CHECK(io::half_bits(4.9e-324) == 0);
}
