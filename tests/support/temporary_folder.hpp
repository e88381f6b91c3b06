// A folder for one test case, removed at its end.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>

namespace spheremix::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::random_device random;
    do {
      const std::string name = "spheremix-" + std::to_string(random());
      path_ = (std::filesystem::temp_directory_path() / name).string();
    } while (!std::filesystem::create_directory(path_));
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

/// A file of these bytes under a new name: on Windows one that is mapped cannot be written again.
inline std::string store(const TemporaryFolder& folder, const std::string& bytes) {
  static int files = 0;
  const std::string path = folder / std::to_string(++files);
  std::ofstream file(path, std::ios::binary);
  if (!(file << bytes).flush()) throw std::runtime_error("cannot be written: " + path);
  return path;
}

}  // namespace spheremix::test
