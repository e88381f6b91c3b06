// What the library asks of a group of processes that work on one batch, and the group of one.
//
// Each rank owns a block of rows of every batch, one after another in the order of the ranks; blocks
// may differ in size and may be empty. A function that takes a communicator takes it last:
//
//   const auto g = losses::clip_with_gradient(x_mine, y_mine, {.temperature = tau}, world);
//
// Losses, values and dL/d ln tau are those of the whole batch, complete and with the same bits on
// every rank. Gradients are those of the whole batch's loss by the rank's own rows: parameter
// gradients are to be *summed* over the ranks (an engine that averages them needs a factor W).
//
// A backend (mpi/communicator.hpp, or a program's own) gives two things, all_gather of small blocks
// and one exchange at a time; everything else is written once on top of them, in a fixed order, so
// that no bit depends on the backend, the network or timing.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace spheremix::core {

/// What ranks speak by: their number, one gathering, one exchange at a time.
template <class C>
concept Communicator = requires(C& world, int peer, const void* from, void* to, std::size_t bytes) {
  { world.rank() } -> std::convertible_to<int>;
  { world.size() } -> std::convertible_to<int>;
  world.all_gather(from, to, bytes);  // `bytes` of each rank to all, in the order of the ranks
  world.start(peer, from, bytes, peer, to, bytes);  // sends to one rank, receives from another
  world.wait();                                     // until that exchange is over
};

/// What may follow the arguments of a loss or a metric: nothing, or one communicator.
template <class... C>
concept Worlds = sizeof...(C) <= 1 && (Communicator<C> && ...);

/// Not a communicator: of output parameters, which could be either.
template <class Out>
concept NoCommunicator = !Communicator<Out>;

/// The group of one process.
struct Alone {
  static constexpr int rank() { return 0; }
  static constexpr int size() { return 1; }
  static void all_gather(const void* from, void* to, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  static void start(int, const void*, std::size_t, int, void*, std::size_t) {}
  static void wait() {}
};

/// A communicator whose type is put away, so that what runs on it is compiled once. The first
/// exception of a backend marks it as broken: nothing is sent any more.
class Ranks {
 public:
  int rank() const { return rank_; }
  int size() const { return size_; }
  bool broken() const { return broken_; }

  void all_gather(const void* from, void* to, std::size_t bytes) {
    guarded([&] { do_all_gather(from, to, bytes); });
  }
  /// One message to rank `to` and one from rank `from`, both over when wait() returns; one at a time.
  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) {
    guarded([&] { do_start(to, out, out_bytes, from, in, in_bytes); });
  }
  void wait() {
    guarded([&] { do_wait(); });
  }
  /// Both over when it returns.
  void exchange(int to, const void* out, std::size_t out_bytes, int from, void* in,
                std::size_t in_bytes) {
    start(to, out, out_bytes, from, in, in_bytes);
    wait();
  }

 protected:
  Ranks(int rank, int size) : rank_(rank), size_(size) {}
  ~Ranks() = default;

 private:
  template <class Body>
  void guarded(const Body& body) {
    try {
      body();
    } catch (...) {
      broken_ = true;
      throw;
    }
  }
  virtual void do_all_gather(const void*, void*, std::size_t) = 0;
  virtual void do_start(int, const void*, std::size_t, int, void*, std::size_t) = 0;
  virtual void do_wait() = 0;

  int rank_, size_;
  bool broken_ = false;
};

/// A communicator as the ranks that the sums and gatherings of this library ask.
template <Communicator C>
class RanksOf final : public Ranks {
 public:
  explicit RanksOf(C& world) : Ranks(world.rank(), world.size()), world_(world) {}

 private:
  void do_all_gather(const void* from, void* to, std::size_t bytes) override {
    world_.all_gather(from, to, bytes);
  }
  void do_start(int to, const void* out, std::size_t out_bytes, int from, void* in,
                std::size_t in_bytes) override {
    world_.start(to, out, out_bytes, from, in, in_bytes);
  }
  void do_wait() override { world_.wait(); }

  C& world_;
};

}  // namespace spheremix::core
