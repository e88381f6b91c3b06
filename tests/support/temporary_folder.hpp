// A folder for one test case, removed at its end.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace spheremix::test {

class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_((std::filesystem::temp_directory_path() / "spheremix-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// folder / "name" and so on, as strings.
inline std::string operator/(const TemporaryFolder& folder, const std::string& name) {
  return folder.path() + "/" + name;
}
inline std::string operator/(const std::string& folder, const std::string& name) {
  return folder + "/" + name;
}

}  // namespace spheremix::test
