// One HTML page that needs no network: a template with its style, script, data and pictures written
// into it. What the demo and spheremix-analyze share.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace page {

inline std::string base64(std::string_view bytes) {
  static constexpr char letters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? letters[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

/// JSON that cannot close the script it stands in, whatever a name holds.
inline std::string for_script(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json)
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  return out;
}

/// Text as a part of HTML.
inline std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return out;
}

/// A template: put() replaces the mark @@NAME@@.
class Template {
 public:
  explicit Template(std::string text) : text_(std::move(text)) {}

  void put(std::string_view name, std::string_view text) {
    const std::string mark = "@@" + std::string(name) + "@@";
    const auto place = text_.find(mark);
    if (place == std::string::npos)
      throw std::runtime_error("the report's template has no " + mark);
    text_.replace(place, mark.size(), text);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace page
