// --fail-if "gap>0.5" or "text-image.recall1 < 0.3": [scope.]metric, a comparison, a number. With
// --compare the figure is the difference, after minus before.
//
// A condition fails the run where a figure meets it, and where nothing can be said: a figure that
// is not defined, a bound that is no number. Metric and scope are checked before any work.
#pragma once

#include <array>
#include <cmath>

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
    const auto first = s.find_first_not_of(" \t"), last = s.find_last_not_of(" \t");
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

/// What a run on some inputs has figures of.
struct Scopes {
  std::vector<std::string> modalities;
  bool labels = false, index = false, versions = false, judgements = false;
  bool unpaired = false;      ///< rows of the two are different things, joined by judgements alone
  std::vector<Index> widths;  ///< of the modalities; empty before their files are open

  /// Whether a pair has such a figure, its sides being of one width or not.
  bool pair_has(const MetricInfo& info, bool one_width) const {
    const std::string key = info.key;
    if (unpaired) return info.of_judgements || key == "gap" || key == "cone_distance";
    const bool of_structure = key.rfind("cka", 0) == 0;
    return one_width ? key != "neighbour_overlap" : of_structure || key == "neighbour_overlap";
  }

  /// The scopes that a metric has; one that is the same both ways answers to either order.
  std::vector<std::string> of(const std::string& key) const {
    const MetricInfo& info = info_of(key);
    const auto has = [&](Measures kind) { return (int(info.of) & int(kind)) != 0; };
    std::vector<std::string> all;
    if (versions) {  // of --drift
      if (has(Measures::versions) || key == "cka_debiased") all.push_back("old-new");
      return all;
    }
    if ((info.of_labels && !labels) || (info.of_judgements && !judgements) ||
        (index && (key == "offset_share" || key == "neighbour_overlap")))
      return all;
    for (std::size_t a = 0; a < modalities.size(); ++a) {
      if (has(Measures::modality)) all.push_back(modalities[a]);
      for (std::size_t b = 0; b < modalities.size(); ++b)
        if (a != b && (has(Measures::pair) || has(Measures::direction)) &&
            (widths.empty() || pair_has(info, widths[a] == widths[b])))
          all.push_back(modalities[a] + "-" + modalities[b]);
    }
    return all;
  }

  /// Throws where two figures would have one name.
  void expect_distinct() const {
    std::vector<std::string> all = modalities;
    for (const std::string& a : modalities)
      for (const std::string& b : modalities)
        if (a != b) all.push_back(a + "-" + b);
    std::sort(all.begin(), all.end());
    const auto twice = std::adjacent_find(all.begin(), all.end());
    if (twice != all.end())
      wrong("two modalities or pairs of them would both be called \"", *twice,
            "\": give one of them another name");
  }

  void expect(const std::vector<Condition>& conditions) const {
    for (const Condition& c : conditions) {
      const std::vector<std::string> known = of(c.key);
      if (c.scope.empty() ? !known.empty()
                          : std::find(known.begin(), known.end(), c.scope) != known.end())
        continue;
      std::string list;
      for (const std::string& s : known) list += (list.empty() ? "; of " : ", ") + s;
      wrong("--fail-if \"", c.text, "\": these inputs have no such figure",
            known.empty() ? "" : list + " there is one");
    }
  }
};

/// A figure that stands under one order of its pair answers to the other too.
inline bool answers_to(const Condition& c, const Json& figure, const Json& pairs) {
  if (figure["key"] != c.key) return false;
  if (c.scope.empty() || figure["scope"] == c.scope) return true;
  if (!info_known(c.key) || (int(info_of(c.key).of) & int(Measures::pair)) == 0) return false;
  for (const Json& p : pairs) {
    const std::string x = p["x"], y = p["y"];
    if (figure["scope"] == x + "-" + y && c.scope == y + "-" + x) return true;
  }
  return false;
}

/// A sentence for each condition that is met, or that cannot be judged, by `value` of a figure
/// called `name`.
inline void judge_condition(const Condition& c, const std::string& name, const Json& value,
                            int digits, std::vector<std::string>& sentences) {
  const std::string quoted = " --fail-if \"" + c.text + "\"";
  if (!value.is_number() || std::isnan(value.get<double>()))
    sentences.push_back(name + " is not defined for these inputs, so" + quoted +
                        " cannot be judged");
  else if (c.met_by(value.get<double>()))
    sentences.push_back(name + " is " + fixed(value.get<double>(), std::max(4, digits)) +
                        ", which meets" + quoted);
}

/// Of every condition. `figures` have key, scope, digits; value(figure) is a number or null.
template <class Value>
std::vector<std::string> failures(const Json& figures, const Json& pairs,
                                  const std::vector<Condition>& conditions, const Value& values) {
  std::vector<std::string> all;
  for (const Condition& c : conditions) {
    if (std::isnan(c.bound)) {
      all.push_back("--fail-if \"" + c.text + "\" has a bound that is no number");
      continue;
    }
    bool seen = false;
    for (const Json& m : figures) {
      if (!answers_to(c, m, pairs)) continue;
      seen = true;
      for (const auto& [name, value] : values(m)) judge_condition(c, name, value, m["digits"], all);
    }
    if (!seen) all.push_back("--fail-if \"" + c.text + "\" cannot be judged: no such figure");
  }
  return all;
}

/// Of one run.
inline std::vector<std::string> failures(const Json& document,
                                         const std::vector<Condition>& conditions) {
  return failures(document["metrics"], document["pairs"], conditions, [](const Json& m) {
    const std::string name = m["scope"].get<std::string>() + "." + m["key"].get<std::string>();
    return std::vector<std::pair<std::string, Json>>{{name, m["value"]}};
  });
}

}  // namespace analyze
