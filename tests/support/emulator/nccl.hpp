// Stands in for NCCL in the emulator: ranks are threads of one process (../thread_ranks.hpp). Define
//   #define SPHEREMIX_EMULATOR_NCCL "support/emulator/nccl.hpp"
// before spheremix/nccl/communicator.cuh. As NCCL does, it wants sends and receives of other ranks
// in a group, ends them all when the outermost group ends, and knows of no sum here: none is asked
// for. Where NCCL would hang it throws: a message of another size, ranks that wait for each other.
//
// The emulator runs one kernel at a time: a rank holds emulator::turn but while it exchanges.
#pragma once

#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "../thread_ranks.hpp"
#include "runtime.hpp"

namespace emulator {
inline std::mutex turn;
}

enum ncclResult_t {
  ncclSuccess = 0,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6
};
enum ncclDataType_t { ncclChar = 0 };
struct ncclComm {
  spheremix::test::ThreadRank* rank;
  ncclResult_t state = ncclSuccess;
  bool aborted = false;
  struct Message {
    const void* out = nullptr;
    void* in = nullptr;
    std::size_t sent = 0, received = 0;
  };
  std::map<int, Message> group = {};
};
using ncclComm_t = ncclComm*;

namespace emulator {
inline thread_local int nccl_depth = 0;
inline thread_local ncclComm_t nccl_in_group = nullptr;
/// Lets other ranks run while it lives.
struct NotMyTurn {
  NotMyTurn() { turn.unlock(); }
  ~NotMyTurn() { turn.lock(); }
};
}  // namespace emulator

inline const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : result == ncclRemoteError ? "remote error" : "misuse";
}
inline ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  if (!comm) return ncclInvalidArgument;
  return *rank = comm->rank->rank(), ncclSuccess;
}
inline ncclResult_t ncclCommCount(ncclComm_t comm, int* count) {
  return *count = comm->rank->size(), ncclSuccess;
}
inline ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  return *error = comm->state, ncclSuccess;
}
inline ncclResult_t ncclCommAbort(ncclComm_t comm) { return comm->aborted = true, ncclSuccess; }

inline ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t,
                                  ncclComm_t comm, cudaStream_t) {
  if (emulator::nccl_depth > 0 || count == 0) return ncclInvalidUsage;
  const emulator::NotMyTurn others;
  std::vector<char> all(count * std::size_t(comm->rank->size()));
  comm->rank->all_gather(from, all.data(), count);
  std::memcpy(to, all.data(), all.size());
  return ncclSuccess;
}

inline ncclResult_t ncclGroupStart() { return ++emulator::nccl_depth, ncclSuccess; }
inline ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t, int peer,
                             ncclComm_t comm, cudaStream_t) {
  if (emulator::nccl_depth == 0 || peer == comm->rank->rank()) return ncclInvalidUsage;
  emulator::nccl_in_group = comm;
  comm->group[peer].out = from;
  comm->group[peer].sent = count;
  return ncclSuccess;
}
inline ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                             cudaStream_t) {
  if (emulator::nccl_depth == 0 || peer == comm->rank->rank()) return ncclInvalidUsage;
  emulator::nccl_in_group = comm;
  comm->group[peer].in = to;
  comm->group[peer].received = count;
  return ncclSuccess;
}
/// Only messages that were asked for: a rank with none is not met.
inline ncclResult_t ncclGroupEnd() {
  if (emulator::nccl_depth == 0) return ncclInvalidUsage;
  if (--emulator::nccl_depth > 0 || !emulator::nccl_in_group) return ncclSuccess;
  ncclComm& comm = *std::exchange(emulator::nccl_in_group, nullptr);
  const auto group = std::exchange(comm.group, {});
  const emulator::NotMyTurn others;
  for (const auto& [peer, message] : group)
    if (message.sent > 0) comm.rank->send(peer, message.out, message.sent);
  for (const auto& [peer, message] : group)
    if (message.received > 0) comm.rank->receive(peer, message.in, message.received);
  return ncclSuccess;
}
