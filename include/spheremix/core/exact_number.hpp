// A number of any integer or floating type, kept exactly: labels and ids are compared and subtracted
// as what they are, also above 2^53.
//
//   value = high + low,   high = the value rounded to double,   low = what that leaves
//
// Exact for integers up to 64 bits, float, double, and a long double of up to 106 digits. The order
// of the pairs is the order of the values, whatever types they come from.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/rounded.hpp"

namespace spheremix::core {

/// A number as the sum of two doubles: integers of 64 bits keep every digit.
struct ExactNumber {
  double high = 0, low = 0;

  /// Not NaN, not infinite.
  SPHEREMIX_HD bool finite() const { return high <= largest<double> && high >= -largest<double>; }
  friend SPHEREMIX_HD bool operator==(ExactNumber a, ExactNumber b) {
    return a.high == b.high && a.low == b.low;
  }
  friend SPHEREMIX_HD bool operator<(ExactNumber a, ExactNumber b) {
    return a.high < b.high || (a.high == b.high && a.low < b.low);
  }
  /// a - b to an eps of it.
  friend SPHEREMIX_HD double operator-(ExactNumber a, ExactNumber b) {
    return rounded(a.high - b.high) + rounded(a.low - b.low);
  }
};

/// A whole number of 64 bits with its sign.
SPHEREMIX_HD inline ExactNumber exact_number(bool negative, std::uint64_t magnitude) {
  const double high = double(magnitude);
  // Near 2^64 the double is 2^64 itself, which as an integer is 0.
  const std::uint64_t whole = high < 0x1p64 ? std::uint64_t(high) : 0;
  const double low = whole != 0 && magnitude >= whole ? double(magnitude - whole)
                     : magnitude == 0                 ? 0
                                                      : -double(whole - magnitude);
  return negative ? ExactNumber{-high, -low} : ExactNumber{high, low};
}

template <class N>
SPHEREMIX_HD ExactNumber exact_number(N value) {
  static_assert(std::is_arithmetic_v<N>,
                "spheremix: labels are integers or floating-point numbers");
  if constexpr (std::numeric_limits<N>::digits <= std::numeric_limits<double>::digits) {
    return {double(value), 0};
  } else if constexpr (std::is_integral_v<N>) {
    static_assert(sizeof(N) <= 8, "spheremix: labels are integers of at most 64 bits");
    bool negative = false;
    if constexpr (std::is_signed_v<N>) negative = value < 0;
    const std::uint64_t bits = std::uint64_t(value);
    return exact_number(negative, negative ? 0 - bits : bits);
  } else {
    const double high = double(value);
    const ExactNumber whole{high, 0};
    return {high, whole.finite() ? double(value - N(high)) : 0};
  }
}

}  // namespace spheremix::core
