// A file's bytes through a read-only memory map: nothing is loaded before it is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "spheremix/core/constants.hpp"
#include "spheremix/io/detail/posix_file.hpp"
#include "spheremix/io/detail/windows_file.hpp"

namespace spheremix::io {

/// The map of one regular file. Throws io::Error. The file must not be shortened while it is mapped
/// (POSIX answers a touch beyond the end with SIGBUS; Windows refuses to shorten it). Replacing it
/// by rename is fine on POSIX; on Windows it is refused until the map is gone.
class MappedFile {
 public:
  explicit MappedFile(const FilePath& path) : bytes_(detail::map_file(path)) {}
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile() { detail::unmap_file(bytes_); }

  const unsigned char* data() const { return bytes_.data; }
  Index size() const { return bytes_.size; }

  /// Gives back the memory of the whole pages inside [first, first + count): a later touch reads
  /// them anew. So a pass over a file larger than memory keeps no more of it resident than one
  /// range.
  void release(Index first, Index count) const {
    const std::uintptr_t page = detail::page_size();
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes_.data + first);
    const std::uintptr_t from = (begin + page - 1) / page * page;
    const std::uintptr_t to = (begin + std::uintptr_t(count)) / page * page;
    if (from < to) detail::release_pages(from, to - from);
  }

 private:
  detail::FileBytes bytes_;
};

}  // namespace spheremix::io
