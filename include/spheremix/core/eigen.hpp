// The library's matrix types, and the way from Eigen expressions to the views that the engines work
// on (InputRows) and back (OutputRows).
#pragma once

#include <Eigen/Core>
#include <type_traits>
#include <utility>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix {

/// A batch of embeddings: one row each, row-major.
template <class T>
using RowMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A column of numbers.
template <class T>
using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

namespace core {

/// float and double: what rows are made of.
template <class T>
inline constexpr bool is_real = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// 16-bit rows: losses that take them compute in float and give gradients in float.
template <class T>
inline constexpr bool is_half =
    std::is_same_v<T, Eigen::half> || std::is_same_v<T, Eigen::bfloat16>;

/// The scalar of an argument, float or double. Of anything else float: InputRows and InputVector say
/// in one sentence what is wrong, and nothing else has to.
template <class X>
using Real = std::conditional_t<is_real<typename X::Scalar>, typename X::Scalar, float>;

/// A matrix of an argument's shape, of Real scalars.
template <class X>
using RealPlain =
    std::conditional_t<is_real<typename X::Scalar>, typename X::PlainObject, RowMatrix<float>>;

/// Scalar of an argument where T is wanted.
template <class Scalar, class T>
constexpr void expects_scalar() {
  static_assert(is_real<Scalar> || !is_real<T>,
                "spheremix: rows, vectors and embeddings are of float or double; convert by "
                ".cast<float>() or .cast<double>()");
  static_assert(std::is_same_v<Scalar, T> || !is_real<Scalar>,
                "spheremix: arguments need one scalar type; convert by .cast<...>()");
}

/// Results go to matrices of the arguments' scalar type.
template <class T, class... Out>
constexpr void expects_out() {
  static_assert((std::is_same_v<typename Out::Scalar, T> && ...),
                "spheremix: out needs the scalar type of the arguments");
}

/// A matrix of the library's own as rows.
template <class T>
MatrixView<const T> rows_of(const RowMatrix<T>& x) {
  return {x.data(), x.rows(), x.cols(), x.cols()};
}

/// A row-major expression with contiguous rows as it is, or what any other comes to.
template <class T>
using BorrowedRows = Eigen::Ref<const RowMatrix<T>, 0, Eigen::OuterStride<>>;

/// Any Eigen expression as rows in memory: a row-major expression with contiguous rows is borrowed
/// as it is, anything else is evaluated into a temporary. Lives as long as the call.
template <class T>
class InputRows {
 public:
  template <class X>
  explicit InputRows(const Eigen::MatrixBase<X>& x) : ref_(of_type(x.derived())) {
    expects_scalar<typename X::Scalar, T>();
  }

  MatrixView<const T> view() const {
    return {ref_.data(), ref_.rows(), ref_.cols(), ref_.outerStride()};
  }

 private:
  /// x, or where it does not fit nothing, for want of a second error.
  template <class X>
  static decltype(auto) of_type(const X& x) {
    if constexpr (std::is_same_v<typename X::Scalar, T>)
      return (x);
    else
      return RowMatrix<T>();
  }

  BorrowedRows<T> ref_;
};

/// A vector argument, row or column, as contiguous numbers.
template <class T>
class InputVector {
 public:
  template <class X>
  explicit InputVector(const Eigen::MatrixBase<X>& x, const char* function = "spheremix",
                       const char* name = "a vector") {
    expects_scalar<typename X::Scalar, T>();
    expects(x.rows() == 1 || x.cols() == 1 || x.size() == 0, function, name, " is ", x.rows(),
            " x ", x.cols(), ", not a vector");
    if constexpr (std::is_same_v<typename X::Scalar, T>) take(x.derived());
  }
  InputVector(const InputVector&) = delete;
  InputVector& operator=(const InputVector&) = delete;

  const T* data() const { return data_; }
  Index size() const { return size_; }
  T operator[](Index i) const { return data_[i]; }

 private:
  template <class X>
  void take(const X& x) {
    constexpr bool direct = bool(X::Flags & Eigen::DirectAccessBit);
    if constexpr (direct) {
      const Index step = x.rows() == 1 ? step_along_row(x) : step_along_column(x);
      if (step == 1 || x.size() <= 1) {
        data_ = x.data();
        size_ = x.size();
        return;
      }
    }
    copy_.resize(x.size());
    if (x.rows() == 1 && x.cols() != 1)
      copy_ = x.transpose();
    else if (x.size() > 0)
      copy_ = x;
    data_ = copy_.data();
    size_ = copy_.size();
  }
  template <class X>
  static Index step_along_row(const X& x) {
    return X::IsRowMajor ? x.innerStride() : x.outerStride();
  }
  template <class X>
  static Index step_along_column(const X& x) {
    return X::IsRowMajor ? x.outerStride() : x.innerStride();
  }

  const T* data_ = nullptr;
  Index size_ = 0;
  Eigen::Matrix<T, Eigen::Dynamic, 1> copy_;
};

/// Where a matrix result goes: straight into `out` when it is row-major with contiguous rows, else
/// into a temporary that commit() copies over. A resizable `out` gets the shape; any other must
/// have it already. One that holds numbers and has another shape is replaced by commit() and not
/// before: an input may be a block of it.
template <class Out>
class OutputRows {
 public:
  using T = typename Out::Scalar;

  OutputRows(const char* function, const char* name, Out& out, Index rows, Index cols) : out_(out) {
    if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>) {
      const bool fits = (Out::RowsAtCompileTime == Eigen::Dynamic || out.rows() == rows) &&
                        (Out::ColsAtCompileTime == Eigen::Dynamic || out.cols() == cols);
      if (fits && (out.rows() != rows || out.cols() != cols)) {
        replaces_ = out.size() > 0;
        if (!replaces_) out.resize(rows, cols);
      }
    }
    expects(replaces_ || (out.rows() == rows && out.cols() == cols), function, name, " is ",
            out.rows(), " x ", out.cols(), " but the result is ", rows, " x ", cols);
    if constexpr (direct) {
      if (!replaces_ && (out.innerStride() == 1 || cols <= 1)) {
        // A column stored as such goes from row to row by its inner stride.
        view_ = {out.data(), rows, cols, Out::IsRowMajor ? out.outerStride() : out.innerStride()};
        return;
      }
    }
    temporary_.resize(rows, cols);
    view_ = {temporary_.data(), rows, cols, cols};
  }
  OutputRows(const OutputRows&) = delete;
  OutputRows& operator=(const OutputRows&) = delete;

  MatrixView<T> view() const { return view_; }

  /// Call once the result is complete.
  void commit() {
    if constexpr (std::is_same_v<Out, RowMatrix<T>>) {
      if (replaces_) out_.swap(temporary_);
    } else {
      if (replaces_ || temporary_.size() > 0) out_ = temporary_;
    }
  }

 private:
  static constexpr bool direct = bool(Out::Flags & Eigen::DirectAccessBit) &&
                                 (bool(Out::IsRowMajor) || Out::ColsAtCompileTime == 1);

  Out& out_;
  bool replaces_ = false;
  RowMatrix<T> temporary_;
  MatrixView<T> view_;
};

/// Throws when `out` shares memory with `in` other than in the very same place.
template <class A, class B>
void expects_in_place_or_apart(const char* function, MatrixView<A> out, MatrixView<B> in) {
  expects(!overlap(out, in) || same_place(out, in), function,
          "the output overlaps an input without being the same matrix");
}

/// Throws when `out` shares memory with `in`.
template <class A, class B>
void expects_apart(const char* function, MatrixView<A> out, MatrixView<B> in) {
  expects(!overlap(out, in), function, "the output overlaps an input");
}

}  // namespace core
}  // namespace spheremix
