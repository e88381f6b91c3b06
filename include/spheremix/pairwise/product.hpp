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

#include "spheremix/core/compiled.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/core/workspace.hpp"
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
  bool packed_rounded = false;  ///< by product_bf16.hpp
};

template <class T>
PackBuffers<T> take_pack(core::Workspace::Frame& frame) {
  T* const a = frame.take<T>(std::size_t(kPackA<T>));
  T* const b = frame.take<T>(std::size_t(kPackB<T>));
  return {a, b};
}

namespace detail {

/// A kernel of isa_product.inc.
template <class T>
using ProductKernel = void (*)(core::MatrixView<T> c, Index depth, const T* a, Index a_stride,
                               bool a_transposed, const T* b, Index b_stride, bool b_transposed,
                               bool add, T* a_pack, T* b_pack, bool b_is_packed);

/// Runs the kernel, which packs up to most_depth values of a row at a time, rounded or not.
template <class T>
void run_product(ProductKernel<T> kernel, Index most_depth, bool rounded, core::MatrixView<T> c,
                 core::MatrixView<const T> a, bool a_transposed, core::MatrixView<const T> b,
                 bool b_transposed, bool add, PackBuffers<T>& pack) {
  const Index depth = a_transposed ? a.rows : a.cols;
  const Index wide = b_transposed ? b.rows : c.cols;
  const bool one_block =
      (b_transposed || pack.keep_rows) && depth <= most_depth && wide <= kPackCols;
  const bool packed = one_block && pack.packed == b.data && pack.packed_rows == b.rows &&
                      pack.packed_cols == wide && pack.packed_rounded == rounded &&
                      pack.packed_transposed == b_transposed;
  kernel(c, depth, a.data, a.stride, a_transposed, b.data, b.stride, b_transposed, add, pack.a,
         pack.b, packed);
  pack.packed = one_block ? b.data : nullptr;
  pack.packed_rows = b.rows;
  pack.packed_cols = wide;
  pack.packed_transposed = b_transposed;
  pack.packed_rounded = rounded;
}

template <class T>
void product(core::MatrixView<T> c, core::MatrixView<const T> a, bool a_transposed,
             core::MatrixView<const T> b, bool b_transposed, bool add, PackBuffers<T>& pack) {
  run_product<T>(SPHEREMIX_DISPATCH(product<T>), kDepth<T>, false, c, a, a_transposed, b,
                 b_transposed, add, pack);
}

}  // namespace detail

/// C (m x n) = A (m x d) B^T (n x d).
template <class T>
void times_transposed(core::MatrixView<T> c, core::MatrixView<const T> a,
                      core::MatrixView<const T> b, bool add, PackBuffers<T>& pack) {
  detail::product<T>(c, a, false, b, true, add, pack);
}

/// C (m x d) = A (m x n) B (n x d).
template <class T>
void times(core::MatrixView<T> c, core::MatrixView<const T> a, core::MatrixView<const T> b,
           bool add, PackBuffers<T>& pack) {
  detail::product<T>(c, a, false, b, false, add, pack);
}

/// C (n x d) = A^T (m x n) B (m x d).
template <class T>
void transposed_times(core::MatrixView<T> c, core::MatrixView<const T> a,
                      core::MatrixView<const T> b, bool add, PackBuffers<T>& pack) {
  detail::product<T>(c, a, true, b, false, add, pack);
}

/// The three as a type, for sweeps whose products may be others (product_bf16.hpp).
struct PlainProducts {
  template <class T>
  using Out = core::MatrixView<T>;
  template <class T>
  using In = core::MatrixView<const T>;

  template <class T>
  static void times_transposed(Out<T> c, In<T> a, In<T> b, bool add, PackBuffers<T>& pack) {
    pairwise::times_transposed<T>(c, a, b, add, pack);
  }
  template <class T>
  static void times(Out<T> c, In<T> a, In<T> b, bool add, PackBuffers<T>& pack) {
    pairwise::times<T>(c, a, b, add, pack);
  }
  template <class T>
  static void transposed_times(Out<T> c, In<T> a, In<T> b, bool add, PackBuffers<T>& pack) {
    pairwise::transposed_times<T>(c, a, b, add, pack);
  }
};

}  // namespace spheremix::pairwise

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::pairwise::detail {
#define SPHEREMIX_PRODUCT(T)                                                                    \
  void product(core::MatrixView<T>, core::MatrixView<const T>, bool, core::MatrixView<const T>, \
               bool, bool, PackBuffers<T>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_PRODUCT)
}  // namespace spheremix::pairwise::detail
