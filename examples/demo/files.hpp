// Files whole or not at all, and JSON.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "estimate.hpp"

namespace demo {

using Json = nlohmann::ordered_json;

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Whole or not at all: written beside `path`, then moved there.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream file(part, std::ios::binary);
  file.write(text.data(), std::streamsize(text.size())).flush();
  if (!file) throw std::runtime_error("cannot write " + part.string());
  file.close();
  std::filesystem::rename(part, path);
}

inline Json to_json(Estimate e) { return {{"mean", e.mean}, {"standard_error", e.standard_error}}; }

/// The object as text, one line a member.
inline std::string lines(const Json& object) {
  std::string text;
  for (const auto& [key, value] : object.items())
    text += (text.empty() ? "{" : ",\n ") + Json(key).dump() + ": " + value.dump();
  return text + "}\n";
}

}  // namespace demo
