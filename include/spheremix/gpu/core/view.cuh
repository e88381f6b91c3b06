// Device matrices as the backend takes them: pointer, rows, columns, leading dimension in elements
// (at least the columns), 64 bits each. Any pointer alignment; rows on 16-byte boundaries move 16
// bytes at a time.
#pragma once

#include <cstdint>
#include <type_traits>

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/core/status.cuh"
#include "spheremix/gpu/core/storage.cuh"

namespace spheremix::gpu {

template <class T>
using View = core::MatrixView<T>;

/// Where the gradient of rows of T goes.
template <class T>
using Places = core::MatrixView<Arithmetic<T>>;

/// An input next to an argument that fixes T: View<T> and View<const T> both convert.
template <class T>
using Input = std::type_identity_t<core::MatrixView<const T>>;

/// One number for all rows, or one a row in device memory.
template <class A>
struct RowScalar {
  const A* each = nullptr;
  A all = 0;

  RowScalar(double value) : all(A(value)) {}
  RowScalar(const A* values) : each(values) {}

  SPHEREMIX_HD A operator()(Index row) const { return each ? each[row] : all; }
};

namespace detail {

/// Data there if there are elements, and rows that do not overlap.
template <class T>
bool sound(View<T> m) {
  return m.rows >= 0 && m.cols >= 0 && (m.rows == 0 || m.cols == 0 || m.data != nullptr) &&
         (m.rows <= 1 ? m.stride >= 0 : m.stride >= m.cols);
}

template <class A, class B>
bool same_shape(View<A> a, View<B> b) {
  return a.rows == b.rows && a.cols == b.cols;
}

/// Every row starts on a 16-byte boundary.
template <class T>
bool rows_on_16_bytes(View<T> m) {
  return reinterpret_cast<std::uintptr_t>(m.data) % 16 == 0 &&
         (m.rows <= 1 || m.stride * Index(sizeof(T)) % 16 == 0);
}

/// Shares memory with `in` other than element for element in the same place.
template <class A, class B>
bool partly_overlaps(View<A> out, View<B> in) {
  return core::overlap(out, in) && !core::same_place(out, in);
}

}  // namespace detail
}  // namespace spheremix::gpu
