// A file's bytes through a read-only memory map: nothing is loaded before it is touched. POSIX.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "spheremix/core/constants.hpp"
#include "spheremix/io/error.hpp"

namespace spheremix::io {

/// The map of one regular file. Throws io::Error. The file must not be shortened while it is mapped
/// (the operating system answers a touch beyond the end with SIGBUS); replacing it by rename is
/// fine.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) detail::fail(path, "cannot be opened: ", std::strerror(errno));
    struct stat about {};
    const bool known = ::fstat(file, &about) == 0;
    if (!known || !S_ISREG(about.st_mode)) {
      ::close(file);
      detail::fail(path, S_ISDIR(about.st_mode) ? "is a folder" : "is not a regular file");
    }
    size_ = about.st_size;
    void* map =
        size_ == 0 ? nullptr : ::mmap(nullptr, std::size_t(size_), PROT_READ, MAP_PRIVATE, file, 0);
    const int error = errno;
    ::close(file);
    if (map == MAP_FAILED) detail::fail(path, "cannot be mapped: ", std::strerror(error));
    data_ = static_cast<const unsigned char*>(map);
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<unsigned char*>(data_), std::size_t(size_));
  }

  const unsigned char* data() const { return data_; }
  Index size() const { return size_; }

  /// Gives back the memory of the whole pages inside [first, first + count): a later touch reads
  /// them anew. So a pass over a file larger than memory keeps no more of it resident than one
  /// range.
  void release(Index first, Index count) const {
    const auto page = std::uintptr_t(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(data_ + first);
    const std::uintptr_t from = (begin + page - 1) / page * page;
    const std::uintptr_t to = (begin + std::uintptr_t(count)) / page * page;
    if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }

 private:
  const unsigned char* data_ = nullptr;
  Index size_ = 0;
};

}  // namespace spheremix::io
