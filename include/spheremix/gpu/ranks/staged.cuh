// Ranks that speak through host memory, by any communicator of the CPU's functions
// (core/communicator.hpp): processes of MPI, whatever joins their machines.
//
//   mpi::Communicator world(MPI_COMM_WORLD);
//   gpu::Staged staged(world, stream);
//
// Every exchange waits for the stream, copies to the host, sends, receives and copies back: calls
// cannot be captured, and the GPU idles meanwhile. For machines without NCCL, and for tests.
// Errors   what `world` throws goes to the caller; it may then be used no more.
#pragma once

#include <algorithm>
#include <vector>

#include "spheremix/core/communicator.hpp"
#include "spheremix/gpu/core/launch.cuh"
#include "spheremix/gpu/ranks/communicator.cuh"

namespace spheremix::gpu {

template <core::Communicator World>
class Staged {
 public:
  explicit Staged(World& world, cudaStream_t stream = nullptr) : world_(world), stream_(stream) {}

  int rank() const { return world_.rank(); }
  int size() const { return world_.size(); }
  cudaStream_t stream() const { return stream_; }

  Status all_gather(const void* from, void* to, std::size_t bytes) {
    char* const all = static_cast<char*>(to);
    const std::size_t place = std::size_t(rank()) * bytes;
    if (from != all + place)
      if (const Status status = status_of(
              cudaMemcpyAsync(all + place, from, bytes, cudaMemcpyDeviceToDevice, stream_));
          !status)
        return status;
    return exchange(
        [&](int) {
          return Outgoing{all + place, bytes};
        },
        [&](int r) {
          return Incoming{all + std::size_t(r) * bytes, bytes};
        });
  }

  template <class Out, class In>
  Status exchange(const Out& out, const In& in) {
    const int me = rank(), ranks = size();
    for (int step = 1; step < ranks; ++step) {
      const int to = (me + step) % ranks, from = (me - step + ranks) % ranks;
      const Outgoing sent = out(to);
      const Incoming received = in(from);
      sent_.resize((std::max)(sent_.size(), sent.bytes));
      received_.resize((std::max)(received_.size(), received.bytes));
      Status status = copy(sent_.data(), sent.data, sent.bytes, cudaMemcpyDeviceToHost);
      world_.start(to, sent_.data(), sent.bytes, from, received_.data(), received.bytes);
      world_.wait();
      if (status)
        status = copy(received.data, received_.data(), received.bytes, cudaMemcpyHostToDevice);
      if (!status) return status;
    }
    return {};
  }

 private:
  Status copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) const {
    if (bytes == 0) return {};
    const Status status = status_of(cudaMemcpyAsync(to, from, bytes, kind, stream_));
    return status ? status_of(cudaStreamSynchronize(stream_)) : status;
  }

  World& world_;
  cudaStream_t stream_;
  std::vector<char> sent_, received_;
};

}  // namespace spheremix::gpu
