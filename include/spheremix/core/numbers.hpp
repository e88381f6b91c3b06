// Numbers as an argument, whatever holds them: labels, weights, one lambda a row.
//
//   double f(const core::Numbers& labels);
//   f(std::vector<int>{...});  f(std::span<const float>(...));  f(y.row(2));  f({0, 0, 1});
//
// An Eigen vector or matrix of any kind, or a std::vector, std::span, std::array or the like, of any
// integer or floating type. Values are handed out exactly (core/exact_number.hpp): where classes are
// meant, ids above 2^53 stay apart; where numbers are meant, differences are right.
//
// Borrowed where the numbers lie in memory, for as long as the call lasts; an Eigen expression that
// has to be computed is computed once.
#pragma once

#include <cmath>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <ostream>
#include <vector>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/exact_number.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::core {

/// As it was written: an integer with all its digits.
inline std::ostream& operator<<(std::ostream& to, ExactNumber x) {
  const bool wide = std::abs(x.high) >= 0x1p53 && std::abs(x.high) <= 0x1p64;
  if (!wide || (x.low == 0 && std::abs(x.high) == 0x1p64) || x.low != std::floor(x.low))
    return to << x.high + x.low;
  const bool negative = x.high < 0;
  const double high = std::abs(x.high), low = negative ? -x.low : x.low;
  const std::uint64_t whole = high < 0x1p64 ? std::uint64_t(high) : 0;
  return to << (negative ? "-" : "")
            << (low < 0 ? whole - std::uint64_t(-low) : whole + std::uint64_t(low));
}

/// Labels, weights or ids as an argument: any vector of any integer or floating type.
class Numbers {
 public:
  template <class V>
  Numbers(const V& values) {
    using Element = element<V>;
    static_assert(std::is_arithmetic_v<Element>,
                  "spheremix: labels and weights are vectors (of Eigen, std::vector, std::span or "
                  "the like) of integers or floating-point numbers");
    if constexpr (std::is_arithmetic_v<Element>) {
      resolution_ =
          std::is_integral_v<Element> ? 0 : double(std::numeric_limits<Element>::epsilon());
      if constexpr (is_matrix<V>) {
        rows_ = values.rows();
        cols_ = values.cols();
        if constexpr (requires { values.data(); })
          borrow_matrix(values);
        else
          own(new typename V::PlainObject(values));
      } else {
        rows_ = Index(std::size(values));
        borrow_list(values);
      }
    }
  }
  template <class N>
  Numbers(std::initializer_list<N> values) : Numbers(new std::vector<N>(values)) {}
  /// Exact numbers that outlive this, of a type with that resolution.
  Numbers(const std::vector<ExactNumber>& values, double resolution)
      : rows_(Index(values.size())),
        resolution_(resolution),
        from_(values.data()),
        read_([](const void* from, Index i, Index j) {
          return static_cast<const ExactNumber*>(from)[i + j];
        }) {}
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }

  ExactNumber operator()(Index i, Index j) const { return read_(from_, i, j); }
  /// Of a vector, row or column.
  ExactNumber operator[](Index i) const {
    return rows_ == 1 ? read_(from_, 0, i) : read_(from_, i, 0);
  }
  /// eps of the type they come from, 0 for integers: how far rounding may have moved a value.
  double resolution() const { return resolution_; }

  /// The numbers themselves, where they are Ts one after another that outlive this object.
  template <class T>
  const T* in_memory() const {
    return std::is_same_v<T, float>    ? static_cast<const T*>(floats_)
           : std::is_same_v<T, double> ? static_cast<const T*>(doubles_)
                                       : nullptr;
  }

  /// Throws unless they are a vector of n numbers, none NaN or infinite.
  void expects_vector(const char* function, const char* name, Index n) const {
    expects(rows_ == 1 || cols_ == 1 || size() == 0, function, name, rows_ == 1 ? " is " : " are ",
            rows_, " x ", cols_, ", not a vector");
    expects_size(function, name, size(), n);
    for (Index i = 0; i < n; ++i)
      expects((*this)[i].finite(), function, name, "[", i, "] is ", (*this)[i],
              ", not a finite number");
  }
  /// Throws unless they are n whole numbers in [0, limit).
  void expects_classes(const char* function, const char* name, Index n, Index limit) const {
    expects_vector(function, name, n);
    for (Index i = 0; i < n; ++i) expects_class(function, limit, (*this)[i], name, "[", i, "]");
  }
  /// The same of a matrix.
  void expects_class_matrix(const char* function, const char* name, Index limit) const {
    for (Index i = 0; i < rows_; ++i)
      for (Index j = 0; j < cols_; ++j)
        expects_class(function, limit, (*this)(i, j), name, "(", i, ", ", j, ")");
  }
  /// Entry i as a row number or a class, once checked.
  Index index(Index i) const { return Index((*this)[i].high); }
  Index index(Index i, Index j) const { return Index((*this)(i, j).high); }
  std::vector<Index> indices() const {
    std::vector<Index> all(static_cast<std::size_t>(size()));
    for (Index i = 0; i < size(); ++i) all[std::size_t(i)] = index(i);
    return all;
  }

 private:
  template <class V>
  static constexpr bool is_matrix = requires(const V& v) {
    v.rows();
    v.cols();
    typename V::Scalar;
  };
  template <class V>
  static auto element_of(const V& v) {
    if constexpr (is_matrix<V>)
      return typename V::Scalar{};
    else if constexpr (requires {
                         typename V::value_type;
                         std::size(v);
                         v[0];
                       })
      return typename V::value_type{};
    else if constexpr (requires {
                         std::size(v);
                         v[0];
                       })
      return std::remove_cvref_t<decltype(v[0])>{};
  }
  template <class V>
  using element = decltype(element_of(std::declval<const V&>()));

  template <class E>
  explicit Numbers(std::vector<E>* values) : Numbers(*values) {
    floats_ = doubles_ = nullptr;
    owned_ = {values, [](void* p) { delete static_cast<std::vector<E>*>(p); }};
  }

  template <class M>
  void own(M* values) {
    owned_ = {values, [](void* p) { delete static_cast<M*>(p); }};
    borrow_matrix(*values);
    floats_ = doubles_ = nullptr;
  }
  template <class M>
  void borrow_matrix(const M& values) {
    from_ = &values;
    read_ = [](const void* from, Index i, Index j) {
      return exact_number(static_cast<const M*>(from)->coeff(i, j));
    };
    const Index along = rows_ == 1 ? M::IsRowMajor ? values.innerStride() : values.outerStride()
                        : M::IsRowMajor ? values.outerStride()
                                        : values.innerStride();
    if ((rows_ == 1 || cols_ == 1) && (along == 1 || size() == 1)) remember(values.data());
  }
  template <class V>
  void borrow_list(const V& values) {
    from_ = &values;
    read_ = [](const void* from, Index i, Index j) {
      return exact_number(element<V>((*static_cast<const V*>(from))[std::size_t(i + j)]));
    };
    if constexpr (requires { std::data(values); }) remember(std::data(values));
  }
  template <class E>
  void remember(const E* values) {
    if constexpr (std::is_same_v<E, float>) floats_ = values;
    if constexpr (std::is_same_v<E, double>) doubles_ = values;
  }

  /// `at`: the entry's name.
  template <class... At>
  static void expects_class(const char* function, Index limit, ExactNumber y, const At&... at) {
    expects(is_class(y, limit), function, at..., " is ", y, outside(y), limit, ")");
  }
  static bool is_class(ExactNumber y, Index limit) {
    return y.high >= 0 && y.high < double(limit) && y.high == std::floor(y.high) && y.low == 0;
  }
  static const char* outside(ExactNumber y) {
    return y.high == std::floor(y.high) ? ", outside [0, " : ", not a whole number in [0, ";
  }

  Index rows_ = 0, cols_ = 1;
  double resolution_ = 0;
  const void* from_ = nullptr;
  ExactNumber (*read_)(const void*, Index, Index) = nullptr;
  const void *floats_ = nullptr, *doubles_ = nullptr;
  std::unique_ptr<void, void (*)(void*)> owned_{nullptr, [](void*) {}};
};

/// Numbers as Ts one after another: where they lie, or in a copy rounded to T.
template <class T>
class InputNumbers {
 public:
  InputNumbers() = default;
  InputNumbers(const Numbers& numbers, const char* function, const char* name) {
    assign(numbers, function, name);
  }
  InputNumbers(const InputNumbers&) = delete;
  InputNumbers& operator=(const InputNumbers&) = delete;

  void assign(const Numbers& numbers, const char* function, const char* name) {
    expects(numbers.rows() == 1 || numbers.cols() == 1 || numbers.size() == 0, function, name,
            " is ", numbers.rows(), " x ", numbers.cols(), ", not a vector");
    size_ = numbers.size();
    data_ = numbers.in_memory<T>();
    if (data_) return;
    copy_.reserve(std::size_t(size_));
    for (Index i = 0; i < size_; ++i) copy_.push_back(T(numbers[i].high));
    data_ = copy_.data();
  }

  const T* data() const { return data_; }
  Index size() const { return size_; }
  T operator[](Index i) const { return data_[i]; }

 private:
  const T* data_ = nullptr;
  Index size_ = 0;
  std::vector<T> copy_;
};

}  // namespace spheremix::core
