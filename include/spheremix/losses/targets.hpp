// What each row of a batch is to find, for info_nce, clip and siglip: meaning and formula in
// formula/targets.hpp.
//
//   ids(a, b)                     equal ids are targets of each other, with equal weights
//   pairs(rows, cols[, weights])  a list of targets; a pair named twice adds
//   soft(P)                       probabilities, read in place
//
//   clip(images, captions, ids(image_of_row, image_of_caption), {.temperature = 0.05})
//
// Shapes     a: one integer a row of X, b: one a row of Y, of any type, Eigen vector or range; rows,
//            cols, weights: of one length; P: n x m, float or double.
// Memory     lvalues are borrowed and must outlive the call, temporaries are owned. A call takes
//            O(n + m) for ids, O(entries) for pairs, O(n + m) for soft.
// Errors     of shapes, of rows and columns outside the table, of weights that are negative or not
//            finite: thrown by the loss, which begins with its name.
#pragma once

#include <concepts>
#include <iterator>
#include <type_traits>

#include "spheremix/core/eigen.hpp"
#include "spheremix/losses/detail/pair_code.hpp"

namespace spheremix::losses {

namespace detail {

template <class V>
concept EigenVector =
    std::is_base_of_v<Eigen::EigenBase<std::remove_cvref_t<V>>, std::remove_cvref_t<V>>;

/// std::vector, std::array, std::span, an array.
template <class V>
concept Contiguous = !EigenVector<V> && requires(const V& v) {
  std::data(v);
  std::size(v);
};

template <class Value, class Scalar>
Value read_number(const void* data, Index at) {
  const Scalar x = static_cast<const Scalar*>(data)[at];
  if constexpr (std::is_same_v<Value, Id>) {
    static_assert(std::is_integral_v<Scalar> && sizeof(Scalar) <= 8,
                  "spheremix: ids, rows and columns are integers");
    if constexpr (std::is_signed_v<Scalar>)
      return {x < 0, std::uint64_t(std::int64_t(x))};
    else
      return {false, std::uint64_t(x)};
  } else {
    static_assert(std::is_arithmetic_v<Scalar>, "spheremix: weights are numbers");
    return Value(x);
  }
}

/// Elements of a vector that outlives the call.
template <class Value, class V>
TargetNumbers<Value> borrow(const V& v) {
  if constexpr (EigenVector<V>) {
    const Index step = v.rows() == 1 ? (V::IsRowMajor ? v.innerStride() : v.outerStride())
                                     : (V::IsRowMajor ? v.outerStride() : v.innerStride());
    return {v.data(), v.size(), step, read_number<Value, typename V::Scalar>};
  } else {
    using Scalar = std::remove_cvref_t<decltype(*std::data(v))>;
    return {std::data(v), Index(std::size(v)), 1, read_number<Value, Scalar>};
  }
}

template <class Value, class V>
TargetNumbers<Value> numbers(V&& vector) {
  using Plain = std::remove_cvref_t<V>;
  static_assert(EigenVector<V> || Contiguous<Plain>,
                "spheremix: ids, rows, columns and weights are vectors: Eigen's, std::vector, "
                "std::array, std::span");
  if constexpr (EigenVector<V>) {
    static_assert(Plain::IsVectorAtCompileTime || Plain::RowsAtCompileTime == Eigen::Dynamic,
                  "spheremix: ids, rows, columns and weights are vectors, not matrices");
    if constexpr (std::is_lvalue_reference_v<V> && bool(Plain::Flags & Eigen::DirectAccessBit)) {
      return borrow<Value>(vector);
    } else {
      const auto own = std::make_shared<const Vector<typename Plain::Scalar>>(
          vector.rows() == 1 ? Vector<typename Plain::Scalar>(vector.transpose().eval())
                             : Vector<typename Plain::Scalar>(vector));
      TargetNumbers<Value> n = borrow<Value>(*own);
      n.owner = own;
      return n;
    }
  } else if constexpr (std::is_lvalue_reference_v<V>) {
    return borrow<Value>(vector);
  } else {
    const auto own = std::make_shared<const Plain>(std::forward<V>(vector));
    TargetNumbers<Value> n = borrow<Value>(*own);
    n.owner = own;
    return n;
  }
}

inline Targets made(TargetParts parts) {
  parts.code = &pair_code;
  return Targets(std::move(parts));
}

}  // namespace detail

/// Row i of X and row j of Y belong together where a[i] == b[j].
template <class A, class B>
[[nodiscard]] Targets ids(A&& a, B&& b) {
  return detail::made({detail::TargetKind::ids, detail::numbers<detail::Id>(std::forward<A>(a)),
                       detail::numbers<detail::Id>(std::forward<B>(b))});
}

/// Row rows[k] of X has target cols[k] of Y with weight weights[k] >= 0.
template <class Rows, class Cols, class Weights>
[[nodiscard]] Targets pairs(Rows&& rows, Cols&& cols, Weights&& weights) {
  return detail::made({detail::TargetKind::pairs,
                       detail::numbers<detail::Id>(std::forward<Rows>(rows)),
                       detail::numbers<detail::Id>(std::forward<Cols>(cols)),
                       detail::numbers<double>(std::forward<Weights>(weights))});
}

/// The same with weights 1.
template <class Rows, class Cols>
[[nodiscard]] Targets pairs(Rows&& rows, Cols&& cols) {
  return detail::made({detail::TargetKind::pairs,
                       detail::numbers<detail::Id>(std::forward<Rows>(rows)),
                       detail::numbers<detail::Id>(std::forward<Cols>(cols))});
}

/// Weights P_ij >= 0 of all pairs. A matrix with its numbers in memory is read there, rows or columns
/// first.
template <class P>
[[nodiscard]] Targets soft(P&& p) {
  using Plain = std::remove_cvref_t<P>;
  static_assert(detail::EigenVector<P>, "spheremix: soft targets are an Eigen matrix");
  using Scalar = typename Plain::Scalar;
  static_assert(core::is_real<Scalar>, "spheremix: soft targets are float or double");
  const auto of = [](const auto& m) {
    using M = std::remove_cvref_t<decltype(m)>;
    const Index inner = m.innerStride(), outer = m.outerStride();
    return detail::DenseNumbers{m.data(),
                                m.rows(),
                                m.cols(),
                                M::IsRowMajor ? outer : inner,
                                M::IsRowMajor ? inner : outer,
                                std::is_same_v<Scalar, float>};
  };
  detail::TargetParts parts{detail::TargetKind::soft};
  if constexpr (std::is_lvalue_reference_v<P> && bool(Plain::Flags & Eigen::DirectAccessBit)) {
    parts.soft = of(p);
  } else {
    const auto own = std::make_shared<const RowMatrix<Scalar>>(std::forward<P>(p));
    parts.soft = of(*own);
    parts.soft.owner = own;
  }
  return detail::made(std::move(parts));
}

}  // namespace spheremix::losses
