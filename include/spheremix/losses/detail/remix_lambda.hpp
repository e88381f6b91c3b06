// The weights of SupReMix's Mix-neg: one number for all, one for each (anchor, other), or a Beta
// draw for each from a counter-based generator.
#pragma once

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/numbers.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/core/whole.hpp"
#include "spheremix/math/beta.hpp"

namespace spheremix::losses::detail {

template <class T>
struct RemixLambda {
  double one = 0;
  core::MatrixView<const T> each{};
  bool drawn = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  double a = 0, b = 0;
  Index n = 0;

  /// The weight of anchor i in its mixture with row k; draw (i, k) depends on
  /// (seed, step, i n + k).
  double operator()(Index i, Index k) const {
    if (each.data) return double(each(i, k));
    if (!drawn) return one;
    core::PhiloxStream stream(seed, step, std::uint64_t(i * n + k));
    return math::beta_draw(a, b, stream);
  }
};

/// From a number in [0, 1], an n x n matrix of such, or a generator (which takes one step).
template <class T, class L>
class RemixLambdaArgument {
 public:
  RemixLambdaArgument(const char* function, L& lambda, Index n, double a, double b)
      : rows_(as_matrix(lambda)) {
    value_.n = n;
    if constexpr (is_number) {
      value_.one = double(lambda);
      core::expects(lambda >= 0 && lambda <= 1, function, "lambda is ", lambda, ", outside [0, 1]");
    } else if constexpr (is_generator) {
      core::expects(a > 0 && b > 0 && a <= core::largest<double> && b <= core::largest<double>,
                    function, "beta_a is ", a, " and beta_b is ", b,
                    ", both must be positive and finite");
      value_.drawn = true;
      value_.seed = lambda.seed();
      value_.step = lambda.take_step();
      value_.a = a;
      value_.b = b;
    } else {
      value_.each = rows_.view();
      core::expects_same_shape(function, "lambda", value_.each.rows, value_.each.cols, "X X^T", n,
                               n);
      for (Index i = 0; i < n; ++i)
        for (Index k = 0; k < n; ++k)
          core::expects(value_.each(i, k) >= 0 && value_.each(i, k) <= 1, function, "lambda(", i,
                        ", ", k, ") is ", value_.each(i, k), ", outside [0, 1]");
    }
  }
  const RemixLambda<T>& value() const { return value_; }

 private:
  static constexpr bool is_number = std::is_arithmetic_v<std::remove_cvref_t<L>>;
  static constexpr bool is_generator = std::is_same_v<std::remove_cvref_t<L>, core::Philox>;

  /// lambda, or its numbers in `rounded_`, which rows_ may point to.
  decltype(auto) as_matrix(L& lambda) {
    if constexpr (requires {
                    core::InputRows<T>{lambda};  // of an array not
                    requires std::is_same_v<typename std::remove_cvref_t<L>::Scalar, T>;
                  })
      return (lambda);
    else if constexpr (is_number || is_generator)
      return (rounded_);
    else
      return round(lambda);
  }
  const RowMatrix<T>& round(const core::Numbers& lambda) {
    rounded_.resize(lambda.rows(), lambda.cols());
    for (Index i = 0; i < rounded_.rows(); ++i)
      for (Index k = 0; k < rounded_.cols(); ++k) rounded_(i, k) = T(lambda(i, k).high);
    return rounded_;
  }

  RowMatrix<T> rounded_;
  core::InputRows<T> rows_;
  RemixLambda<T> value_;
};

/// The lambda argument of one rank of several: its rows of a matrix, or what is the same on all.
template <class L>
auto remix_lambda_across(L& lambda) {
  if constexpr (std::is_arithmetic_v<std::remove_cvref_t<L>>)
    return core::per_row(lambda);
  else if constexpr (std::is_same_v<std::remove_cvref_t<L>, core::Philox>)
    return core::Shared<L>{lambda, core::digest_of(lambda.seed(), lambda.step())};
  else
    return core::BorrowedRows<typename L::Scalar>(lambda);
}

}  // namespace spheremix::losses::detail
