// The products of product.hpp from operands rounded to bf16, sums in f32.
//
//   C (+)= bf16(A) bf16(B)^T      |error| <= (2^-7 + 2^-16 + (d + 1) 2^-24) |A| |B|^T
//
// (d: depth; to first order in the sums' rounding, which is 2^-24 each; likewise the other two).
// f32 matrices in, f32 C out. With AVX512-BF16 (found at run time; SPHEREMIX_ISA=avx2 or baseline
// turns it off) pairs of bf16 at twice the flops of f32, which takes denormals, operands and sums,
// as 0; elsewhere the f32 tiles on rounded operands, equal up to the rounding of the sums (and to
// denormals) and no faster than f32. Each element of C is a fixed chain of multiply-adds over the
// depth, as in product.hpp.
//
// A header of its own: nobody who does not ask pays for it.
#pragma once

#include "spheremix/pairwise/bf16.hpp"
#include "spheremix/pairwise/bf16_pairs.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::pairwise {

/// Are products of bf16 pairs by AVX512-BF16?
inline bool has_bf16_pairs() {
  return isa() == Isa::avx512 && core::detail::features().avx512_bf16;
}

namespace detail {

inline void product_bf16(core::MatrixView<float> c, core::MatrixView<const float> a,
                         bool a_transposed, core::MatrixView<const float> b, bool b_transposed,
                         bool add, PackBuffers<float>& pack, bool pairs) {
  ProductKernel<float> kernel = SPHEREMIX_DISPATCH(product<float, RoundedToBf16>);
  Index most_depth = kDepth<float>;
#if SPHEREMIX_X86_COPIES
  if (pairs) {
    kernel = simd::avx512::product<float, simd::avx512::Bf16Pairs>;
    most_depth = simd::avx512::Bf16Pairs<simd::avx512::Plain<float>>::kPackDepth;
  }
#endif
  (void)pairs;
  run_product<float>(kernel, most_depth, true, c, a, a_transposed, b, b_transposed, add, pack);
}

}  // namespace detail

/// In place of PlainProducts. Buffers as there: kPackA<float> and kPackB<float> numbers.
struct Bf16Products {
  using Out = core::MatrixView<float>;
  using In = core::MatrixView<const float>;

  /// C (m x n) = A (m x d) B^T (n x d).
  template <class T>
  static void times_transposed(Out c, In a, In b, bool add, PackBuffers<T>& pack) {
    detail::product_bf16(c, a, false, b, true, add, pack, has_bf16_pairs());
  }
  /// C (m x d) = A (m x n) B (n x d).
  template <class T>
  static void times(Out c, In a, In b, bool add, PackBuffers<T>& pack) {
    detail::product_bf16(c, a, false, b, false, add, pack, has_bf16_pairs());
  }
  /// C (n x d) = A^T (m x n) B (m x d).
  template <class T>
  static void transposed_times(Out c, In a, In b, bool add, PackBuffers<T>& pack) {
    detail::product_bf16(c, a, true, b, false, add, pack, has_bf16_pairs());
  }
};

}  // namespace spheremix::pairwise
