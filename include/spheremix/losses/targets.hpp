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
TargetNumbers<Value> numbers(V&& vector, std::shared_ptr<const void>& owner) {
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
      owner = own;
      return borrow<Value>(*own);
    }
  } else if constexpr (std::is_lvalue_reference_v<V>) {
    return borrow<Value>(vector);
  } else {
    const auto own = std::make_shared<const Plain>(std::forward<V>(vector));
    owner = own;
    return borrow<Value>(*own);
  }
}

inline Targets made(TargetParts parts, TargetOwned owned = {}) {
  parts.code = &pair_code;
  if (owned.part[0] || owned.part[1] || owned.part[2])
    parts.owned = std::make_shared<const TargetOwned>(std::move(owned));
  return Targets(std::move(parts));
}

template <TargetKind Kind, class A, class B>
Targets of_two(A&& a, B&& b) {
  TargetOwned own;
  TargetParts parts{Kind, numbers<Id>(std::forward<A>(a), own.part[0]),
                    numbers<Id>(std::forward<B>(b), own.part[1])};
  return made(std::move(parts), std::move(own));
}

}  // namespace detail

/// Row i of X and row j of Y belong together where a[i] == b[j].
template <class A, class B>
[[nodiscard]] Targets ids(A&& a, B&& b) {
  return detail::of_two<detail::TargetKind::ids>(std::forward<A>(a), std::forward<B>(b));
}

/// Row rows[k] of X has target cols[k] of Y with weight weights[k] >= 0.
template <class Rows, class Cols, class Weights>
[[nodiscard]] Targets pairs(Rows&& rows, Cols&& cols, Weights&& weights) {
  detail::TargetOwned own;
  detail::TargetParts parts{detail::TargetKind::pairs,
                            detail::numbers<detail::Id>(std::forward<Rows>(rows), own.part[0]),
                            detail::numbers<detail::Id>(std::forward<Cols>(cols), own.part[1]),
                            detail::numbers<double>(std::forward<Weights>(weights), own.part[2])};
  return detail::made(std::move(parts), std::move(own));
}

/// The same with weights 1.
template <class Rows, class Cols>
[[nodiscard]] Targets pairs(Rows&& rows, Cols&& cols) {
  return detail::of_two<detail::TargetKind::pairs>(std::forward<Rows>(rows),
                                                   std::forward<Cols>(cols));
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
  detail::TargetOwned owned;
  if constexpr (std::is_lvalue_reference_v<P> && bool(Plain::Flags & Eigen::DirectAccessBit)) {
    parts.soft = of(p);
  } else {
    const auto own = std::make_shared<const RowMatrix<Scalar>>(std::forward<P>(p));
    parts.soft = of(*own);
    owned.part[0] = own;
  }
  return detail::made(std::move(parts), std::move(owned));
}

}  // namespace spheremix::losses
