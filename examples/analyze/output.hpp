// Files the tool writes: all of them whole, or none.
//
//   plan      before the work: the folder is there and may be written, and the target is no input and
//             no other output, whatever name or link leads to it
//   write     an ordinary file goes to a temporary name beside the one that links lead to; what goes
//             to a device or a pipe is kept until the end
//   commit    devices and pipes are written through, then every file is renamed into its place; where
//             one of these steps fails, the files that were there before are put back
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common.hpp"

namespace analyze {

namespace detail {

/// What a name leads to: for an existing file its device and number, otherwise the path itself.
inline std::string identity(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0)
    return std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino);
  return path;
}

inline bool same_file(const struct stat& about, int descriptor) {
  struct stat other {};
  return ::fstat(descriptor, &other) == 0 && other.st_dev == about.st_dev &&
         other.st_ino == about.st_ino;
}

[[noreturn]] inline void unwritable(const std::string& path, int error) {
  throw std::runtime_error(path + ": cannot be written: " + std::strerror(error));
}

}  // namespace detail

class OutputFiles {
 public:
  OutputFiles() = default;
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;
  ~OutputFiles() {
    std::error_code ignored;
    for (const Target& t : targets_)
      if (!t.temporary.empty()) std::filesystem::remove(t.temporary, ignored);
    for (const std::string& folder : folders_) std::filesystem::remove(folder, ignored);
  }

  /// No output may be this file.
  void protect(const std::string& input) { inputs_.push_back(detail::identity(input)); }

  /// Throws before any work is done where `path` could not be written in the end. WrongInput: it is
  /// no name for a file, an input, or planned twice.
  void plan(const std::string& path) {
    if (path.empty()) return;
    Target t = resolve(path);
    if (std::find(inputs_.begin(), inputs_.end(), t.identity) != inputs_.end())
      wrong(path, ": is an input and would be overwritten");
    for (const Target& other : targets_)
      if (t.ordinary && other.identity == t.identity)
        wrong(path, ": is given for two outputs", other.asked == path ? "" : ", also as ",
              other.asked == path ? "" : other.asked);
    targets_.push_back(std::move(t));
  }

  /// A folder for several files; `names` of them are planned.
  void plan_folder(const std::string& folder, const std::vector<std::string>& names) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (!fs::is_directory(folder, error)) {
      if (fs::exists(fs::symlink_status(folder, error))) wrong(folder, ": is not a folder");
      const fs::path whole = fs::absolute(without_last_slash(folder)), above = whole.parent_path();
      if (!fs::is_directory(above, error)) wrong(folder, ": there is no folder ", above.string());
      if (::access(above.c_str(), W_OK | X_OK) != 0) detail::unwritable(folder, errno);
      for (const std::string& name : names) {
        const std::string path = folder + "/" + name;
        targets_.push_back({path, (whole / name).string(), (whole / name).string(), "", "", true});
      }
      return;
    }
    for (const std::string& name : names) plan(folder + "/" + name);
  }

  /// Whether one of the planned outputs is where standard output goes.
  bool takes_standard_output() const {
    return std::any_of(targets_.begin(), targets_.end(), [](const Target& t) {
      struct stat about {};
      return !t.ordinary && ::stat(t.asked.c_str(), &about) == 0 && detail::same_file(about, 1);
    });
  }

  /// The name under which the caller writes `path`.
  const std::string& reserve(const std::string& path) {
    auto t = std::find_if(targets_.begin(), targets_.end(), [&](const Target& other) {
      return other.asked == path && other.temporary.empty();
    });
    if (t == targets_.end()) plan(path), t = targets_.end() - 1;
    const std::filesystem::path folder = t->ordinary ? std::filesystem::path(t->place).parent_path()
                                                     : std::filesystem::temp_directory_path();
    t->temporary = (folder / (".spheremix-" + std::to_string(::getpid()) + "-" +
                              std::to_string(++count_) + ".partial"))
                       .string();
    return t->temporary;
  }

  void write(const std::string& path, const std::string& text) {
    const std::string temporary = reserve(path);
    std::FILE* file = std::fopen(temporary.c_str(), "wbx");
    if (file == nullptr) detail::unwritable(path, errno);
    errno = 0;
    const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool flushed = whole && std::fflush(file) == 0;
    const int error = errno;
    if (std::fclose(file) != 0 || !flushed) detail::unwritable(path, error != 0 ? error : errno);
  }

  /// Makes a folder, which goes again where nothing is committed.
  void folder(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) return;
    if (!std::filesystem::create_directory(path, error) && error)
      detail::unwritable(path, error.value());
    folders_.push_back(without_last_slash(path));
  }

  void commit() {
    stop_if_asked();
    for (const Target& t : targets_)
      if (!t.temporary.empty() && !t.ordinary) pour(t);
    std::size_t done = 0;
    try {
      for (; done < targets_.size(); ++done)
        if (!targets_[done].temporary.empty() && targets_[done].ordinary) put(targets_[done]);
    } catch (...) {
      while (done-- > 0) take_back(targets_[done]);
      throw;
    }
    for (const Target& t : targets_)
      if (!t.kept.empty()) ::unlink(t.kept.c_str());
    std::error_code ignored;
    for (const Target& t : targets_)
      if (!t.ordinary && !t.temporary.empty()) std::filesystem::remove(t.temporary, ignored);
    targets_.clear();
    folders_.clear();
  }

 private:
  struct Target {
    std::string asked, place, identity;  ///< as given; where links lead
    std::string temporary, kept;         ///< kept: the file that was there before, until the end
    bool ordinary = true;                ///< no device, no pipe, not where standard output goes
  };

  static std::string without_last_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
  }

  static Target resolve(const std::string& path) {
    namespace fs = std::filesystem;
    struct stat about {};
    Target t{path, path, "", "", "", true};
    if (::stat(path.c_str(), &about) == 0) {
      if (S_ISDIR(about.st_mode)) wrong(path, ": is a folder");
      t.identity = detail::identity(path);
      t.ordinary =
          S_ISREG(about.st_mode) && !detail::same_file(about, 1) && !detail::same_file(about, 2);
      if (::access(path.c_str(), W_OK) != 0) detail::unwritable(path, errno);
      if (!t.ordinary) return t;
      std::error_code error;
      t.place = fs::canonical(path, error).string();
      if (error) detail::unwritable(path, error.value());
    } else {
      const int error = errno;
      if (error == ENOTDIR || error == ENOENT) {
        std::error_code ignored;
        fs::path at = fs::absolute(path);
        for (int links = 0; links < 40 && fs::is_symlink(fs::symlink_status(at, ignored)); ++links)
          at = at.parent_path() / fs::read_symlink(at, ignored);
        t.place = (fs::weakly_canonical(at.parent_path(), ignored) / at.filename()).string();
        if (!at.has_filename()) wrong(path, ": is not the name of a file");
        if (!fs::is_directory(at.parent_path(), ignored))
          wrong(path, ": there is no folder ", at.parent_path().string());
      } else {
        detail::unwritable(path, error);
      }
      t.identity = t.place;
    }
    const std::string folder = fs::path(t.place).parent_path().string();
    if (::access(folder.c_str(), W_OK | X_OK) != 0) detail::unwritable(path, errno);
    return t;
  }

  /// Into a device, a pipe or the program's own standard output.
  static void pour(const Target& t) {
    struct stat about {};
    const bool known = ::stat(t.asked.c_str(), &about) == 0;
    int to = -1;
    for (const int own : {1, 2})
      if (to < 0 && known && detail::same_file(about, own)) to = ::dup(own);
    while (to < 0 && (to = ::open(t.asked.c_str(), O_WRONLY | O_CLOEXEC)) < 0) {
      if (errno != EINTR) detail::unwritable(t.asked, errno);
      stop_if_asked();
    }
    const int from = ::open(t.temporary.c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<char> block(1 << 16);
    int error = from < 0 ? errno : 0;
    for (ssize_t got = 1; error == 0 && got > 0;) {
      got = ::read(from, block.data(), block.size());
      if (got < 0) error = errno;
      for (ssize_t put = 0; error == 0 && put < got;) {
        const ssize_t n = ::write(to, block.data() + put, std::size_t(got - put));
        if (n >= 0)
          put += n;
        else if (errno != EINTR)
          error = errno;
        else if (interrupt_asked != 0)
          error = EINTR;
      }
    }
    if (from >= 0) ::close(from);
    if (::close(to) != 0 && error == 0) error = errno;
    stop_if_asked();
    if (error != 0) detail::unwritable(t.asked, error);
  }

  void put(Target& t) {
    struct stat before {};
    if (::stat(t.place.c_str(), &before) == 0) {
      ::chmod(t.temporary.c_str(), before.st_mode & 07777);
      const std::string kept = t.temporary + ".before";
      if (::link(t.place.c_str(), kept.c_str()) == 0) t.kept = kept;
    }
    if (std::rename(t.temporary.c_str(), t.place.c_str()) == 0) return;
    const int error = errno;
    if (!t.kept.empty()) ::unlink(t.kept.c_str()), t.kept.clear();
    detail::unwritable(t.asked, error);
  }

  static void take_back(Target& t) {
    if (!t.ordinary || t.temporary.empty()) return;
    if (t.kept.empty())
      ::unlink(t.place.c_str());
    else
      std::rename(t.kept.c_str(), t.place.c_str());
    t.kept.clear();
  }

  std::vector<Target> targets_;
  std::vector<std::string> inputs_, folders_;
  int count_ = 0;
};

}  // namespace analyze
