// The texts of a run's files: JSON, CSV and the one HTML page, which is a template with its style,
// script, data and pictures written into it.
#pragma once

#include "../page.hpp"
#include "metric.hpp"
#include "tables.hpp"
#include "templates.hpp"

namespace analyze {

inline std::string dumped(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

/// The document as text: one line a metric, so that two runs can be compared by eye.
inline std::string json_text(const Json& document) {
  std::string text = "{";
  bool first = true;
  for (const auto& [key, value] : document.items()) {
    text += (first ? "\n" : ",\n") + dumped(Json(key)) + ": ";
    first = false;
    if (!value.is_array() || value.empty()) {
      text += dumped(value);
      continue;
    }
    text += "[";
    for (std::size_t i = 0; i < value.size(); ++i)
      text += (i > 0 ? ",\n " : "\n ") + dumped(value[i]);
    text += "]";
  }
  return text + "\n}\n";
}

/// A spreadsheet takes a cell that starts with one of these for a formula.
inline std::string no_formula(const std::string& text) {
  return !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos
             ? "'" + text
             : text;
}

inline std::string csv_cell(const std::string& given) {
  const std::string text = no_formula(given);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

inline std::string plain_number(const Json& value) {
  return value.is_number() ? dumped(value) : "";
}

inline std::string metrics_csv(const Json& document) {
  std::string text = "scope,metric,value,low,high,how,reading\n";
  for (const Json& m : document["metrics"]) {
    text += csv_cell(m["scope"]) + "," + m["key"].get<std::string>() + "," +
            plain_number(m["value"]) + ",";
    text += m.contains("interval")
                ? plain_number(m["interval"][0]) + "," + plain_number(m["interval"][1])
                : ",";
    text += "," + csv_cell(m["how"]) + "," + csv_cell(m.value("reading", "")) + "\n";
  }
  return text;
}

inline std::string spectrum_csv(const Json& document) {
  std::string text = "modality,k,centred,uncentred\n";
  for (const Json& m : document["modalities"])
    for (std::size_t i = 0; i < m["spectrum"]["centred"].size(); ++i)
      text += csv_cell(m["name"]) + "," + dumped(m["spectrum"]["centred"][i][0]) + "," +
              dumped(m["spectrum"]["centred"][i][1]) + "," +
              dumped(m["spectrum"]["uncentred"][i][1]) + "\n";
  return text;
}

inline std::string hubs_csv(const Json& document) {
  std::string text = "neighbours_of,hub_in,row,count,share,name\n";
  const auto add = [&](const std::string& asked, const std::string& owner, const Json& hubs) {
    for (const Json& h : hubs) {
      const std::string id = std::to_string(h["id"].get<Index>());
      const Json& items = document["items"];
      text += csv_cell(asked) + "," + csv_cell(owner) + "," + id + "," + dumped(h["count"]) + "," +
              dumped(h["share"]) + "," +
              csv_cell(items.contains(id) ? items[id].value("name", items[id].value("label", ""))
                                          : "") +
              "\n";
    }
  };
  for (const Json& m : document["modalities"]) add(m["name"], m["name"], m["hubs"]);
  for (const Json& p : document["pairs"]) {
    if (!p.contains("hubs")) continue;  // rows of different widths
    add(p["x"], p["y"], p["hubs"]["forward"]);
    add(p["y"], p["x"], p["hubs"]["back"]);
  }
  return text;
}

/// The page around `data`, drawn by `script`.
inline std::string render_page(const std::string& script, const std::string& title,
                               const Json& data, const Atlas& atlas) {
  page::Template report(template_text("report.html"));
  const Json pictures = {
      {"width", atlas.cell_width},
      {"height", atlas.cell_height},
      {"columns", atlas.columns},
      {"url", atlas.png.empty() ? "" : "data:image/png;base64," + page::base64(atlas.png)}};
  report.put("STYLE", template_text("report.css"));
  report.put("PLOTS", template_text("plots.js"));
  report.put("SCRIPT", script == "report.js" ? template_text("map.js") + template_text(script)
                                             : template_text(script));
  report.put("PICTURES", dumped(pictures));
  report.put("DATA", page::for_script(dumped(data)));
  report.put("TITLE", page::escaped(title));  // last: what users named is not searched for marks
  return report.text();
}

/// Text whose line ends are written out: a name may hold some.
inline std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? "\\n" : std::string(1, c);
  return out;
}

}  // namespace analyze
