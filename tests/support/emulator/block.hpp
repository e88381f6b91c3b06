// Runs one CUDA block on one host thread, faithfully enough to find what a GPU would punish:
//
//   order       a warp runs as far as it can before the next one starts, and so do the lanes of a
//   warp between
//               two warp collectives: the widest window for a race that a missing barrier opens.
//               Forward and reverse order (emulator::order) open it on either side.
//   poison      dynamic shared memory starts as NaN bytes (forward) or as huge numbers (reverse).
//   collectives shuffles, votes, mma and warp barriers rendezvous over exactly the lanes of their
//   mask; an exited
//               lane in a mask, two different collectives meeting, and a deadlock stop the program
//               with a message.
//   cp.async    copies happen at the wait that orders them, not before; until then the target is
//   poisoned.
//   wgmma       operands and sums as late as the waits allow: wgmma.hpp.
//
// One block at a time, blocks in order; one host thread only. Not emulated: timing, weak memory
// order inside one warp's instruction, clusters, bulk copies and mbarriers of sm_90.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "async.hpp"
#include "fiber.hpp"

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

/// The coordinates of the running thread; the scheduler sets them before every resume.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

namespace emulator {

enum class Order { forward, reverse };
inline Order order = Order::forward;

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "emulator: %s (block %u %u %u, thread %u %u %u)\n", what, blockIdx.x,
               blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
  std::abort();
}

constexpr unsigned warp_size = 32;
constexpr std::size_t deposit_bytes = 64;
using Deposit = std::array<unsigned char, deposit_bytes>;

enum class Wait { nothing, warp, block };

/// What threads meet in: two of different kinds never match.
enum Collective {
  sync_warp,
  shuffle,
  vote,
  match_mma,
  load_matrix,
  warpgroup_mma,
  warpgroup_fence,
  warpgroup_commit,
  warpgroup_wait,
  sync_block,
  sync_block_count
};

struct Thread {
  Fiber fiber;
  uint3 index;
  bool done = false;
  Wait wait = Wait::nothing;
  Collective kind = sync_warp;
  unsigned mask = 0;
  Deposit deposit{};
  const Deposit* received = nullptr;  // 32 deposits, one a lane
  int predicate = 0;
  std::vector<AsyncCopy> open;                // copies not committed to a group yet
  std::deque<std::vector<AsyncCopy>> groups;  // committed, oldest first
  std::size_t copies = 0, fenced_copies = 0;  // waited for; of these, fenced for the tensor cores
  Products products;
};

class Block {
 public:
  /// Runs body() once a thread for the block at blockIdx.
  void run(const std::function<void()>& body, std::size_t shared_bytes) {
    const unsigned count = blockDim.x * blockDim.y * blockDim.z;
    if (threads_.size() < count) threads_.resize(count);
    count_ = count;
    body_ = &body;
    poison(shared_bytes);
    for (unsigned i = 0; i < count; ++i) {
      Thread& t = threads_[i];
      t.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
      t.done = false;
      t.wait = Wait::nothing;
      t.open.clear();
      t.groups.clear();
      t.copies = t.fenced_copies = 0;
      t.products.clear();
      t.fiber.prepare(entry);
    }
    schedule();
    for (unsigned w = 0; w < warp_products_.size(); ++w)
      if (warp_products_[w].size() != warp_products_[w / 4 * 4].size())
        fail("a warp left out a wgmma of its warpgroup");
  }

  /// Called by the running thread: meets every lane of `mask`, gives `mine`, returns what each lane
  /// gave.
  const Deposit* meet(Collective kind, unsigned mask, const void* mine, std::size_t bytes) {
    Thread& t = *now_;
    if (!(mask >> lane() & 1u)) fail("a thread calls a warp collective whose mask leaves it out");
    if (bytes > 0) std::memcpy(t.deposit.data(), mine, bytes);
    t.kind = kind;
    t.mask = mask;
    t.wait = Wait::warp;
    t.fiber.yield();
    return t.received;
  }

  /// Called by the running thread: waits for all threads of the block that have not exited.
  /// @return how many of them had a predicate other than 0.
  int barrier(Collective kind, int predicate) {
    Thread& t = *now_;
    t.kind = kind;
    t.predicate = predicate;
    t.wait = Wait::block;
    t.fiber.yield();
    return votes_;
  }

  Thread& now() { return *now_; }
  unsigned lane() const { return now_index_ % warp_size; }
  unsigned thread() const { return now_index_; }
  unsigned char* shared() { return shared_.get(); }

  /// Called by the running thread: its next copy has reached 16 bytes of shared memory.
  void note_copy(const void* to) {
    written_[std::size_t(static_cast<const unsigned char*>(to) - shared_.get()) / 16] = {
        now_index_, ++now_->copies};
  }
  /// Whether the tensor cores may see the 16 bytes at `offset` of shared memory.
  bool fenced(std::size_t offset) const {
    const Written& w = written_[offset / 16];
    return w.copy <= threads_[w.thread].fenced_copies || w.copy == 0;
  }
  /// A warp starts a wgmma: its warpgroup's warps must all start the same ones.
  void note_product(std::uint64_t a, std::uint64_t b) {
    const unsigned w = now_index_ / warp_size;
    if (count_ % 128) fail("wgmma: the block is not made of whole warpgroups");
    auto& mine = warp_products_[w];
    mine.push_back({a, b});
    for (unsigned v = w / 4 * 4; v < w / 4 * 4 + 4; ++v)
      if (warp_products_[v].size() >= mine.size() &&
          warp_products_[v][mine.size() - 1] != mine.back())
        fail("wgmma: warps of a warpgroup give different descriptors");
  }
  std::size_t shared_bytes() const { return shared_bytes_; }

 private:
  struct Free {
    void operator()(unsigned char* p) const { std::free(p); }
  };

  static void entry();

  void poison(std::size_t bytes) {
    const std::size_t whole = (bytes + 1023) / 1024 * 1024;
    shared_.reset(whole ? static_cast<unsigned char*>(std::aligned_alloc(1024, whole)) : nullptr);
    shared_bytes_ = bytes;
    written_.assign(whole / 16, {});
    warp_products_.assign((count_ + warp_size - 1) / warp_size, {});
    if (whole) std::memset(shared_.get(), order == Order::forward ? 0xFF : 0x7F, whole);
  }

  void resume(unsigned i) {
    now_index_ = i;
    now_ = &threads_[i];
    threadIdx = now_->index;
    now_->fiber.resume();
  }

  void schedule() {
    const unsigned warps = (count_ + warp_size - 1) / warp_size;
    for (;;) {
      for (unsigned w = 0; w < warps; ++w)
        run_warp((order == Order::forward ? w : warps - 1 - w) * warp_size);
      unsigned waiting = 0;
      votes_ = 0;
      const Thread* first = nullptr;
      for (unsigned i = 0; i < count_; ++i) {
        const Thread& t = threads_[i];
        if (t.done) continue;
        if (t.wait != Wait::block)
          fail("deadlock: a thread waits for its warp, the others for the block");
        if (first && first->kind != t.kind) fail("two different block barriers meet");
        first = &t;
        votes_ += t.predicate != 0;
        ++waiting;
      }
      if (waiting == 0) return;
      for (unsigned i = 0; i < count_; ++i) threads_[i].wait = Wait::nothing;
    }
  }

  void run_warp(unsigned first) {
    const unsigned last = std::min(first + warp_size, count_);
    do {
      for (bool ran = true; ran;) {
        ran = false;
        for (unsigned k = first; k < last; ++k) {
          const unsigned i = order == Order::forward ? k : first + last - 1 - k;
          if (threads_[i].done || threads_[i].wait != Wait::nothing) continue;
          resume(i);
          ran = true;
        }
      }
    } while (release(first, last));
    for (unsigned i = first; i < last; ++i)
      if (!threads_[i].done && threads_[i].wait == Wait::warp) {
        threadIdx = threads_[i].index;
        fail("a warp collective waits for a lane that exited or went another way");
      }
  }

  /// Lets every complete warp collective go. @return whether there was one.
  bool release(unsigned first, unsigned last) {
    unsigned meetings = 0;
    for (unsigned i = first; i < last; ++i) {
      const Thread& t = threads_[i];
      if (t.done || t.wait != Wait::warp) continue;
      bool complete = true;
      for (unsigned l = 0; l < warp_size && complete; ++l) {
        if (!(t.mask >> l & 1u)) continue;
        const unsigned j = first + l;
        complete = j < last && !threads_[j].done && threads_[j].wait == Wait::warp &&
                   threads_[j].mask == t.mask;
        if (complete && threads_[j].kind != t.kind) fail("two different warp collectives meet");
      }
      if (!complete) continue;
      auto& given = exchange_[meetings++];
      const unsigned mask = t.mask;
      for (unsigned l = 0; l < warp_size; ++l)
        if (mask >> l & 1u) {
          Thread& other = threads_[first + l];
          given[l] = other.deposit;
          other.received = given.data();
          other.wait = Wait::nothing;
        }
    }
    return meetings > 0;
  }

  std::vector<Thread> threads_;
  unsigned count_ = 0;
  const std::function<void()>* body_ = nullptr;
  Thread* now_ = nullptr;
  unsigned now_index_ = 0;
  int votes_ = 0;
  std::array<std::array<Deposit, warp_size>, warp_size> exchange_{};
  std::unique_ptr<unsigned char, Free> shared_;
  std::size_t shared_bytes_ = 0;
  std::vector<Written> written_;
  std::vector<std::vector<std::pair<std::uint64_t, std::uint64_t>>> warp_products_;
};

inline Block block;

inline void Block::entry() {
  block.now_->fiber.started();
  (*block.body_)();
  Thread& t = *block.now_;
  for (const auto& group : t.groups) t.open.insert(t.open.end(), group.begin(), group.end());
  if (!t.open.empty()) fail("a thread ends with cp.async copies it never waited for");
  if (!t.products.accumulators.empty()) fail("a thread ends with wgmmas it never waited for");
  t.done = true;
  t.fiber.finish();
}

}  // namespace emulator
