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
    std::error_code ignored;
    for (const auto& [temporary, path] : files_) std::filesystem::remove(temporary, ignored);
    for (const std::string& folder : folders_) std::filesystem::remove(folder, ignored);
  }

  /// The name under which the caller writes `path`.
  const std::string& reserve(const std::string& path) {
    files_.emplace_back(path + "." + std::to_string(::getpid()) + ".partial", path);
    return files_.back().first;
  }

  void write(const std::string& path, const std::string& text) {
    const std::string& temporary = reserve(path);
    std::FILE* file = std::fopen(temporary.c_str(), "wb");
    if (file == nullptr) wrong(path, ": cannot be written: ", std::strerror(errno));
    const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const int error = errno;
    if (std::fclose(file) != 0 || !whole)
      throw std::runtime_error(path + ": cannot be written: " + std::strerror(error));
  }

  /// Makes a folder, which goes again where nothing is committed.
  void folder(const std::string& path) {
    if (std::filesystem::is_directory(path)) return;
    std::filesystem::create_directory(path);
    folders_.push_back(path);
  }

  void commit() {
    stop_if_asked();
    while (!files_.empty()) {
      std::filesystem::rename(files_.back().first, files_.back().second);
      files_.pop_back();
    }
    folders_.clear();
  }

 private:
  std::vector<std::pair<std::string, std::string>> files_;
  std::vector<std::string> folders_;
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

}  // namespace analyze
