// Files the tool writes: all of them whole, or none. Each goes to a temporary name beside its
// target; commit() renames them once everything is written.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common.hpp"

namespace analyze {

class OutputFiles {
 public:
  OutputFiles() = default;
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;
  ~OutputFiles() {
    for (const auto& [temporary, path] : files_) std::remove(temporary.c_str());
  }

  void write(const std::string& path, const std::string& text) {
    const std::string temporary = path + "." + std::to_string(::getpid()) + ".partial";
    std::FILE* file = std::fopen(temporary.c_str(), "wb");
    if (file == nullptr) wrong(path, ": cannot be written: ", std::strerror(errno));
    files_.emplace_back(temporary, path);
    const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const int error = errno;
    if (std::fclose(file) != 0 || !whole)
      throw std::runtime_error(path + ": cannot be written: " + std::strerror(error));
  }

  void commit() {
    stop_if_asked();
    while (!files_.empty()) {
      std::filesystem::rename(files_.back().first, files_.back().second);
      files_.pop_back();
    }
  }

 private:
  std::vector<std::pair<std::string, std::string>> files_;
};

/// Fails before any work is done where `path` could not be written in the end.
inline void expect_writable(const std::string& path) {
  if (path.empty()) return;
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : ".";
  if (fs::is_directory(path)) wrong(path, ": is a folder");
  if (!fs::is_directory(folder)) wrong(path, ": there is no folder ", folder.string());
  if (::access(folder.c_str(), W_OK) != 0)
    wrong(path, ": cannot be written: ", std::strerror(errno));
}

inline std::string base64(const std::string& bytes) {
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

}  // namespace analyze
