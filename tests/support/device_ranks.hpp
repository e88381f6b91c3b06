// Threads of one process as the ranks of the device losses. In the emulator they speak by
// nccl::Communicator over a stand-in for NCCL, or through host memory; on a GPU, which NCCL would not
// let them share, through host memory.
#pragma once

#include "gpu.hpp"

#if defined(SPHEREMIX_EMULATOR)
#define SPHEREMIX_EMULATOR_NCCL "support/emulator/nccl.hpp"
#include "spheremix/nccl/communicator.cuh"
#endif
#include "spheremix/gpu/ranks/staged.cuh"
#include "thread_ranks.hpp"

namespace spheremix::gpu_test {

/// Any communicator: what is tested is compiled for this one.
class World {
 public:
  using Outgoing = std::function<gpu::Outgoing(int)>;
  using Incoming = std::function<gpu::Incoming(int)>;
  virtual ~World() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual cudaStream_t stream() const = 0;
  virtual gpu::Status all_gather(const void* from, void* to, std::size_t bytes) = 0;
  virtual gpu::Status exchange(const Outgoing& out, const Incoming& in) = 0;
};
template <gpu::Communicator C>
class WorldOf final : public World {
 public:
  explicit WorldOf(C& world) : world_(world) {}
  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }
  cudaStream_t stream() const override { return world_.stream(); }
  gpu::Status all_gather(const void* from, void* to, std::size_t bytes) override {
    return world_.all_gather(from, to, bytes);
  }
  gpu::Status exchange(const Outgoing& out, const Incoming& in) override {
    return world_.exchange(out, in);
  }

 private:
  C& world_;
};

#if defined(SPHEREMIX_EMULATOR)
/// A rank of the host that lets others run the emulator while it speaks.
struct TakingTurns {
  test::ThreadRank& own;
  int rank() const { return own.rank(); }
  int size() const { return own.size(); }
  void all_gather(const void* from, void* to, std::size_t bytes) {
    const emulator::NotMyTurn others;
    own.all_gather(from, to, bytes);
  }
  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) {
    const emulator::NotMyTurn others;
    own.start(to, out, out_bytes, from, in, in_bytes);
  }
  void wait() {
    const emulator::NotMyTurn others;
    own.wait();
  }
};
#endif

enum class Join { nccl, staged };  ///< staged: its exchanges wait for the stream

/// Runs body(world) on W ranks; returns what each threw, an empty text for nothing.
inline std::vector<std::string> on_device_ranks(int size, Join join,
                                                const std::function<void(World&)>& body,
                                                const test::ThreadOptions& options = {}) {
  return test::on_ranks(
      size,
      [&](test::ThreadRank& rank) {
#if defined(SPHEREMIX_EMULATOR)
        const std::lock_guard lock(emulator::turn);
        if (join == Join::nccl) {
          ncclComm comm{&rank};
          nccl::Communicator joined(&comm);
          WorldOf world(joined);
          return body(world);
        }
        TakingTurns host{rank};
#else
        (void)join;
        test::ThreadRank& host = rank;
#endif
        gpu::Staged staged(host);
        WorldOf world(staged);
        body(world);
      },
      options);
}

}  // namespace spheremix::gpu_test
