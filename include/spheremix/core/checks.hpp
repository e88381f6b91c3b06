// Precondition checks for public entry points, active in every build. Never inside a per-element
// loop.
//
// Every message starts with the name of the public function and says what was found:
//   "slerp_rows: U is 3 x 4 but V is 3 x 5"
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "spheremix/core/constants.hpp"

#if !defined(__cpp_exceptions)
#error \
    "spheremix reports errors as std::invalid_argument: compile the units that include it without -fno-exceptions."
#endif

namespace spheremix::core {

/// Throws std::invalid_argument: the parts, streamed one after another.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream message;
  message.precision(17);
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

/// Throws std::invalid_argument("function: parts...") unless `holds`. The text is built only on
/// failure.
template <class... Parts>
void expects(bool holds, const char* function, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(function, ": ", parts...);
}

/// Throws unless a (rows x cols) and b have one shape.
inline void expects_same_shape(const char* function, const char* a, Index a_rows, Index a_cols,
                               const char* b, Index b_rows, Index b_cols) {
  expects(a_rows == b_rows && a_cols == b_cols, function, a, " is ", a_rows, " x ", a_cols, " but ",
          b, " is ", b_rows, " x ", b_cols);
}

/// Throws unless `name` has `want` elements.
inline void expects_size(const char* function, const char* name, Index got, Index want) {
  expects(got == want, function, name, " has ", got, " elements where ", want, " are needed");
}

}  // namespace spheremix::core
