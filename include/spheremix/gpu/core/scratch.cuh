// Memory lent for one call: f_bytes(...) says how much a call needs, the caller owns it and may use
// it again for the next call on the same stream. Never zeroed, never kept.
#pragma once

#include <cstddef>

#include "spheremix/core/host_device.hpp"

namespace spheremix::gpu {

/// A piece of device memory on a 256-byte boundary, as cudaMalloc gives it.
struct Scratch {
  void* data = nullptr;
  std::size_t bytes = 0;
};

inline constexpr std::size_t kScratchAlignment = 256;

/// Bytes that `count` values of T take, rounding included.
template <class T>
constexpr std::size_t scratch_bytes(std::size_t count) {
  return (count * sizeof(T) + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
}

/// Hands out a Scratch piece by piece.
class ScratchFrame {
 public:
  explicit ScratchFrame(Scratch scratch)
      : next_(static_cast<char*>(scratch.data)), left_(scratch.bytes) {}

  /// `count` values of T, or nullptr when the scratch is too small.
  template <class T>
  T* take(std::size_t count) {
    const std::size_t bytes = scratch_bytes<T>(count);
    if (bytes > left_) return nullptr;
    T* here = reinterpret_cast<T*>(next_);
    next_ += bytes;
    left_ -= bytes;
    return here;
  }

  Scratch rest() const { return {next_, left_}; }

 private:
  char* next_;
  std::size_t left_;
};

}  // namespace spheremix::gpu
