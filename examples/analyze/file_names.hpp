// A modality's name as part of a file's name: letters, digits, - and _ stay, the rest becomes _.
#pragma once

#include <cctype>
#include <string>

namespace analyze {

inline std::string as_file(const std::string& name) {
  std::string out;
  for (const char c : name)
    out += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ? c : '_';
  return out;
}

}  // namespace analyze
