// What io/ asks of POSIX: a read-only map of a file, and a new file that replaces an old one.
#pragma once

#if !defined(_WIN32)

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "spheremix/core/constants.hpp"
#include "spheremix/io/detail/file_path.hpp"
#include "spheremix/io/error.hpp"

namespace spheremix::io::detail {

struct FileBytes {
  const unsigned char* data = nullptr;
  Index size = 0;
};

/// Maps a regular file for reading. Throws io::Error.
inline FileBytes map_file(const FilePath& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) fail(path, "cannot be opened: ", std::strerror(errno));
  struct stat about {};
  const bool known = ::fstat(file, &about) == 0;
  if (!known || !S_ISREG(about.st_mode)) {
    ::close(file);
    fail(path, S_ISDIR(about.st_mode) ? "is a folder" : "is not a regular file");
  }
  const Index size = about.st_size;
  void* const map =
      size == 0 ? nullptr : ::mmap(nullptr, std::size_t(size), PROT_READ, MAP_PRIVATE, file, 0);
  const int error = errno;
  ::close(file);
  if (map == MAP_FAILED) fail(path, "cannot be mapped: ", std::strerror(error));
  return {static_cast<const unsigned char*>(map), size};
}

inline void unmap_file(FileBytes bytes) {
  if (bytes.data != nullptr)
    ::munmap(const_cast<unsigned char*>(bytes.data), std::size_t(bytes.size));
}

inline void release_pages(std::uintptr_t from, std::size_t count) {
  ::madvise(reinterpret_cast<void*>(from), count, MADV_DONTNEED);
}
inline std::uintptr_t page_size() { return std::uintptr_t(::sysconf(_SC_PAGESIZE)); }

/// A file that must not exist yet, open for writing; null, and errno, where it cannot be made.
inline std::FILE* create_file(const FilePath& path) { return std::fopen(path.c_str(), "wbx"); }

inline void remove_file(const FilePath& path) { std::remove(path.c_str()); }

/// Empty, or what went wrong.
inline std::string replace_file(const FilePath& from, const FilePath& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? "" : std::strerror(errno);
}

}  // namespace spheremix::io::detail

#endif
