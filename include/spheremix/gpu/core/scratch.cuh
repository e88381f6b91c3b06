// Memory lent for one call: f_bytes(...) says how much a call needs, the caller owns it and may use
// it again for the next call on the same stream. Never zeroed, never kept.
#pragma once

#include <cstddef>
#include <cstdint>

#include "spheremix/gpu/core/status.cuh"

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

/// Whether the scratch begins where it must. A slice of a larger allocation may not, and kernels
/// that read 16 bytes at a time would end the context.
inline bool scratch_aligned(Scratch scratch) {
  return reinterpret_cast<std::uintptr_t>(scratch.data) % kScratchAlignment == 0;
}

/// What is wrong with a scratch that does not serve.
inline Status scratch_refused(Scratch scratch, const char* too_small = "the scratch is too small") {
  return invalid(scratch_aligned(scratch) ? too_small
                                          : "the scratch does not lie on a 256-byte boundary");
}
/// Whether a scratch serves a call that needs `bytes`.
inline Status scratch_status(Scratch scratch, std::size_t bytes) {
  return scratch_aligned(scratch) && scratch.bytes >= bytes ? Status{} : scratch_refused(scratch);
}

/// Hands out a Scratch piece by piece.
class ScratchFrame {
 public:
  explicit ScratchFrame(Scratch scratch)
      : next_(static_cast<char*>(scratch.data)),
        left_(scratch_aligned(scratch) ? scratch.bytes : 0) {}

  /// `count` values of T, or nullptr when the scratch is too small or off its boundary.
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
