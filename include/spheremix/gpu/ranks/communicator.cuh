// What the losses of several GPUs ask of what joins them, and the group of one.
//
// A rank is a GPU with a block of rows of every batch, one after another in the order of the ranks;
// blocks may differ in size and may be empty. Losses, values and dL/d log tau are those of the whole
// batch, with the same bits on every rank; gradients are those of the whole batch's loss by the
// rank's own rows: parameter gradients are *summed* over the ranks (docs/distributed.md).
//
// A backend enqueues two things on its stream: an all_gather of equal blocks, and an exchange of
// any. It moves bytes and adds nothing: sums are ours, in the order of the ranks, so no bit depends
// on the backend, the network or timing. nccl/communicator.cuh is one, ranks/staged.cuh another.
#pragma once

#include <concepts>
#include <cstddef>

#include "spheremix/gpu/core/status.cuh"

namespace spheremix::gpu {

/// Device memory that goes to a rank, or that what comes from one fills. No bytes: no message, which
/// both sides know.
struct Outgoing {
  const void* data = nullptr;
  std::size_t bytes = 0;
};
struct Incoming {
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// exchange(out, in) sends out(r) to every other rank r and receives in(r) from it. all_gather(from,
/// to, bytes) may be in place: from = to + rank() bytes.
template <class C>
concept Communicator = requires(C& world, const void* from, void* to, std::size_t bytes,
                                Outgoing (*out)(int), Incoming (*in)(int)) {
  { world.rank() } -> std::convertible_to<int>;
  { world.size() } -> std::convertible_to<int>;
  { world.stream() } -> std::convertible_to<cudaStream_t>;
  { world.all_gather(from, to, bytes) } -> std::same_as<Status>;
  { world.exchange(out, in) } -> std::same_as<Status>;
};

/// One GPU: what a program for several runs on without them.
class OneRank {
 public:
  explicit OneRank(cudaStream_t stream = nullptr) : stream_(stream) {}
  int rank() const { return 0; }
  int size() const { return 1; }
  cudaStream_t stream() const { return stream_; }
  Status all_gather(const void* from, void* to, std::size_t bytes) const {
    if (from == to) return {};
    return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_));
  }
  template <class Out, class In>
  Status exchange(const Out&, const In&) const {
    return {};
  }

 private:
  cudaStream_t stream_;
};

}  // namespace spheremix::gpu
