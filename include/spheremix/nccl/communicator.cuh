// GPUs joined by NCCL as the ranks of the device losses (gpu/ranks/communicator.cuh).
//
//   ncclCommInitRank(&comm, ranks, id, rank);             // one GPU a rank
//   nccl::Communicator world(comm, stream);
//   const nccl::Layout layout(world, n, d);               // once; waits
//   const auto call = [&](gpu::Scratch s) {
//     return gpu::losses::clip_with_gradient<T>(x, y, options, out, s, layout, world);
//   };                                                    // enqueues; capturable
//
// NCCL only moves bytes (ncclAllGather, grouped ncclSend and ncclRecv). comm and stream stay the
// caller's; one thread at a time uses them. Without <nccl.h> this header is empty but for a macro:
// SPHEREMIX_HAS_NCCL is 0.
// Errors   std::runtime_error when it is made. Later a Status: what NCCL refuses. A rank that dies,
//          or that is refused alone, leaves the others waiting on their GPUs: wait(timeout) polls
//          the stream and NCCL, and aborts the communicator on an error or at the timeout.
//          Communicators made with blocking = 0 are not for this header.
#pragma once

#if defined(SPHEREMIX_EMULATOR_NCCL)  // tests run the ranks as threads
#include SPHEREMIX_EMULATOR_NCCL
#define SPHEREMIX_HAS_NCCL 1
#elif __has_include(<nccl.h>)
#include <nccl.h>
#define SPHEREMIX_HAS_NCCL 1
#else
#define SPHEREMIX_HAS_NCCL 0
#endif

#if SPHEREMIX_HAS_NCCL

#include <chrono>
#include <thread>

#include "spheremix/gpu/ranks/layout.cuh"

namespace spheremix::nccl {

using gpu::Layout;
using gpu::Status;

class Communicator {
 public:
  explicit Communicator(ncclComm_t comm, cudaStream_t stream = nullptr)
      : comm_(comm), stream_(stream) {
    gpu::expect(status_of(ncclCommUserRank(comm, &rank_)));
    gpu::expect(status_of(ncclCommCount(comm, &size_)));
  }

  int rank() const { return rank_; }
  int size() const { return size_; }
  cudaStream_t stream() const { return stream_; }
  /// Whether wait() has ended the communicator: it must not be destroyed then, nor used.
  bool aborted() const { return aborted_; }

  Status all_gather(const void* from, void* to, std::size_t bytes) {
    if (aborted_) return gone();
    if (bytes == 0) return {};
    return status_of(ncclAllGather(from, to, bytes, ncclChar, comm_, stream_));
  }

  template <class Out, class In>
  Status exchange(const Out& out, const In& in) {
    if (aborted_) return gone();
    ncclResult_t result = ncclGroupStart();
    for (int r = 0; r < size_ && result == ncclSuccess; ++r) {
      if (r == rank_) continue;
      const gpu::Outgoing sent = out(r);
      const gpu::Incoming received = in(r);
      if (sent.bytes > 0) result = ncclSend(sent.data, sent.bytes, ncclChar, r, comm_, stream_);
      if (received.bytes > 0 && result == ncclSuccess)
        result = ncclRecv(received.data, received.bytes, ncclChar, r, comm_, stream_);
    }
    const ncclResult_t ended = ncclGroupEnd();
    return status_of(result == ncclSuccess ? ended : result);
  }

  /// Waits until the stream has done all that was enqueued, or NCCL reports an error, or the time is
  /// over (0: no limit); in the last two cases the communicator is aborted.
  Status wait(std::chrono::milliseconds timeout = std::chrono::milliseconds(0)) {
    if (aborted_) return gone();
    const auto began = std::chrono::steady_clock::now();
    for (;;) {
      const cudaError_t state = cudaStreamQuery(stream_);
      if (state == cudaSuccess) return {};
      if (state != cudaErrorNotReady) return abort(gpu::status_of(state));
      ncclResult_t error = ncclSuccess;
      const ncclResult_t asked = ncclCommGetAsyncError(comm_, &error);
      if (asked != ncclSuccess || error != ncclSuccess)
        return abort(status_of(asked != ncclSuccess ? asked : error));
      if (timeout.count() > 0 && std::chrono::steady_clock::now() - began > timeout)
        return abort({cudaErrorUnknown, "nccl: waited for the timeout, another rank is not there"});
      std::this_thread::yield();
    }
  }

 private:
  static Status status_of(ncclResult_t result) {
    if (result == ncclSuccess) return {};
    return {cudaErrorUnknown, ncclGetErrorString(result)};
  }
  static Status gone() { return {cudaErrorUnknown, "nccl: the communicator has been aborted"}; }
  Status abort(Status why) {
    aborted_ = true;
    (void)ncclCommAbort(comm_);
    return why;
  }

  ncclComm_t comm_;
  cudaStream_t stream_;
  int rank_ = 0, size_ = 1;
  bool aborted_ = false;
};

static_assert(gpu::Communicator<Communicator>);

}  // namespace spheremix::nccl

#endif
