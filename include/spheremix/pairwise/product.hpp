// Matrix products of the pairwise engine: one thread, strided row-major blocks, packing buffers
// from outside.
//
//   times_transposed   C = A B^T    cosines of two batches of rows
//   times              C = A B      dX = G Y
//   transposed_times   C = A^T B    dY = G^T X
//
// With add, C += instead. Each element of C is a fixed chain of multiply-adds over the depth, so
// its bits do not depend on how C is cut into blocks or which thread computes it.
#pragma once

#include "spheremix/core/view.hpp"
#include "spheremix/pairwise/isa.hpp"

namespace spheremix::pairwise {

/// A thread's packing buffers: kPackA<T> and kPackB<T> values. times_transposed remembers which B
/// it packed last, so a loop over blocks of A against one block of B packs B once: B must not
/// change meanwhile. With keep_rows the other two remember theirs as well.
template <class T>
struct PackBuffers {
  T* a;
  T* b;
  const T* packed = nullptr;
  Index packed_rows = 0;
  Index packed_cols = 0;
  bool packed_transposed = false;
  bool keep_rows = false;
};

namespace detail {

template <class T, bool TransposedA, bool TransposedB>
void product(core::MatrixView<T> c, Index depth, core::MatrixView<const T> a,
             core::MatrixView<const T> b, bool add, PackBuffers<T>& pack) {
  const Index wide = TransposedB ? b.rows : c.cols;
  const bool one_block =
      (TransposedB || pack.keep_rows) && depth <= kDepth<T> && wide <= kPackCols;
  const bool packed = one_block && pack.packed == b.data && pack.packed_rows == b.rows &&
                      pack.packed_cols == wide && pack.packed_transposed == TransposedB;
  SPHEREMIX_DISPATCH(product<T, TransposedA, TransposedB>)
  (c, depth, a.data, a.stride, b.data, b.stride, add, pack.a, pack.b, packed);
  pack.packed = one_block ? b.data : nullptr;
  pack.packed_rows = b.rows;
  pack.packed_cols = wide;
  pack.packed_transposed = TransposedB;
}

}  // namespace detail

/// C (m x n) = A (m x d) B^T (n x d).
template <class T>
void times_transposed(core::MatrixView<T> c, core::MatrixView<const T> a,
                      core::MatrixView<const T> b, bool add, PackBuffers<T>& pack) {
  detail::product<T, false, true>(c, a.cols, a, b, add, pack);
}

/// C (m x d) = A (m x n) B (n x d).
template <class T>
void times(core::MatrixView<T> c, core::MatrixView<const T> a, core::MatrixView<const T> b,
           bool add, PackBuffers<T>& pack) {
  detail::product<T, false, false>(c, a.cols, a, b, add, pack);
}

/// C (n x d) = A^T (m x n) B (m x d).
template <class T>
void transposed_times(core::MatrixView<T> c, core::MatrixView<const T> a,
                      core::MatrixView<const T> b, bool add, PackBuffers<T>& pack) {
  detail::product<T, true, false>(c, a.rows, a, b, add, pack);
}

}  // namespace spheremix::pairwise
