// The bytes of one input: a file read by ranges, what came through a pipe, or memory.
//
// A file is opened for each read and must still be the one that was found at the start: where it was
// cut, rewritten or replaced meanwhile, the read ends with a sentence.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common.hpp"

namespace analyze {

using ByteVector = std::vector<unsigned char>;

class Bytes {
 public:
  /// A regular file stays on disk; "-" and everything else that can be read once is read now.
  explicit Bytes(const std::string& path) : path_(path) {
    const int file = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) wrong(path, ": cannot be opened: ", std::strerror(errno));
    const Closer closer{file};
    if (::fstat(file, &about_) != 0) wrong(path, ": cannot be read: ", std::strerror(errno));
    if (S_ISDIR(about_.st_mode)) wrong(path, ": is a folder");
    if (S_ISREG(about_.st_mode) && path != "-") {
      size_ = Index(about_.st_size);
      return;
    }
    auto all = std::make_shared<ByteVector>();
    for (ByteVector block(1 << 20);;) {
      const ssize_t got = ::read(file, block.data(), block.size());
      stop_if_asked();
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) wrong(path, ": cannot be read: ", std::strerror(errno));
      if (got == 0) break;
      all->insert(all->end(), block.begin(), block.begin() + got);
    }
    memory_ = all, size_ = Index(all->size());
  }
  Bytes(std::string path, ByteVector memory)
      : path_(std::move(path)),
        memory_(std::make_shared<ByteVector>(std::move(memory))),
        size_(Index(memory_->size())) {}

  /// Bytes [first, first + count) of this one.
  Bytes range(Index first, Index count) const {
    Bytes part = *this;
    part.base_ += first, part.size_ = count;
    return part;
  }

  const std::string& path() const { return path_; }
  Index size() const { return size_; }
  bool in_memory() const { return memory_ != nullptr; }

  /// May be called from any thread.
  void read(Index first, Index count, unsigned char* out) const {
    if (first < 0 || count < 0 || first > size_ || count > size_ - first)
      wrong(path_, ": ends after ", size_, " bytes, and ", count, " from ", first, " are needed");
    if (memory_) {
      std::memcpy(out, memory_->data() + base_ + first, at(count));
      return;
    }
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) wrong(path_, ": cannot be opened any more: ", std::strerror(errno));
    const Closer closer{file};
    struct stat now {};
    if (::fstat(file, &now) != 0 || now.st_size != about_.st_size || now.st_ino != about_.st_ino ||
        now.st_dev != about_.st_dev || now.st_mtim.tv_sec != about_.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != about_.st_mtim.tv_nsec)
      wrong(path_, ": changed while it was read");
    for (Index done = 0; done < count;) {
      const ssize_t got = ::pread(file, out + done, at(count - done), off_t(base_ + first + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) wrong(path_, ": cannot be read: ", std::strerror(errno));
      if (got == 0) wrong(path_, ": was cut while it was read");
      done += got;
    }
  }
  ByteVector read(Index first, Index count) const {
    if (first < 0 || count < 0 || first > size_ || count > size_ - first)
      wrong(path_, ": ends after ", size_, " bytes, and ", count, " from ", first, " are needed");
    ByteVector out(at(count));
    read(first, count, out.data());
    return out;
  }
  std::string text(Index first, Index count) const {
    const ByteVector bytes = read(first, count);
    return {bytes.begin(), bytes.end()};
  }

 private:
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  };

  std::string path_;
  std::shared_ptr<const ByteVector> memory_;
  struct stat about_ {};
  Index base_ = 0, size_ = 0;
};

/// An unsigned number of `count` bytes, little-endian.
inline std::uint64_t little_endian(const unsigned char* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace analyze
