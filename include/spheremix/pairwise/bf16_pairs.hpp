// Operands of a product as pairs of bf16 for AVX512-BF16, and its register tile.
//
//   vdpbf16ps   c += a1 b1, then c += a0 b0   for the pair (a0, a1) of each 32-bit lane
//
// Both are fused multiply-adds to nearest even in f32, whatever MXCSR says; denormals, operands and
// results, count as 0. One such instruction takes the time of an f32 multiply-add on Zen 4: twice
// the flops. A pair is two neighbours of the depth, packed where isa_product.inc has one float, so
// buffers, blocks and tiles are those of f32 with twice the depth; an odd end is paired with 0.
// Rounding while packing is vcvtne2ps2bf16's: bf16_bits of bf16.hpp.
#pragma once

#include "spheremix/pairwise/isa.hpp"

#if SPHEREMIX_X86_COPIES
#include <immintrin.h>

#include <cstring>

namespace spheremix::simd::avx512 {

#define SPHEREMIX_BF16 \
  __attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define SPHEREMIX_BF16_STEP SPHEREMIX_BF16 __attribute__((always_inline)) inline

/// The lowest `count` of 16 lanes; none for count <= 0.
inline __mmask16 first_lanes(Index count) {
  return __mmask16(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

/// Pairs (low[l], high[l]) of the first `count` columns; high may be null: 0.
SPHEREMIX_BF16_STEP __m512i pairs_of_rows(const float* low, const float* high, Index count) {
  alignas(64) static constexpr std::int16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                         21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                         11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __mmask16 lanes = first_lanes(count);
  const __m512 l = _mm512_maskz_loadu_ps(lanes, low);
  const __m512 h = high ? _mm512_maskz_loadu_ps(lanes, high) : _mm512_setzero_ps();
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), (__m512i)_mm512_cvtne2ps_pbh(h, l));
}

/// 16 pairs of neighbours of one row, of its `left` values.
SPHEREMIX_BF16_STEP __m512i pairs_of_row(const float* row, Index left) {
  const __m512 l = _mm512_maskz_loadu_ps(first_lanes(left), row);
  const __m512 h = _mm512_maskz_loadu_ps(first_lanes(left - 16), row + 16);
  return (__m512i)_mm512_cvtne2ps_pbh(h, l);
}

template <class Plain>
struct Bf16Pairs {
  static constexpr Index kPackDepth = 2 * kDepth<float>;
  static constexpr Index words(Index depth) { return (depth + 1) / 2; }

  template <bool Transposed>
  SPHEREMIX_BF16 static void pack_a(const float* a, Index stride, Index rows, Index depth,
                                    float* out) {
    const Index pairs = words(depth);
    if constexpr (Transposed) {  // a row of A for each depth, dealt out to the panels
      for (Index w = 0; w < pairs; ++w) {
        const float* low = a + 2 * w * stride;
        const float* high = 2 * w + 1 < depth ? low + stride : nullptr;
        __builtin_prefetch(low + 4 * stride);
        __builtin_prefetch(low + 5 * stride);
        float* to = out + w * kRows;
        for (Index i = 0; i < rows; i += kRows, to += kRows * pairs) {
          const Index count = rows - i < kRows ? rows - i : kRows;
          _mm512_mask_storeu_epi32(to, first_lanes(kRows),
                                   pairs_of_rows(low + i, high ? high + i : nullptr, count));
        }
      }
    } else {
      Index r = 0;
      for (; r < rows; ++r)
        for (Index k = 0; k < depth; k += 32)
          _mm512_storeu_si512(out + r * kPackStride<float> + k / 2,
                              pairs_of_row(a + r * stride + k, depth - k));
      for (; r % kRows != 0; ++r)
        std::memset(out + r * kPackStride<float>, 0, std::size_t(pairs) * sizeof(float));
    }
  }

  template <bool Transposed>
  SPHEREMIX_BF16 static void pack_b(const float* b, Index stride, Index cols, Index depth,
                                    float* out) {
    constexpr Index width = kCols<float>, side = 4, block = 64;
    const Index pairs = words(depth);
    if constexpr (!Transposed) {
      constexpr Index group = 4;  // panels at a time, so that rows are read in long runs
      const Index padded = (cols + width - 1) / width * width;
      for (Index j = 0; j < cols; j += group * width, out += group * width * pairs)
        for (Index w = 0; w < pairs; ++w) {
          const float* low = b + 2 * w * stride + j;
          const float* high = 2 * w + 1 < depth ? low + stride : nullptr;
          for (Index g = 0; g < group * width && j + g < padded; g += 16) {
            __builtin_prefetch(low + 4 * stride + g);
            __builtin_prefetch(low + 5 * stride + g);
            _mm512_storeu_si512(out + (g / width * pairs + w) * width + g % width,
                                pairs_of_rows(low + g, high ? high + g : nullptr, cols - j - g));
          }
        }
      return;
    }
    alignas(64) float rows[side * block];  // a few columns' pairs, to be turned
    for (Index j = 0; j < cols; j += width, out += width * pairs)
      for (Index w0 = 0; w0 < pairs; w0 += block) {
        const Index count = pairs - w0 < block ? pairs - w0 : block;
        for (Index c = 0; c < width; c += side) {
          for (Index l = 0; l < side; ++l)
            for (Index w = 0; w < count; w += 16) {
              const Index left = j + c + l < cols ? depth - 2 * (w0 + w) : 0;
              _mm512_store_si512(rows + l * block + w,
                                 pairs_of_row(b + (j + c + l) * stride + 2 * (w0 + w), left));
            }
          float* to = out + w0 * width + c;
          Index w = 0;
          for (; w + side <= count; w += side)
            transpose_square(rows + w, block, to + w * width, width);
          for (; w < count; ++w)
            for (Index l = 0; l < side; ++l)
              std::memcpy(to + w * width + l, rows + l * block + w, sizeof(float));
        }
      }
  }

  /// C (Rows x kCols) = or += A B over `pairs`, all of C in registers.
  template <bool ByRows, int Rows = kRows>
  SPHEREMIX_BF16 static void multiply(Index pairs, const float* a, const float* b, float* c,
                                      Index stride, bool add) {
    constexpr Index width = kCols<float>;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      __builtin_prefetch(c + r * stride, 1);
      __builtin_prefetch(c + r * stride + 16, 1);
    }
    __m512 sum[Rows][2];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    for (Index w = 0; w < pairs; ++w) {
      const __m512i b0 = _mm512_loadu_si512(b + w * width),
                    b1 = _mm512_loadu_si512(b + w * width + 16);
      __builtin_prefetch(b + (w + kAhead) * width);
      __builtin_prefetch(b + (w + kAhead) * width + 16);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        int pair;
        std::memcpy(&pair, ByRows ? a + r * kPackStride<float> + w : a + w * kRows + r,
                    sizeof pair);
        const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
        sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, (__m512bh)b0);
        sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, (__m512bh)b1);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
      for (int l = 0; l < 2; ++l) {
        float* to = c + r * stride + 16 * l;
        _mm512_storeu_ps(to, add ? _mm512_add_ps(_mm512_loadu_ps(to), sum[r][l]) : sum[r][l]);
      }
  }

  /// The lower of the two tiles that hold `rows` rows.
  template <bool ByRows>
  SPHEREMIX_BF16 static void tile(Index rows, Index pairs, const float* a, const float* b, float* c,
                                  Index stride, bool add) {
    const auto lower = rows <= kLowRows ? multiply<ByRows, kLowRows> : multiply<ByRows>;
    lower(pairs, a, b, c, stride, add);
  }
};

#undef SPHEREMIX_BF16
#undef SPHEREMIX_BF16_STEP

}  // namespace spheremix::simd::avx512
#endif
