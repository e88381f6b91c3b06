// The launches of one call and the scratch that they use.
//
// A function of the backend is written once, as a list of steps on a Work: memory is taken from it
// and kernels are launched through it. enqueue() goes through the list twice: first to count the
// bytes, launching nothing, then, if the scratch serves, in earnest. So a size and what is taken
// cannot disagree, and a call that cannot finish enqueues nothing. After the first error nothing is
// launched any more.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/gpu/core/launch.cuh"
#include "spheremix/gpu/core/scratch.cuh"

namespace spheremix::gpu {

class Work {
 public:
  /// Counts: memory is taken from nowhere, nothing is launched.
  Work() = default;

  /// On `stream`, with the memory of `scratch`.
  Work(Scratch scratch, cudaStream_t stream)
      : base_(reinterpret_cast<std::uintptr_t>(scratch.data)),
        size_(scratch.bytes),
        stream_(stream),
        counts_(false) {}

  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// `count` values of T on a boundary of 256 bytes; not to be touched by the host.
  template <class T>
  T* take(Index count) {
    const std::size_t bytes = std::size_t(count) * sizeof(T);
    if (!counts_ && (used_ > size_ || bytes > size_ - used_)) {
      status_ = invalid("the scratch is too small");
      return nullptr;
    }
    const std::uintptr_t here = base_ + used_;
    used_ += scratch_rounded(bytes);
    if (used_ > most_) most_ = used_;
    return reinterpret_cast<T*>(here);
  }

  /// What is taken while it lives is given back after.
  class Part {
   public:
    explicit Part(Work& work) : work_(work), used_(work.used_) {}
    ~Part() { work_.used_ = used_; }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

   private:
    Work& work_;
    std::size_t used_;
  };

  /// Launches kernel(arguments...); see launch.cuh.
  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
              Arguments... arguments) {
    if (launches()) status_ = gpu::launch(kernel, grid, block, shared_bytes, stream_, arguments...);
  }

  /// Enqueues what f(stream), which returns a Status, enqueues.
  template <class F>
  void then(const F& f) {
    if (launches()) status_ = f(stream_);
  }

  /// A function of CUB, f(storage, bytes, stream): its storage is taken here.
  template <class F>
  void library(const F& f) {
    const Part part(*this);
    std::size_t bytes = 0;
    if (status_) status_ = status_of(f(static_cast<void*>(nullptr), bytes, stream_));
    char* const storage = take<char>(Index(bytes > 0 ? bytes : 1));
    if (launches()) status_ = status_of(f(static_cast<void*>(storage), bytes, stream_));
  }

  /// Ends the call with an error, unless it has one.
  void fail(Status status) {
    if (status_) status_ = status;
  }

  const Status& status() const { return status_; }
  /// The most bytes that were taken at a time.
  std::size_t bytes() const { return most_; }

 private:
  bool launches() const { return !counts_ && status_.ok(); }

  std::uintptr_t base_ = kScratchAlignment;  // no pointer is null
  std::size_t size_ = 0, used_ = 0, most_ = 0;
  cudaStream_t stream_ = nullptr;
  bool counts_ = true;
  Status status_;
};

/// Goes through `steps`, a function of a Work, as the scratch has it: counts, refuses or enqueues.
template <class Steps>
Status enqueue(Scratch scratch, cudaStream_t stream, const Steps& steps,
               const char* too_small = "the scratch is too small") {
  Work counting;
  steps(counting);
  if (!counting.status()) return counting.status();
  if (scratch.needed) {
    if (*scratch.needed < counting.bytes()) *scratch.needed = counting.bytes();
    return {};
  }
  if (!scratch_aligned(scratch)) return invalid("the scratch does not lie on a 256-byte boundary");
  if (scratch.bytes < counting.bytes()) return invalid(too_small);
  Work work(scratch, stream);
  steps(work);
  return work.status();
}

}  // namespace spheremix::gpu
