// A mean over seeds with its standard error, and how both are written.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace demo {

/// Mean over splits and its standard error, sd / sqrt(splits).
struct Estimate {
  double mean, standard_error;
};

inline Estimate estimate(const std::vector<double>& values) {
  const auto n = double(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

/// A number as the table writes it: ".069", "-3.81".
inline std::string figure(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  std::string s = text;
  const bool negative = s[0] == '-';
  if (negative) s.erase(0, 1);
  if (s.find_first_not_of("0.") == std::string::npos) return s.substr(1);  // no sign on zero
  if (s.size() > 1 && s[0] == '0') s.erase(0, 1);
  return (negative ? "-" : "") + s;
}

inline std::string figure(Estimate e, int digits) {
  return figure(e.mean, digits) + " ± " + figure(e.standard_error, digits);
}

/// a - b, split by split.
inline Estimate difference(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return estimate(a);
}

/// -1, 0 or 1: below, within or above two standard errors of 0.
inline int direction(Estimate e) {
  return e.mean > 2 * e.standard_error ? 1 : e.mean < -2 * e.standard_error ? -1 : 0;
}

/// "+.021 ± .004" for a difference, with a remark where the splits do not tell it from none.
inline std::string signed_figure(Estimate e, int digits = 3) {
  const std::string text =
      (e.mean < 0 ? "−" : "+") + figure({std::abs(e.mean), e.standard_error}, digits);
  return direction(e) == 0 ? text + " (not told from none)" : text;
}

}  // namespace demo
