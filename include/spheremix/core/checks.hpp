// Precondition checks for public entry points, active in every build. Never inside a per-element
// loop.
//
// Every message starts with the name of the public function and says what was found:
//   "slerp_rows: U is 3 x 4 but V is 3 x 5"
#pragma once

#include <cstddef>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <type_traits>

#include "spheremix/core/constants.hpp"

#if !defined(__cpp_exceptions)
#error \
    "spheremix reports errors as std::invalid_argument: compile the units that include it without -fno-exceptions."
#endif

namespace spheremix::core {

namespace detail {

/// A piece of a message: text, a number, or anything else that has a <<.
class Part {
 public:
  template <class P>
  explicit Part(const P& part) {
    if constexpr (std::is_convertible_v<const P&, const char*>)
      kind_ = Kind::text, text_ = part;
    else if constexpr (std::is_same_v<P, char>)
      kind_ = Kind::letter, letter_ = part;
    else if constexpr (std::is_integral_v<P> && std::is_signed_v<P>)
      kind_ = Kind::integer, integer_ = part;
    else if constexpr (std::is_integral_v<P>)
      kind_ = Kind::count, count_ = part;
    else if constexpr (std::is_floating_point_v<P>)
      kind_ = Kind::real, real_ = double(part);
    else
      kind_ = Kind::other,
      other_ = {&part, [](std::ostream& to, const void* of) { to << *static_cast<const P*>(of); }};
  }

  void put(std::ostream& to) const {
    switch (kind_) {
      case Kind::text:
        to << text_;
        break;
      case Kind::letter:
        to << letter_;
        break;
      case Kind::integer:
        to << integer_;
        break;
      case Kind::count:
        to << count_;
        break;
      case Kind::real:
        to << real_;
        break;
      case Kind::other:
        other_.put(to, other_.value);
        break;
    }
  }

 private:
  struct Other {
    const void* value;
    void (*put)(std::ostream& to, const void* value);
  };
  enum class Kind { text, letter, integer, count, real, other } kind_;
  union {
    const char* text_;
    char letter_;
    Index integer_;
    std::size_t count_;
    double real_;
    Other other_;
  };
};

/// One function for all messages: what differs from check to check is an array of parts.
[[noreturn]] inline void fail(std::initializer_list<Part> parts) {
  std::ostringstream message;
  message.precision(17);
  for (const Part& part : parts) part.put(message);
  throw std::invalid_argument(message.str());
}

}  // namespace detail

/// Throws std::invalid_argument: the parts, streamed one after another.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  detail::fail({detail::Part(parts)...});
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

/// Throws unless rows of a and b have one length.
inline void expects_same_width(const char* function, const char* a, Index a_rows, Index a_cols,
                               const char* b, Index b_rows, Index b_cols) {
  expects(a_cols == b_cols, function, a, " is ", a_rows, " x ", a_cols, " but ", b, " is ", b_rows,
          " x ", b_cols, ": one width is needed");
}

/// Throws unless `name` has `want` elements.
inline void expects_size(const char* function, const char* name, Index got, Index want) {
  expects(got == want, function, name, " has ", got, " elements where ", want, " are needed");
}

}  // namespace spheremix::core
