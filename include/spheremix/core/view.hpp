// A borrowed row-major matrix: pointer, rows, columns and the distance between rows. What every
// engine below the public functions works on, on host and device alike.
#pragma once

#include <type_traits>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::core {

/// Element (i, j) is data[i * stride + j]; T is const for inputs. stride >= cols.
template <class T>
struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;  ///< elements from one row to the next

  SPHEREMIX_HD T* row(Index i) const { return data + i * stride; }
  SPHEREMIX_HD T& operator()(Index i, Index j) const { return data[i * stride + j]; }

  /// Rows [first, first + count).
  SPHEREMIX_HD MatrixView middle_rows(Index first, Index count) const {
    return {data + first * stride, count, cols, stride};
  }

  SPHEREMIX_HD void fill(T value) const {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) (*this)(i, j) = value;
  }

  /// A view to read from. A template, because nvcc warns about a conversion of MatrixView<const T>
  /// to itself.
  template <class U>
  requires(std::is_same_v<U, T> && !std::is_const_v<U>) SPHEREMIX_HD operator MatrixView<const U>()
      const {
    return {data, rows, cols, stride};
  }
};

/// NumberBeside, case by case.
template <class Matrix, class Number = double>
struct NumberBesideOf {
  using type = Number;
};
template <class T, class Number>
struct NumberBesideOf<MatrixView<T>, Number> {
  using type = Number*;
};
/// A number that stands beside a Matrix in a result: itself; beside a view, in the device's results,
/// where it is, or null where nobody wants it.
template <class Matrix, class Number = double>
using NumberBeside = typename NumberBesideOf<Matrix, Number>::type;

/// True when some element belongs to both. Exact for equal strides (two column blocks of one matrix
/// do not overlap), else by the ranges of memory spanned.
template <class A, class B>
bool overlap(MatrixView<A> a, MatrixView<B> b) {
  if (a.rows == 0 || a.cols == 0 || b.rows == 0 || b.cols == 0) return false;
  const auto* a0 = reinterpret_cast<const char*>(a.data);
  const auto* b0 = reinterpret_cast<const char*>(b.data);
  const auto* a1 = reinterpret_cast<const char*>(a.row(a.rows - 1) + a.cols);
  const auto* b1 = reinterpret_cast<const char*>(b.row(b.rows - 1) + b.cols);
  if (!(a0 < b1 && b0 < a1)) return false;
  if constexpr (std::is_same_v<std::remove_const_t<A>, std::remove_const_t<B>>) {
    if (a.stride == b.stride && a.stride > 0) {
      Index offset =
          (b.data - a.data) % a.stride;  // column of b's first element, counted in a's rows
      if (offset < 0) offset += a.stride;
      return offset < a.cols || offset + b.cols > a.stride;
    }
  }
  return true;
}

/// True when both are the same elements in the same places (in place is then right for element-wise
/// maps).
template <class A, class B>
bool same_place(MatrixView<A> a, MatrixView<B> b) {
  return static_cast<const void*>(a.data) == static_cast<const void*>(b.data) &&
         a.stride == b.stride && a.rows == b.rows && a.cols == b.cols;
}

}  // namespace spheremix::core
