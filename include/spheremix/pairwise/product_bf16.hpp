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

template <bool TransposedA>
void product_bf16(bool b_transposed, core::MatrixView<float> c, Index depth,
                  core::MatrixView<const float> a, core::MatrixView<const float> b, bool add,
                  PackBuffers<float>& pack, bool pairs) {
  auto kernel = SPHEREMIX_DISPATCH(product<float, TransposedA, RoundedToBf16>);
  Index most_depth = kDepth<float>;
#if SPHEREMIX_X86_COPIES
  if (pairs) {
    kernel = avx512::product<float, TransposedA, avx512::Bf16Pairs>;
    most_depth = avx512::Bf16Pairs<avx512::Plain<float>>::kPackDepth;
  }
#endif
  (void)pairs;
  run_product<float>(kernel, most_depth, true, b_transposed, c, depth, a, b, add, pack);
}

}  // namespace detail

/// In place of PlainProducts. Buffers as there: kPackA<float> and kPackB<float> numbers.
struct Bf16Products {
  using Out = core::MatrixView<float>;
  using In = core::MatrixView<const float>;

  /// C (m x n) = A (m x d) B^T (n x d).
  template <class T>
  static void times_transposed(Out c, In a, In b, bool add, PackBuffers<T>& pack) {
    detail::product_bf16<false>(true, c, a.cols, a, b, add, pack, has_bf16_pairs());
  }
  /// C (m x d) = A (m x n) B (n x d).
  template <class T>
  static void times(Out c, In a, In b, bool add, PackBuffers<T>& pack) {
    detail::product_bf16<false>(false, c, a.cols, a, b, add, pack, has_bf16_pairs());
  }
  /// C (n x d) = A^T (m x n) B (m x d).
  template <class T>
  static void transposed_times(Out c, In a, In b, bool add, PackBuffers<T>& pack) {
    detail::product_bf16<true>(false, c, a.rows, a, b, add, pack, has_bf16_pairs());
  }
};

}  // namespace spheremix::pairwise
