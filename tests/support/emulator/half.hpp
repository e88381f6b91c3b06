// __half and __nv_bfloat16 as bit patterns with the toolkit's conversions (round to nearest even).
#pragma once

#include <bit>
#include <cstdint>

struct __half {
  std::uint16_t bits;
};
struct __nv_bfloat16 {
  std::uint16_t bits;
};

inline float __half2float(__half h) {
  const std::uint32_t sign = std::uint32_t(h.bits >> 15) << 31, exponent = h.bits >> 10 & 31u,
                      m = h.bits & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | m << 13);
  if (exponent == 0) {
    const float tiny = float(m) * 5.9604644775390625e-8f;  // 2^-24
    return sign ? -tiny : tiny;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | m << 13);
}

inline __half __float2half_rn(float f) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(f), sign = u >> 16 & 0x8000u,
                      a = u & 0x7FFFFFFFu;
  if (a > 0x7F800000u) return {std::uint16_t(0x7FFF)};
  if (a >= 0x477FF000u) return {std::uint16_t(sign | 0x7C00u)};  // 65520 and above
  if (a < 0x38800000u) {                                         // below 2^-14: a multiple of 2^-24
    const float scaled = std::bit_cast<float>(a) * 16777216.0f;  // exact
    std::uint32_t m = std::uint32_t(scaled);
    const float rest = scaled - float(m);
    m += rest > 0.5f || (rest == 0.5f && (m & 1u));
    return {std::uint16_t(sign | m)};
  }
  const std::uint32_t rounded = a + 0xFFFu + (a >> 13 & 1u);
  return {std::uint16_t(sign | ((rounded >> 13) - (112u << 10)))};
}

inline float __bfloat162float(__nv_bfloat16 h) {
  return std::bit_cast<float>(std::uint32_t(h.bits) << 16);
}

inline __nv_bfloat16 __float2bfloat16_rn(float f) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(f);
  if ((u & 0x7FFFFFFFu) > 0x7F800000u) return {std::uint16_t(0x7FFF)};
  return {std::uint16_t((u + 0x7FFFu + (u >> 16 & 1u)) >> 16)};
}
