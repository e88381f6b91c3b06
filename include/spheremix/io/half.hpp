// IEEE 754 binary16 ("half", f2 in NumPy's names): 1 sign, 5 exponent and 10 mantissa bits.
//
//   exponent 1..30   (-1)^s 2^(e - 15) (1 + m / 1024)      up to 65504
//   exponent 0       (-1)^s 2^-24 m                        zero and the subnormals
//   exponent 31      infinity (m = 0) or NaN
//
// Integer arithmetic on the bits, so that flush-to-zero modes of the processor change nothing.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace spheremix::io {

/// The value of a half, exactly; a NaN keeps its sign and payload.
inline float half_value(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  const std::uint32_t mantissa = half & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = float(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

/// The half nearest to x, ties to the even one, in one rounding from double. |x| >= 65520 gives
/// infinity.
inline std::uint16_t half_bits(double x) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const auto sign = std::uint16_t((bits >> 48) & 0x8000u);
  const double magnitude = std::fabs(x);
  if (std::isnan(x)) return std::uint16_t(sign | 0x7e00u);
  if (magnitude >= 65520) return std::uint16_t(sign | 0x7c00u);
  if (magnitude <
      0x1p-14)  // a multiple of 2^-24; 1024 of them roll over into the first normal number
    return std::uint16_t(sign | std::uint16_t(std::nearbyint(magnitude * 0x1p24)));
  std::uint64_t rounded = bits & 0x7fffffffffffffffu;
  rounded += 0x1ffffffffffu + ((rounded >> 42) & 1u);
  return std::uint16_t(sign | std::uint16_t((rounded >> 42) - (std::uint64_t(1023 - 15) << 10)));
}

}  // namespace spheremix::io
