// Numbers that host and device code share. Variable templates: nvcc reads them in kernels without
// --expt-relaxed-constexpr, which a direct std::numeric_limits call there would need.
#pragma once

#include <cstddef>
#include <limits>

#include "spheremix/core/host_device.hpp"

namespace spheremix {

/// Rows, columns and strides: signed and 64 bits wide, so N = 46341 (N^2 > 2^31) needs no care.
using Index = std::ptrdiff_t;

namespace core {

/// Half a turn.
template <class T>
inline constexpr T pi = T(3.141592653589793238462643383279502884L);

/// Distance from 1 to the next number above it.
template <class T>
inline constexpr T epsilon = std::numeric_limits<T>::epsilon();

/// Not a number, quiet.
template <class T>
inline constexpr T nan = std::numeric_limits<T>::quiet_NaN();

/// Beyond every number.
template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();

/// The largest finite number.
template <class T>
inline constexpr T largest = (std::numeric_limits<T>::max)();

/// The smallest positive number with all its digits.
template <class T>
inline constexpr T smallest_normal = (std::numeric_limits<T>::min)();

}  // namespace core
}  // namespace spheremix
