// How io/ takes a file's name: std::string, const char* or std::filesystem::path.
#pragma once

#include <string>

#if defined(_WIN32)
#include <filesystem>
#endif

namespace spheremix::io {

// std::filesystem::path turns into std::string by itself on POSIX, where names are bytes, and not
// on Windows, where they are UTF-16. <filesystem> takes a tenth of a second to compile, so it is
// only included where it is needed.
#if defined(_WIN32)
using FilePath = std::filesystem::path;
#else
using FilePath = std::string;
#endif

/// The name for messages, and of every path() in io/: as given on POSIX, UTF-8 on Windows.
inline std::string shown_path(const FilePath& path) {
#if defined(_WIN32)
  const auto name = path.u8string();
  return {name.begin(), name.end()};
#else
  return path;
#endif
}

}  // namespace spheremix::io
