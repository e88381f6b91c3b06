// --compare before.json after.json ...: differences of every figure that the runs share.
//
// Runs on the same rows (their row numbers say so) are paired: the interval of a difference is that
// of the mean of the rows' own differences, or for a share of hits that of Agresti and Min. Other
// differences have an interval where both figures have one: half widths add in squares, the runs
// being taken as independent. A difference counts as a change when its interval leaves out 0;
// figures without one change when they differ in the digits shown.
//
// [Agresti, Min 2005, "Simple improved confidence intervals for comparing matched proportions"]
#pragma once

#include "fail_if.hpp"
#include "tables.hpp"

namespace analyze {

inline Json read_run(const std::string& path) {
  Json run = Json::parse(read_file(path), nullptr, false);
  if (!run.is_object() || !run.contains("tool") || run["tool"] != "spheremix-analyze" ||
      !run.contains("metrics"))
    wrong(path, ": is not a JSON report of spheremix-analyze");
  return run;
}

inline Json difference_of(const Json& a, const Json& b) {
  Json d;
  const bool numbers = a["value"].is_number() && b["value"].is_number();
  d["difference"] = numbers ? Json(b["value"].get<double>() - a["value"].get<double>()) : Json();
  if (numbers && a.contains("interval") && b.contains("interval")) {
    const auto half = [](const Json& m, std::size_t side) {
      return m["interval"][side].get<double>() - m["value"].get<double>();
    };
    const double down = std::hypot(half(b, 0), half(a, 1)), up = std::hypot(half(b, 1), half(a, 0)),
                 middle = d["difference"];
    d["interval"] = {middle - down, middle + up};
    d["changed"] = middle - down > 0 || middle + up < 0;
  } else {
    const double unit = std::pow(10, -a.value("digits", 0));
    d["changed"] = numbers && std::fabs(d["difference"].get<double>()) >= unit / 2;
  }
  return d;
}

/// The mean of x with 1.96 standard errors on either side, about `centre`.
inline Interval paired_mean(const std::vector<double>& x, double centre) {
  const double n = double(x.size()), mean = mean_of(x);
  double square = 0;
  for (const double v : x) square += (v - mean) * (v - mean);
  const double half = kNormal95 * std::sqrt(square / (n * std::max(1.0, n - 1)));
  return {centre - half, centre + half};
}

/// Of n queries `won` are hits only after, `lost` only before.
inline Interval paired_share(double won, double lost, double n) {
  const double middle = (won - lost) / (n + 2),
               half = kNormal95 *
                      std::sqrt((won + lost + 1) - (won - lost) * (won - lost) / (n + 2)) / (n + 2);
  const double difference = (won - lost) / n;
  return {std::min(difference, std::max(-1.0, middle - half)),
          std::max(difference, std::min(1.0, middle + half))};
}

/// The rows of one scope in two runs, where they are the same ones; null otherwise.
class PairedRows {
 public:
  PairedRows(const Json& a, const std::string& scope_a, const Json& b, const std::string& scope_b) {
    const auto rows = [](const Json& run, const std::string& scope) -> const Json* {
      const auto all = run.find("per_row");
      if (all == run.end() || !all->is_object() || !all->contains(scope)) return nullptr;
      return &(*all)[scope];
    };
    a_ = rows(a, scope_a), b_ = rows(b, scope_b);
    if (a_ == nullptr || b_ == nullptr || !same_names(a, b) ||
        a_->value("ids", Json()) != b_->value("ids", Json()))
      a_ = b_ = nullptr;
  }

  bool same() const { return a_ != nullptr; }
  const Json& ids() const { return (*a_)["ids"]; }
  std::vector<Index> ranks(bool after) const { return (after ? *b_ : *a_)["rank"]; }

  /// The interval of a difference, where the runs hold what it takes.
  std::optional<Interval> interval(const std::string& key, double difference) const {
    if (a_ == nullptr) return {};
    const bool rank = key == "mrr" || key == "median_rank" || key.rfind("recall", 0) == 0;
    const char* const held = rank ? "rank" : key.c_str();
    if (!a_->contains(held) || !b_->contains(held)) return {};
    const std::vector<double> before = (*a_)[held], after = (*b_)[held];
    if (before.size() != after.size() || before.empty()) return {};
    const double n = double(before.size());
    if (key == "median_rank")
      return bootstrap(Index(before.size()), {difference},
                       [&](const std::vector<Index>& draw, std::vector<double>& out) {
                         std::vector<double> x, y;
                         for (const Index i : draw)
                           x.push_back(before[at(i)]), y.push_back(after[at(i)]);
                         std::sort(x.begin(), x.end()), std::sort(y.begin(), y.end());
                         out[0] = quantile(y, 0.5) - quantile(x, 0.5);
                       })[0];
    if (key.rfind("recall", 0) == 0) {
      const double k = std::stod(key.substr(6));
      double won = 0, lost = 0;
      for (std::size_t i = 0; i < before.size(); ++i)
        won += before[i] > k && after[i] <= k, lost += before[i] <= k && after[i] > k;
      return paired_share(won, lost, n);
    }
    std::vector<double> change(before.size());
    for (std::size_t i = 0; i < change.size(); ++i)
      change[i] = rank ? 1 / after[i] - 1 / before[i] : after[i] - before[i];
    return paired_mean(change, difference);
  }

 private:
  /// Rows that both runs name have one name.
  static bool same_names(const Json& a, const Json& b) {
    if (!a.contains("items") || !b.contains("items")) return true;
    for (const auto& [id, item] : a["items"].items())
      if (b["items"].contains(id) && item.value("name", "") != b["items"][id].value("name", ""))
        return false;
    return true;
  }

  const Json *a_ = nullptr, *b_ = nullptr;
};

/// The figure of a run that stands beside m of the first one: of the same scope, or of the other
/// order of a pair where the figure is the same both ways.
inline const Json* beside(const Json& m, const Json& run) {
  const Condition same{"", m["scope"], m["key"], "", 0};
  for (const Json& other : run["metrics"])
    if (other["key"] == m["key"] && other["scope"] == m["scope"]) return &other;
  for (const Json& other : run["metrics"])
    if (answers_to(same, other, run.value("pairs", Json::array()))) return &other;
  return nullptr;
}

/// What two runs do not have in common and their figures depend on.
inline std::vector<std::string> unlike(const Json& a, const Json& b) {
  std::vector<std::string> all;
  const auto settings = [&](const char* key, const char* what) {
    const Json x = a.value("settings", Json::object()).value(key, Json()),
               y = b.value("settings", Json::object()).value(key, Json());
    if (x != y)
      all.push_back(std::string(key) + " " + (x.is_string() ? x.get<std::string>() : x.dump()) +
                    " and " + (y.is_string() ? y.get<std::string>() : y.dump()) + what);
  };
  settings("temperature", " (calibration, push)");
  settings("precision", "");
  const auto modality = [](const Json& run, const Json& name) -> const Json* {
    for (const Json& m : run["modalities"])
      if (m["name"] == name) return &m;
    return nullptr;
  };
  bool sampled = false;
  for (const Json& m : a["modalities"]) {
    const Json* const other = modality(b, m["name"]);
    if (other == nullptr) continue;
    const std::string name = m["name"];
    for (const char* key : {"rows", "usable", "analysed"})
      if (m[key] != (*other)[key]) {
        all.push_back(name + " has " + with_commas(m[key].get<Index>()) + " and " +
                      with_commas((*other)[key].get<Index>()) + " rows" +
                      (std::string(key) == "rows" ? "" : std::string(" ") + key));
        break;
      }
    if (m["files"] == (*other)["files"] && m["rows"] != (*other)["rows"])
      all.push_back(name + ": the same file has other rows");
    sampled |= m["pairs_of_rows"] != "exact" || (*other)["pairs_of_rows"] != "exact";
  }
  for (const char* key : {"seed", "sample", "exact_rows"})
    if (sampled) settings(key, " (samples)");
  std::vector<std::string> orders;
  for (const Json* run : {&a, &b}) {
    std::string order;
    for (const Json& m : (*run)["modalities"])
      order += (order.empty() ? "" : ", ") + m["name"].get<std::string>();
    orders.push_back(order);
  }
  std::vector<std::string> names[2];
  for (const Json& m : a["modalities"]) names[0].push_back(m["name"]);
  for (const Json& m : b["modalities"]) names[1].push_back(m["name"]);
  if (names[0] != names[1]) {
    auto sorted_a = names[0], sorted_b = names[1];
    std::sort(sorted_a.begin(), sorted_a.end()), std::sort(sorted_b.begin(), sorted_b.end());
    all.push_back("modalities " + orders[0] + " and " + orders[1] +
                  (sorted_a == sorted_b ? ": figures are matched by name" : ""));
  }
  for (const Json& m : a["metrics"]) {
    if (m["key"] != "recall1") continue;
    const Json* const other = beside(m, b);
    if (other != nullptr && m["gallery"] != (*other)["gallery"])
      all.push_back(m["scope"].get<std::string>() + " ranks among " +
                    with_commas(m["gallery"].get<Index>()) + " and " +
                    with_commas((*other)["gallery"].get<Index>()) +
                    " candidates (ranks, recall and hubs do not compare)");
  }
  return all;
}

/// Queries of each direction that find their own partner first in one run and not in the other.
inline Json gains_and_losses(const Json& a, const Json& b) {
  Json list = Json::array();
  for (const Json& m : a["metrics"]) {
    if (m["key"] != "recall1") continue;
    const PairedRows rows(a, m["scope"], b, m["scope"]);
    if (!rows.same()) continue;
    const std::vector<Index> before = rows.ranks(false), after = rows.ranks(true);
    Json gained = Json::array(), lost = Json::array();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] > 1 && after[i] == 1) gained.push_back(rows.ids()[i]);
      if (before[i] == 1 && after[i] > 1) lost.push_back(rows.ids()[i]);
    }
    list.push_back(
        {{"scope", m["scope"]}, {"queries", before.size()}, {"gained", gained}, {"lost", lost}});
  }
  return list;
}

/// Every run against the first.
inline Json compare_runs(const std::vector<std::string>& paths, std::vector<Json> runs) {
  Json result{{"tool", "spheremix-analyze compare"},
              {"files", paths},
              {"unlike", Json::array()},
              {"rows", Json::array()},
              {"queries", Json::array()},
              {"runs", Json::array()}};
  for (Json& run : runs) result["runs"].push_back(std::move(run));
  const Json& first = result["runs"][0];
  for (std::size_t r = 1; r < paths.size(); ++r) {
    result["unlike"].push_back(unlike(first, result["runs"][r]));
    result["queries"].push_back(gains_and_losses(first, result["runs"][r]));
  }
  for (const Json& m : first["metrics"]) {
    Json row{{"key", m["key"]},
             {"scope", m["scope"]},
             {"name", m["name"]},
             {"digits", m["digits"]},
             {"formula", m["formula"]}};
    const auto cell = [](const Json& figure) {
      Json c{{"value", figure["value"]}, {"how", figure["how"]}};
      if (figure.contains("interval")) c["interval"] = figure["interval"];
      return c;
    };
    row["cells"] = Json::array({cell(m)});
    bool everywhere = true;
    for (std::size_t r = 1; r < paths.size(); ++r) {
      const Json& run = result["runs"][r];
      const Json* const found = beside(m, run);
      if (found == nullptr) {
        everywhere = false;
        continue;
      }
      row["cells"].push_back(cell(*found));
      Json change = difference_of(m, *found);
      if (change["difference"].is_number()) {
        const PairedRows rows(first, m["scope"], run, (*found)["scope"]);
        if (const auto paired = rows.interval(m["key"], change["difference"])) {
          change["interval"] = {paired->low, paired->high};
          change["changed"] = paired->low > 0 || paired->high < 0;
          change["paired"] = true;
        }
      }
      row["cells"].back()["change"] = std::move(change);
    }
    if (everywhere) result["rows"].push_back(row);
  }
  if (result["rows"].empty()) wrong(paths[0], ": shares no figure with the other runs");
  return result;
}

/// What the first run has figures of: conditions are checked against it.
inline Scopes scopes_of(const Json& run) {
  Scopes scopes;
  for (const Json& m : run["modalities"]) scopes.modalities.push_back(m["name"]);
  for (const Json& m : run["modalities"])
    if (m.contains("cols")) scopes.widths.push_back(m["cols"]);
  if (scopes.widths.size() != scopes.modalities.size()) scopes.widths.clear();
  for (const Json& m : run["metrics"]) {
    scopes.labels |= info_known(m["key"]) && info_of(m["key"]).of_labels;
    scopes.judgements |= info_known(m["key"]) && info_of(m["key"]).of_judgements;
  }
  for (const Json& p : run.value("pairs", Json::array())) scopes.unpaired |= p.contains("unpaired");
  return scopes;
}

/// A sentence for each difference that meets a condition or cannot be judged.
inline std::vector<std::string> failures_of_differences(const Json& c,
                                                        const std::vector<Condition>& conditions) {
  return failures(c["rows"], c["runs"][0]["pairs"], conditions, [&](const Json& row) {
    std::vector<std::pair<std::string, Json>> values;
    for (std::size_t r = 1; r < row["cells"].size(); ++r)
      values.emplace_back(
          "the difference of " + row["scope"].get<std::string>() + "." +
              row["key"].get<std::string>() +
              (row["cells"].size() > 2 ? " in " + c["files"][r].get<std::string>() : std::string()),
          row["cells"][r]["change"]["difference"]);
    return values;
  });
}

/// The table on a terminal.
inline std::string comparison_text(const Json& c) {
  std::string text;
  for (std::size_t r = 0; r < c["unlike"].size(); ++r)
    if (!c["unlike"][r].empty()) {
      text += c["files"][r + 1].get<std::string>() + " is a run of another kind: ";
      for (std::size_t k = 0; k < c["unlike"][r].size(); ++k)
        text += (k > 0 ? "; " : "") + c["unlike"][r][k].get<std::string>();
      text += "\n";
    }
  const auto changed = [](const Json& row) {
    return std::any_of(row["cells"].begin() + 1, row["cells"].end(),
                       [](const Json& cell) { return cell["change"].value("changed", false); });
  };
  const auto line_of = [](const Json& row) {
    const int digits = row["digits"];
    const auto shown = [&](const Json& v) {
      return v.is_number() ? fixed(v.get<double>(), digits) : std::string("none");
    };
    std::string line = row["scope"].get<std::string>() + "." + row["key"].get<std::string>();
    line.resize(std::max<std::size_t>(line.size() + 1, 36), ' ');
    for (std::size_t r = 0; r < row["cells"].size(); ++r) {
      const Json& cell = row["cells"][r];
      std::string part = shown(cell["value"]);
      if (r > 0 && cell["change"]["difference"].is_number()) {
        const double d = cell["change"]["difference"];
        part += " (" + std::string(d > 0 ? "+" : "") + fixed(d, digits);
        if (cell["change"].contains("interval"))
          part += " [" + fixed(cell["change"]["interval"][0], digits) + ", " +
                  fixed(cell["change"]["interval"][1], digits) + "]";
        part += cell["change"]["changed"].get<bool>() ? ")" : ", no change told apart)";
      }
      line += part + (r + 1 < row["cells"].size() ? "  ->  " : "");
    }
    return line + "\n";
  };
  const auto count = std::count_if(c["rows"].begin(), c["rows"].end(), changed);
  text +=
      std::to_string(count) + " of " + counted(Index(c["rows"].size()), "figure") + " changed\n";
  for (const bool first : {true, false})
    for (const Json& row : c["rows"])
      if (changed(row) == first) text += line_of(row);
  for (std::size_t r = 0; r < c["queries"].size(); ++r)
    for (const Json& q : c["queries"][r]) {
      const auto listed = [&](const char* key, const char* what) {
        std::string t = counted(Index(q[key].size()), what);
        for (std::size_t i = 0; i < std::min<std::size_t>(5, q[key].size()); ++i)
          t += (i > 0               ? ", "
                : q[key].size() > 5 ? " (first: "
                                    : " (") +
               std::to_string(q[key][i].get<Index>());
        return t + (q[key].empty() ? "" : ")");
      };
      text += q["scope"].get<std::string>() + ", R@1 of " + with_commas(q["queries"].get<Index>()) +
              " queries" +
              (c["queries"].size() > 1 ? " in " + c["files"][r + 1].get<std::string>() : "") +
              ": " + listed("gained", "hit") + " gained, " + listed("lost", "hit") + " lost\n";
    }
  return text;
}

}  // namespace analyze
