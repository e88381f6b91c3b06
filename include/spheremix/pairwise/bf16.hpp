// Rounding to bf16 (8 significant bits, the exponents of float), and operands of a product rounded
// in its packing buffers.
//
//   bf16(x) = x + d, |d| <= 2^-8 |x|   to the nearest of 8 significant bits, ties to even
//
// Of everything: infinity stays, NaN stays NaN (quiet), what lies above the largest bf16 by half a
// unit or more becomes infinity, denormals become the zero of their sign; all as AVX512-BF16 does.
// [Intel SDM, VCVTNEPS2BF16 and VDPBF16PS]
#pragma once

#include <bit>
#include <cstdint>

#include "spheremix/core/constants.hpp"
#include "spheremix/pairwise/isa.hpp"

namespace spheremix::pairwise {

/// Bits of bf16(x), as those of a float whose lower half is 0.
constexpr std::uint32_t bf16_bits(std::uint32_t x) {
  const std::uint32_t size = x & 0x7fffffffu;
  if (size > 0x7f800000u) return (x | 0x00400000u) & 0xffff0000u;
  if (size < 0x00800000u) return x & 0x80000000u;
  return (x + 0x7fffu + (x >> 16 & 1u)) & 0xffff0000u;
}

/// x rounded to bf16.
inline float round_to_bf16(float x) {
  return std::bit_cast<float>(bf16_bits(std::bit_cast<std::uint32_t>(x)));
}
inline void round_to_bf16(float* x, Index count) {
  for (Index k = 0; k < count; ++k) x[k] = round_to_bf16(x[k]);
}

/// Plain operands (isa_product.inc) rounded once they are packed: the meaning of a bf16 product on
/// any processor, and there no faster than f32.
template <class Plain>
struct RoundedToBf16 : Plain {
  template <bool Transposed>
  static void pack_a(const float* a, Index stride, Index rows, Index depth, float* out) {
    Plain::template pack_a<Transposed>(a, stride, rows, depth, out);
    const Index padded = (rows + Plain::kTileRows - 1) / Plain::kTileRows * Plain::kTileRows;
    if constexpr (Transposed)
      round_to_bf16(out, padded * depth);
    else
      for (Index r = 0; r < padded; ++r) round_to_bf16(out + r * kPackStride<float>, depth);
  }
  template <bool Transposed>
  static void pack_b(const float* b, Index stride, Index cols, Index depth, float* out) {
    Plain::template pack_b<Transposed>(b, stride, cols, depth, out);
    const Index padded = (cols + Plain::kTileCols - 1) / Plain::kTileCols * Plain::kTileCols;
    round_to_bf16(out, padded * depth);
  }
};

}  // namespace spheremix::pairwise
