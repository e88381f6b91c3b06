// --compare before.json after.json ...: differences of every figure that the runs share.
//
// A difference has an interval where both figures have one: half widths add in squares, the runs
// being taken as independent. It counts as a change when that interval leaves out 0; figures
// without an interval change when they differ in the digits shown.
#pragma once

#include "metric.hpp"
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

/// Every run against the first.
inline Json compare_runs(const std::vector<std::string>& paths) {
  Json result{{"tool", "spheremix-analyze compare"},
              {"files", paths},
              {"rows", Json::array()},
              {"runs", Json::array()}};
  for (const std::string& path : paths) result["runs"].push_back(read_run(path));
  for (const Json& m : result["runs"][0]["metrics"]) {
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
      const Json* found = nullptr;
      for (const Json& other : result["runs"][r]["metrics"])
        if (other["key"] == m["key"] && other["scope"] == m["scope"]) found = &other;
      if (found == nullptr)
        everywhere = false;
      else {
        row["cells"].push_back(cell(*found));
        row["cells"].back()["change"] = difference_of(m, *found);
      }
    }
    if (everywhere) result["rows"].push_back(row);
  }
  if (result["rows"].empty()) wrong(paths[0], ": shares no figure with the other runs");
  return result;
}

/// The table on a terminal.
inline std::string comparison_text(const Json& c) {
  std::string text;
  for (const Json& row : c["rows"]) {
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
    text += line + "\n";
  }
  return text;
}

}  // namespace analyze
