// Memory lent for one call. scratch_needed(call) says how much a call takes; the caller owns it and
// may use it again for the next call on the same stream. Never zeroed, never kept.
//
//   const std::size_t bytes = scratch_needed(
//       [&](Scratch s) { return clip_with_gradient(x, y, options, out, s); });
#pragma once

#include <cstddef>
#include <cstdint>

#include "spheremix/gpu/core/status.cuh"

namespace spheremix::gpu {

/// A piece of device memory on a 256-byte boundary, as cudaMalloc gives it.
struct Scratch {
  void* data = nullptr;
  std::size_t bytes = 0;
  /// Not null: the call counts. It checks its arguments, raises *needed to the bytes that it would
  /// take and enqueues nothing.
  std::size_t* needed = nullptr;
};

inline constexpr std::size_t kScratchAlignment = 256;

/// Bytes rounded up to that boundary.
constexpr std::size_t scratch_rounded(std::size_t bytes) {
  return (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
}

/// Whether the scratch begins where it must. A slice of a larger allocation may not, and kernels
/// that read 16 bytes at a time would end the context.
inline bool scratch_aligned(Scratch scratch) {
  return reinterpret_cast<std::uintptr_t>(scratch.data) % kScratchAlignment == 0;
}

/// Bytes of scratch that `call`, a function of a Scratch that returns its Status, takes with these
/// very arguments (rows that lie as the kernels want them need no copy); 0 where the arguments are
/// wrong, which the call itself then says.
template <class Call>
std::size_t scratch_needed(const Call& call) {
  std::size_t needed = 0;
  const Status status = call(Scratch{nullptr, 0, &needed});
  return status ? needed : 0;
}

}  // namespace spheremix::gpu
