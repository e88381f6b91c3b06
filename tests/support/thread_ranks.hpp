// W threads of one process as the ranks of a communicator: for what several processes do, under
// sanitizers, with random delays, with an exchange that fails, without MPI.
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "spheremix/core/communicator.hpp"
#include "spheremix/core/constants.hpp"

namespace spheremix::test {

/// What an exchange throws that fails here, or whose other side has.
struct ExchangeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct ThreadOptions {
  int threads = 1;        ///< OpenMP's of each rank
  unsigned delays = 0;    ///< seed of random waits, or 0: none
  int failing_rank = -1;  ///< whose ...
  int failing_call = -1;  ///< ... k-th call fails
};

/// What all ranks share.
class ThreadWorld {
 public:
  ThreadWorld(int ranks, const ThreadOptions& settings)
      : size(ranks),
        options(settings),
        gathered_(std::size_t(ranks)),
        boxes_(std::size_t(ranks * ranks)),
        sent(std::size_t(ranks)) {}

  void all_gather(int rank, const void* from, void* to, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return !leaving_; });
    gathered_[std::size_t(rank)] = from;
    if (++arrived_ == size) leaving_ = true, changed_.notify_all();
    wait(lock, [&] { return leaving_; });
    for (int r = 0; r < size; ++r)
      std::memcpy(static_cast<char*>(to) + std::size_t(r) * bytes, gathered_[std::size_t(r)],
                  bytes);
    // Nobody leaves before all have copied: what was gathered is the callers' memory.
    if (++copied_ == size)
      copied_ = arrived_ = 0, leaving_ = false, ++round_, changed_.notify_all();
    else {
      const int round = round_;
      wait(lock, [&] { return round_ != round; });
    }
    sent[std::size_t(rank)] += bytes * std::size_t(size - 1);
  }
  void send(int from, int to, const void* data, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    Box& box = boxes_[std::size_t(from * size + to)];
    wait(lock, [&] { return !box.full; });
    const char* const first = static_cast<const char*>(data);
    box.data.assign(first, first + bytes);
    box.full = true;
    sent[std::size_t(from)] += bytes;
    changed_.notify_all();
  }
  void receive(int from, int to, void* data, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    Box& box = boxes_[std::size_t(from * size + to)];
    wait(lock, [&] { return box.full; });
    if (box.data.size() != bytes)
      throw ExchangeError("a message of " + std::to_string(box.data.size()) + " bytes where " +
                          std::to_string(bytes) + " were awaited");
    if (bytes > 0) std::memcpy(data, box.data.data(), bytes);
    box.full = false;
    changed_.notify_all();
  }
  /// A rank does nothing more.
  void leave() {
    const std::lock_guard lock(mutex_);
    ++returned_;
    look_for_deadlock();
  }
  /// Wakes everyone up with an error.
  void die() {
    const std::lock_guard lock(mutex_);
    dead_ = true;
    changed_.notify_all();
  }

  const int size;
  const ThreadOptions options;

 private:
  struct Box {
    std::vector<char> data;
    bool full = false;
  };
  template <class Holds>
  void wait(std::unique_lock<std::mutex>& lock, const Holds& holds) {
    const auto mine = waiting_.insert(waiting_.end(), std::cref(holds));
    look_for_deadlock();
    changed_.wait(lock, [&] { return dead_ || holds(); });
    waiting_.erase(mine);
    if (!holds()) throw ExchangeError("another rank has failed");
  }
  /// A deadlock is a failure at once: every rank waits or has returned, and nobody's wait is over.
  void look_for_deadlock() {
    if (int(waiting_.size()) + returned_ < size || waiting_.empty()) return;
    for (const auto& over : waiting_)
      if (over()) return;
    dead_ = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::list<std::function<bool()>> waiting_;
  int returned_ = 0;
  std::condition_variable changed_;
  std::vector<const void*> gathered_;
  int arrived_ = 0, copied_ = 0, round_ = 0;
  bool leaving_ = false, dead_ = false;
  std::vector<Box> boxes_;

 public:
  std::vector<std::size_t> sent;  ///< bytes of each rank
};

/// Any communicator: what is tested is compiled for this one.
class AnyRank {
 public:
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void all_gather(const void* from, void* to, std::size_t bytes) = 0;
  virtual void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
                     std::size_t in_bytes) = 0;
  virtual void wait() = 0;
  /// Runs a call of the library, and nothing of the test's own: where that matters.
  virtual void around(const std::function<void()>& body) { body(); }

 protected:
  ~AnyRank() = default;
};

/// One rank.
class ThreadRank final : public AnyRank {
 public:
  ThreadRank(ThreadWorld& world, int rank)
      : world_(world), rank_(rank), random_(world.options.delays + unsigned(rank)) {}

  int rank() const override { return rank_; }
  int size() const override { return world_.size; }
  std::size_t sent() const { return world_.sent[std::size_t(rank_)]; }

  void all_gather(const void* from, void* to, std::size_t bytes) override {
    step();
    world_.all_gather(rank_, from, to, bytes);
  }
  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) override {
    step();
    world_.send(rank_, to, out, out_bytes);
    from_ = from, in_ = in, in_bytes_ = in_bytes;
  }
  void wait() override { world_.receive(from_, rank_, in_, in_bytes_); }
  /// One half of an exchange, as NCCL's groups have them.
  void send(int to, const void* data, std::size_t bytes) {
    step();
    world_.send(rank_, to, data, bytes);
  }
  void receive(int from, void* data, std::size_t bytes) {
    world_.receive(from, rank_, data, bytes);
  }

 private:
  void step() {
    if (world_.options.delays)
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % 400));
    const int call = calls_++;
    if (rank_ == world_.options.failing_rank && call == world_.options.failing_call) {
      world_.die();
      throw ExchangeError("exchange " + std::to_string(call) + " fails");
    }
  }

  ThreadWorld& world_;
  int rank_, calls_ = 0, from_ = 0;
  void* in_ = nullptr;
  std::size_t in_bytes_ = 0;
  std::mt19937 random_;
};

/// Runs body(rank) on W ranks; returns what each threw, an empty text for nothing.
inline std::vector<std::string> on_ranks(int size, const std::function<void(ThreadRank&)>& body,
                                         const ThreadOptions& options = {}) {
  ThreadWorld world(size, options);
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r)
    threads.emplace_back([&, r] {
#if defined(_OPENMP)
      omp_set_num_threads(options.threads);
#endif
      ThreadRank rank(world, r);
      try {
        body(rank);
      } catch (const std::exception& error) {
        errors[std::size_t(r)] = error.what();
        if (errors[std::size_t(r)].empty()) errors[std::size_t(r)] = "?";
        world.die();
      }
      world.leave();
    });
  for (auto& thread : threads) thread.join();
  return errors;
}

/// Row numbers where the blocks of n rows over W ranks begin, W + 1 of them.
enum class Cut { even, uneven, first_empty, last_has_all };
inline constexpr Cut kCuts[] = {Cut::even, Cut::uneven, Cut::first_empty, Cut::last_has_all};
inline std::vector<Index> blocks(Index n, int size, Cut cut) {
  std::vector<Index> first(std::size_t(size + 1), n);
  first[0] = 0;
  for (int r = 1; r < size; ++r) {
    Index at = n * r / size;
    if (cut == Cut::uneven) at = n * r * r / (size * size);
    if (cut == Cut::first_empty) at = n * (r - 1) / (size - 1);
    if (cut == Cut::last_has_all) at = 0;
    first[std::size_t(r)] = at;
  }
  return first;
}

}  // namespace spheremix::test
