// Arguments shared by the functions of sphere/ and mixup/: vectors of either orientation as one-row
// views, a parameter that is one number or one a row, and results that go where the caller says.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "spheremix/core/compiled.hpp"
#include "spheremix/core/eigen.hpp"
#include "spheremix/core/lanes.hpp"
#include "spheremix/core/numbers.hpp"

namespace spheremix::sphere::detail {

template <class X>
using Plain = std::remove_cvref_t<X>;

template <class X>
void take_matrix(const Eigen::MatrixBase<X>&);

/// A matrix expression of Eigen's.
template <class X>
concept Matrix = requires(const Plain<X>& x) {
  take_matrix(x);
};

/// Something of Eigen's that can be written to: a matrix, a map, a block (an rvalue block too).
template <class Out>
concept Writable = Matrix<Out> && !std::is_const_v<std::remove_reference_t<Out>> &&
                   bool(Plain<Out>::Flags & Eigen::LvalueBit);

/// A gradient struct given as `out`: neither a matrix nor const.
template <class Out>
concept WritableGradient =
    !Matrix<Out> && std::is_class_v<Plain<Out>> && !std::is_const_v<std::remove_reference_t<Out>>;

template <class T>
core::MatrixView<const T> as_row(const core::InputVector<T>& x) {
  return {x.data(), 1, x.size(), x.size()};
}

template <class A, class B>
void expects_same_size(const char* function, const char* a, const A& x, const char* b, const B& y) {
  core::expects(x.size() == y.size(), function, a, " has ", x.size(), " elements but ", b, " has ",
                y.size());
}

template <class A, class B>
void expects_same_shape(const char* function, const char* a, core::MatrixView<A> x, const char* b,
                        core::MatrixView<B> y) {
  core::expects_same_shape(function, a, x.rows, x.cols, b, y.rows, y.cols);
}

/// How far |x|^2 may be from 1 where points of the sphere are wanted.
inline constexpr double kUnitWithin = 1e-3;

/// True for a unit vector, and for one with NaN or infinity, which the maps hand on as NaN.
template <class T>
bool unit_or_undefined(const T* x, Index d) {
  if (std::abs(core::row_product(x, x, d) - 1) <= kUnitWithin) return true;
  for (Index k = 0; k < d; ++k)
    if (!std::isfinite(x[k])) return true;
  return false;
}

/// |x| of finite numbers, also where its square leaves the range of double.
template <class T>
double length_of(const T* x, Index d) {
  double top = 0, square = 0;
  for (Index k = 0; k < d; ++k) top = (std::max)(top, std::abs(double(x[k])));
  if (top == 0) return 0;
  for (Index k = 0; k < d; ++k) square += (double(x[k]) / top) * (double(x[k]) / top);
  return top * std::sqrt(square);
}

/// Throws unless x is a point of the sphere: it is never renormalised.
template <class T>
void expects_unit(const char* function, const char* name, const core::InputVector<T>& x) {
  if (!unit_or_undefined(x.data(), x.size())) [[unlikely]]
    core::fail(function, ": ", name, " has length ", length_of(x.data(), x.size()),
               ", not 1: it is no point of the sphere");
}

/// The same of a row of a batch.
template <class T>
void expects_unit_row(const char* function, const char* name, Index row, const T* x, Index d) {
  if (!unit_or_undefined(x, d)) [[unlikely]]
    core::fail(function, ": row ", row, " of ", name, " has length ", length_of(x, d),
               ", not 1: it is no point of the sphere");
}

/// Where a vector result goes: `out` itself where its elements are next to each other, else a
/// temporary. A resizable vector gets the size, a resizable matrix gets the shape rows x cols, any
/// other must have it. One that holds another number of elements is replaced by commit() and not
/// before: an input may be a part of it.
template <class Out>
class OutputVector {
 public:
  using T = typename Out::Scalar;

  OutputVector(const char* function, const char* name, Out& out, Index rows, Index cols)
      : out_(out), rows_(rows), cols_(cols) {
    const Index size = rows * cols;
    if constexpr (resizable) {
      replaces_ = out.size() > 0 && out.size() != size;
      if (!replaces_) give_shape();
    }
    core::expects(
        replaces_ || (out.size() == size && (out.rows() == 1 || out.cols() == 1 || size == 0)),
        function, name, " is ", out.rows(), " x ", out.cols(), " but the result has ", size,
        " elements");
    if constexpr (bool(Out::Flags & Eigen::DirectAccessBit)) {
      const bool along_inner = (out.rows() == 1) == bool(Out::IsRowMajor);
      if (!replaces_ && (size <= 1 || (along_inner ? out.innerStride() : out.outerStride()) == 1)) {
        data_ = out.data();
        size_ = size;
        return;
      }
    }
    temporary_.resize(size);
    data_ = temporary_.data();
    size_ = size;
  }
  OutputVector(const OutputVector&) = delete;
  OutputVector& operator=(const OutputVector&) = delete;

  /// The result as one row.
  core::MatrixView<T> row() const { return {data_, 1, size_, size_}; }
  T* data() const { return data_; }

  /// Call once the result is complete.
  void commit() {
    if constexpr (resizable) {
      if (replaces_) give_shape();
    }
    if (temporary_.size() == 0) return;
    if (out_.cols() == 1)
      for (Index i = 0; i < size_; ++i) out_(i, 0) = temporary_[i];
    else
      for (Index i = 0; i < size_; ++i) out_(0, i) = temporary_[i];
  }

 private:
  static constexpr bool plain = std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>;
  static constexpr bool any_shape =
      Out::RowsAtCompileTime == Eigen::Dynamic && Out::ColsAtCompileTime == Eigen::Dynamic;
  static constexpr bool resizable = plain && Out::SizeAtCompileTime == Eigen::Dynamic &&
                                    (any_shape || Out::IsVectorAtCompileTime);

  void give_shape() {
    if constexpr (any_shape)
      out_.resize(rows_, cols_);
    else
      out_.resize(rows_ * cols_);
  }

  Out& out_;
  Index rows_, cols_;
  bool replaces_ = false;
  Vector<T> temporary_;
  T* data_ = nullptr;
  Index size_ = 0;
};

/// One number for every row, or one a row.
template <class T>
struct RowParameter {
  const T* each = nullptr;
  T one = 0;
  T operator[](Index i) const { return each ? each[i] : one; }
};

/// A parameter for all rows, checked to be finite (and within [low, high]).
template <class T>
RowParameter<T> one_for_all(const char* function, const char* name, double value,
                            double low = -core::infinity<double>,
                            double high = core::infinity<double>) {
  core::expects(std::isfinite(T(value)) && value >= low && value <= high, function, name, " is ",
                value, std::isfinite(low) ? ", outside [0, 1]" : ", not finite");
  return {nullptr, T(value)};
}

/// A parameter a row, `rows` of them, checked like one_for_all.
template <class T>
RowParameter<T> one_a_row(const char* function, const char* name,
                          const core::InputNumbers<T>& values, Index rows,
                          T low = -core::infinity<T>, T high = core::infinity<T>) {
  core::expects_size(function, name, values.size(), rows);
  for (Index i = 0; i < rows; ++i)
    core::expects(std::isfinite(values[i]) && values[i] >= low && values[i] <= high, function, name,
                  "[", i, "] is ", values[i],
                  std::isfinite(low) ? ", outside [0, 1]" : ", not finite");
  return {values.data(), T(0)};
}

}  // namespace spheremix::sphere::detail
