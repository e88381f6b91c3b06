#include "findings.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "metric.hpp"

namespace analyze {
namespace {

/// Kinds of findings, the most consequential first, and the figures that speak for each: pairs that
/// do not belong together spoil everything measured over pairs, rows that are no rows come next, what
/// a temperature does comes last.
const std::vector<std::pair<std::string, std::vector<std::string>>>& kinds() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> table = {
      {"shape", {"shape"}},
      {"pairs",
       {"offset_share", "cka", "recall10", "recall1", "tied_queries", "relative_alignment",
        "alignment"}},
      {"rows", {"not_finite", "zero"}},
      {"rank", {"effective_rank", "full_rank", "constant_columns"}},
      {"gap", {"gap"}},
      {"cone", {"cone_angle", "uniformity"}},
      {"hubs", {"top_hub", "hubness"}},
      {"repeats", {"duplicates", "near_duplicates"}},
      {"other", {}},
      {"temperature", {"ece", "push"}},
  };
  return table;
}

std::pair<std::size_t, std::size_t> place_of(const std::string& key) {
  const auto& table = kinds();
  for (std::size_t k = 0; k < table.size(); ++k)
    for (std::size_t i = 0; i < table[k].second.size(); ++i)
      if (table[k].second[i] == key) return {k, i};
  return {table.size() - 2, 0};
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

class Merger {
 public:
  explicit Merger(const Json& document) : document_(document) {}

  /// One sentence for what several sentences say about one figure.
  std::string merged(const std::string& key, const std::vector<const Json*>& readings) const {
    if (readings.size() == 1) return (*readings[0])["text"];
    std::vector<std::string> scopes;
    for (const Json* r : readings) scopes.push_back((*r)["scope"]);
    if (const std::string text = same_rows(key, scopes); !text.empty()) return text;
    if (key == "top_hub") return hubs(readings);
    if (key == "shape" || key == "given_neighbours") return all_of(readings);
    if (key == "cka") return apart(scopes, readings);
    return range(key, scopes);
  }

 private:
  /// "The same 21 rows of de, en and ru are all zero (first: rows 3, 5)."
  std::string same_rows(const std::string& key, const std::vector<std::string>& scopes) const {
    static const std::map<std::string, std::pair<std::string, std::string>> what = {
        {"not_finite", {"row", "hold NaN or infinity; they are left out of every other figure"}},
        {"zero", {"row", "are all zero; they are left out of every other figure"}},
        {"duplicates", {"row", "repeat an earlier one number by number"}},
        {"near_duplicates", {"row", "have an unequal one at a cosine of 0.999 or more"}},
        {"constant_columns", {"column", "hold one value in every row: collapsed dimensions"}}};
    const auto found = what.find(key);
    if (found == what.end()) return "";
    const auto& [noun, says] = found->second;
    std::vector<const Json*> lists;
    for (const Json& m : document_["modalities"])
      if (std::find(scopes.begin(), scopes.end(), m["name"]) != scopes.end())
        lists.push_back(&m["health"][key]);
    if (lists.size() != scopes.size()) return "";
    bool same = true;
    std::string counts;
    for (std::size_t i = 0; i < lists.size(); ++i) {
      same = same && *lists[i] == *lists[0];
      counts += (i > 0 ? ", " : "") + scopes[i] + " " + with_commas((*lists[i])["count"]);
    }
    std::string first;
    const Json& ids = (*lists[0])["first"];
    for (std::size_t i = 0; i < ids.size() && i < 5; ++i)
      first += (i > 0 ? ", " : "") + std::to_string(ids[i].get<Index>());
    const Index count = (*lists[0])["count"];
    const bool all = scopes.size() == document_["modalities"].size() && scopes.size() > 2;
    if (same)
      return "The same " + counted(count, noun) + " of " +
             (all ? "all " + std::to_string(scopes.size()) + " modalities" : list_of(scopes)) +
             " " + says + " (" + (count > 5 ? "first: " : "") + noun + (count > 1 ? "s " : " ") +
             first + ").";
    return "Some " + noun + "s " + says + ": " + counts + " (first of " + scopes[0] + ": " + first +
           ").";
  }

  std::string hubs(const std::vector<const Json*>& readings) const {
    const Json* greatest = readings[0];
    double most = -1;
    for (const Json* r : readings)
      if (const double v = value((*r)["key"], (*r)["scope"]); v > most) most = v, greatest = r;
    return (*greatest)["text"].get<std::string>() + " It is the greatest of " +
           std::to_string(readings.size()) + ".";
  }

  static std::string all_of(const std::vector<const Json*>& readings) {
    std::string text;
    for (const Json* r : readings) {
      if (!text.empty()) text += ' ';
      text += (*r)["text"].get<std::string>();
    }
    return text;
  }

  /// Pairs of modalities that do not find each other, or whose similarities hardly agree.
  std::string apart(const std::vector<std::string>& scopes,
                    const std::vector<const Json*>& readings) const {
    std::vector<std::string> names;
    for (const std::string& s : scopes) names.push_back(shown_scope(s));
    std::string text = (*readings[0])["text"];
    return text + " Likewise " + list_of({names.begin() + 1, names.end()}) + ".";
  }

  /// "R@1 stands out in 14 of 20: from 0.0011 (ru asks de) to 0.2931 (de asks en); good: ...".
  std::string range(const std::string& key, const std::vector<std::string>& scopes) const {
    std::vector<std::pair<double, std::string>> values;
    std::size_t of = 0;
    int digits = 2;
    std::string name = key, good;
    for (const Json& m : document_["metrics"]) {
      if (m["key"] != key) continue;
      ++of, digits = m["digits"], name = m["name"], good = m["good"];
      if (m["value"].is_number() &&
          std::find(scopes.begin(), scopes.end(), m["scope"]) != scopes.end())
        values.emplace_back(m["value"].get<double>(), m["scope"].get<std::string>());
    }
    if (values.empty()) return name + ": " + list_of(scopes) + ".";
    std::sort(values.begin(), values.end());
    const bool share = key.rfind("recall", 0) == 0 || key == "ece" || key == "push" ||
                       key == "tied_queries" || key == "label_noise";
    const auto number = [&](double v) {
      if (share) return percent(v);
      const std::string s = fixed(v, digits);
      return s[0] == '-' ? "\u2212" + s.substr(1) : s;
    };
    const auto& [low, low_scope] = values.front();
    const auto& [high, high_scope] = values.back();
    std::string text =
        name + ": " +
        (values.size() < of ? std::to_string(values.size()) + " of " + std::to_string(of)
         : of == 2          ? "both"
                            : "all " + std::to_string(of)) +
        " stand out, from " + number(low) + " (" + shown_scope(low_scope) + ") to " + number(high) +
        " (" + shown_scope(high_scope) + ")";
    return text + (good.empty() ? "." : "; good is " + good + ".");
  }

  /// "de-en": "de, en" for a figure of both; "de asks en" reads best for retrieval and serves all.
  std::string shown_scope(const std::string& scope) const {
    for (const Json& p : document_["pairs"]) {
      const std::string x = p["x"], y = p["y"];
      if (scope == x + "-" + y) return x + " to " + y;
      if (scope == y + "-" + x) return y + " to " + x;
    }
    return scope;
  }

  double value(const std::string& key, const std::string& scope) const {
    return value_of(document_, key, scope).value_or(0);
  }

  const Json& document_;
};

}  // namespace

void gather_findings(Json& document) {
  const Merger merger(document);
  struct Group {
    std::vector<const Json*> readings;
    bool fault = false;
  };
  std::map<std::pair<std::size_t, std::size_t>, Group> by_key;  // in order of consequence
  std::set<std::size_t> faulty;
  for (const Json& r : document["readings"]) {
    if (r["level"] == "fine") continue;
    const auto place = place_of(r["key"]);
    Group& group = by_key[place];
    const bool fault = r["level"] == "fault";
    if (fault && !group.fault) group.readings.clear();  // the milder ones are told by the table
    if (fault == (group.fault || fault)) group.readings.push_back(&r);
    group.fault = group.fault || fault;
    if (fault) faulty.insert(place.first);
  }
  Json list = Json::array();
  for (const bool fault : {true, false})
    for (std::size_t kind = 0; kind < kinds().size(); ++kind) {
      if (fault != (faulty.count(kind) > 0)) continue;
      Json finding{{"level", fault ? "fault" : "look"},
                   {"kind", kinds()[kind].first},
                   {"text", ""},
                   {"keys", Json::array()},
                   {"parts", Json::array()}};
      std::string text;
      for (const auto& [place, group] : by_key) {
        if (place.first != kind) continue;
        std::map<std::string, std::vector<const Json*>> of_key;
        for (const Json* r : group.readings) of_key[(*r)["key"]].push_back(r);
        for (const auto& [key, readings] : of_key) {
          if (!text.empty()) text += ' ';
          text += merger.merged(key, readings);
          finding["keys"].push_back(key);
          for (const Json* r : readings) finding["parts"].push_back((*r)["text"]);
        }
      }
      if (text.empty()) continue;
      finding["text"] = text;
      if (finding["parts"].size() < 2) finding["parts"] = Json::array();
      list.push_back(finding);
    }
  document["findings"] = list;
}

namespace {

/// A line a scope with its first figures, by the names that --fail-if has for them; none where more
/// than two modalities have too many scopes for a terminal.
std::string first_figures(const Json& document) {
  std::vector<std::pair<std::string, std::string>> lines;  // in the order of the figures
  for (const Json& m : document["metrics"]) {
    const std::string key = m["key"], scope = m["scope"];
    if (m["value"].is_null() || std::none_of(std::begin(kFirstFigures), std::end(kFirstFigures),
                                             [&](const char* first) { return key == first; }))
      continue;
    auto line = std::find_if(lines.begin(), lines.end(),
                             [&](const auto& other) { return other.first == scope; });
    if (line == lines.end()) line = lines.insert(line, {scope, ""});
    line->second += (line->second.empty() ? "" : ", ") + key + " " +
                    fixed(m["value"].get<double>(), m["digits"].get<int>());
  }
  if (document["modalities"].size() > 2) return "";
  std::string text;
  for (const auto& [scope, figures] : lines) text += "   " + scope + ": " + figures + "\n";
  return text;
}

}  // namespace

std::string spoken(const Json& document) {
  std::string text;
  const Json& findings = document["findings"];
  for (std::size_t i = 0; i < findings.size() && i < kFirstFindings; ++i) {
    text += findings[i]["level"] == "fault" ? "!! " : " ! ";
    for (const char c : findings[i]["text"].get<std::string>())
      text += c == '\n' ? "\\n" : std::string(1, c);
    text += "\n";
  }
  std::size_t fine = 0;
  for (const Json& r : document["readings"]) fine += r["level"] == "fine";
  if (findings.empty()) text += "   No figure crosses a threshold.\n";
  text += first_figures(document);
  const std::size_t more = findings.size() > kFirstFindings ? findings.size() - kFirstFindings : 0;
  text += "   " + (more > 0 ? std::to_string(more) + " more and " : std::string()) +
          std::to_string(fine) + " readings that are fine: in the report and the JSON.\n";
  return text;
}

}  // namespace analyze
