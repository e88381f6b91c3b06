// --fail-if "gap>0.5" or "text-image.recall1 < 0.3": [scope.]metric, a comparison, a number.
#pragma once

#include "metric.hpp"

namespace analyze {

struct Condition {
  std::string text, scope, key, comparison;
  double bound = 0;

  bool met_by(double value) const {
    return comparison == ">"    ? value > bound
           : comparison == ">=" ? value >= bound
           : comparison == "<"  ? value < bound
           : comparison == "<=" ? value <= bound
           : comparison == "==" ? value == bound
                                : value != bound;
  }
};

inline Condition parse_condition(const std::string& text) {
  Condition c;
  c.text = text;
  const std::size_t mark = text.find_first_of("<>=!");
  std::size_t end = mark == std::string::npos ? mark : mark + 1;
  if (end != std::string::npos && end < text.size() && text[end] == '=') ++end;
  const auto trimmed = [](std::string s) {
    const auto first = s.find_first_not_of(' '), last = s.find_last_not_of(' ');
    return first == std::string::npos ? "" : s.substr(first, last - first + 1);
  };
  std::string name, number;
  if (mark != std::string::npos) {
    name = trimmed(text.substr(0, mark));
    c.comparison = text.substr(mark, end - mark);
    number = trimmed(text.substr(end));
  }
  char* rest = nullptr;
  c.bound = std::strtod(number.c_str(), &rest);
  const bool sign = c.comparison != "=" && c.comparison != "!";
  if (name.empty() || number.empty() || *rest != '\0' || !sign)
    wrong("--fail-if \"", text,
          "\": a metric, one of > >= < <= == != and a number are expected, as in \"gap>0.5\"");
  const std::size_t dot = name.rfind('.');
  c.scope = dot == std::string::npos ? "" : name.substr(0, dot);
  c.key = dot == std::string::npos ? name : name.substr(dot + 1);
  for (const MetricInfo& info : metric_table())
    if (c.key == info.key) return c;
  std::string known;
  for (const MetricInfo& info : metric_table())
    known += std::string(known.empty() ? "" : ", ") + info.key;
  wrong("--fail-if \"", text, "\": there is no metric ", c.key, "; there are ", known);
}

/// A sentence for every figure that meets a condition. Throws where a condition names a scope that
/// the document does not have.
inline std::vector<std::string> failures(const Json& document,
                                         const std::vector<Condition>& conditions) {
  std::vector<std::string> all;
  for (const Condition& c : conditions) {
    bool seen = false;
    for (const Json& m : document["metrics"]) {
      if (m["key"] != c.key || (!c.scope.empty() && m["scope"] != c.scope)) continue;
      seen = true;
      if (!m["value"].is_number() || !c.met_by(m["value"].get<double>())) continue;
      all.push_back(m["scope"].get<std::string>() + "." + c.key + " is " +
                    fixed(m["value"].get<double>(), std::max(4, m["digits"].get<int>())) +
                    ", which meets --fail-if \"" + c.text + "\"");
    }
    if (!seen) wrong("--fail-if \"", c.text, "\": these inputs have no such figure");
  }
  return all;
}

}  // namespace analyze
