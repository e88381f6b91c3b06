// What every part of the tool shares: its types, and the two ways a run ends early.
#pragma once

#include <csignal>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "spheremix/core/eigen.hpp"

namespace analyze {

using Json = nlohmann::ordered_json;
using spheremix::Index;
using spheremix::RowMatrix;

/// Something the user gave that cannot be used: one sentence, exit status 2.
class WrongInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Ctrl-C and its kin: nothing is written.
struct Interrupted {};

template <class... Parts>
[[noreturn]] void wrong(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw WrongInput(text.str());
}

inline volatile std::sig_atomic_t interrupt_asked = 0;  ///< the signal

/// Long loops call this every few milliseconds.
inline void stop_if_asked() {
  if (interrupt_asked != 0) throw Interrupted();
}

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// 1234567 as "1,234,567".
inline std::string with_commas(Index n) {
  std::string text = std::to_string(n);
  for (std::size_t i = text.size(); i > 3 + (n < 0 ? 1u : 0u);) text.insert(i -= 3, 1, ',');
  return text;
}

/// "3 rows", "1 row".
inline std::string counted(Index n, const std::string& noun) {
  return with_commas(n) + " " + noun + (n == 1 ? "" : "s");
}

/// A number with `digits` after the point, no minus on zero.
inline std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  const std::string s = text;
  return s[0] == '-' && s.find_first_not_of("-0.") == std::string::npos ? s.substr(1) : s;
}

inline std::string percent(double share) {
  const double p = 100 * share;
  return fixed(p, p != 0 && p < 0.995 ? 2 : p < 10 || p > 99 ? 1 : 0) + " %";
}

}  // namespace analyze
