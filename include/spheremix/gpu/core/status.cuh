// What every function of the backend returns: a CUDA error code and a sentence. Nothing is thrown
// or printed.
//
// Conventions of the backend
//   A function checks its arguments on the host, enqueues kernels on the stream it is given and
//   returns: it never allocates, never synchronises, and can be captured into a CUDA graph. Memory
//   it needs comes from the caller: scratch_needed(call) says how much (core/scratch.cuh). A status
//   says whether the arguments were right and the launches accepted; faults of a running kernel
//   surface at the caller's next synchronisation. Undefined points (zero rows, antipodes, NaN) give
//   NaN in their own row.
#pragma once

#include "spheremix/gpu/core/toolkit.cuh"

namespace spheremix::gpu {

struct [[nodiscard]] Status {
  cudaError_t code = cudaSuccess;
  const char* text = "";  ///< which function and what was wrong; lives as long as the program

  bool ok() const { return code == cudaSuccess; }
  explicit operator bool() const { return ok(); }
};

/// An argument that cannot be right.
inline Status invalid(const char* text) { return {cudaErrorInvalidValue, text}; }

/// The outcome of a CUDA call. CUDA also remembers what it refused and hands it to whoever asks
/// next; the caller has the status, so that memory is cleared.
inline Status status_of(cudaError_t code) {
  if (code == cudaSuccess) return {};
  (void)cudaGetLastError();
  return {code, cudaGetErrorString(code)};
}

}  // namespace spheremix::gpu
