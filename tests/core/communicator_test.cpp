// The group of one, and what becomes of ranks whose backend fails.
#include "spheremix/core/communicator.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "support/thread_ranks.hpp"

using namespace spheremix;

namespace {

/// Fails from exchange number `good` on.
struct Failing {
  int good;
  int started = 0;

  static int rank() { return 1; }
  static int size() { return 3; }
  static void all_gather(const void*, void*, std::size_t) {}
  void start(int, const void*, std::size_t, int, void*, std::size_t) {
    if (started++ >= good) throw std::runtime_error("the cable is out");
  }
  static void wait() {}
};

struct NoWait {
  static int rank() { return 0; }
  static int size() { return 1; }
  static void all_gather(const void*, void*, std::size_t) {}
  static void start(int, const void*, std::size_t, int, void*, std::size_t) {}
};

}  // namespace

static_assert(core::Communicator<core::Alone> && core::Communicator<Failing>);
static_assert(!core::Communicator<NoWait> && !core::Communicator<int>);
static_assert(core::Worlds<> && core::Worlds<core::Alone>);
static_assert(!core::Worlds<int> && !core::Worlds<core::Alone, core::Alone>);

TEST_CASE("communicator: alone, what is gathered is one's own") {
  core::Alone world;
  core::RanksOf<core::Alone> ranks(world);
  const double mine[] = {3, 5};
  double all[] = {0, 0};
  ranks.all_gather(mine, all, sizeof mine);
  CHECK(ranks.rank() == 0);
  CHECK(ranks.size() == 1);
  CHECK(all[0] == 3);
  CHECK(all[1] == 5);
  CHECK(!ranks.broken());
}

TEST_CASE("communicator: ranks know that their backend has failed") {
  Failing world{1};
  core::RanksOf<Failing> ranks(world);
  char byte = 0;
  ranks.exchange(2, &byte, 1, 0, &byte, 1);
  CHECK(!ranks.broken());
  CHECK_THROWS_WITH_AS(ranks.exchange(2, &byte, 1, 0, &byte, 1), "the cable is out",
                       std::runtime_error);
  CHECK(ranks.broken());
  CHECK(ranks.rank() == 1);
  CHECK(ranks.size() == 3);
}

TEST_CASE(
    "communicator: threads that wait for each other, or for one that has returned, fail at once") {
  using Errors = std::vector<std::string>;
  const std::string failed = "another rank has failed";
  // All wait for a message that nobody sends.
  CHECK(test::on_ranks(3, [](test::ThreadRank& rank) {
          char byte = 0;
          const int to = (rank.rank() + 1) % 3;
          rank.start(to, &byte, 1, to, &byte, 1);
          rank.wait();
        }) == Errors{failed, failed, failed});
  // One leaves.
  CHECK(test::on_ranks(3, [](test::ThreadRank& rank) {
          char mine = 0, all[3];
          if (rank.rank() != 1) rank.all_gather(&mine, all, 1);
        }) == Errors{failed, "", failed});
  // No deadlock: rank 0 waits for rank 1 while that one is busy, then the other way round.
  CHECK(test::on_ranks(2, [](test::ThreadRank& rank) {
          char byte = 0, all[2];
          for (int k = 0; k < 50; ++k) {
            if (rank.rank() == k % 2) std::this_thread::sleep_for(std::chrono::microseconds(100));
            rank.all_gather(&byte, all, 1);
            rank.start(1 - rank.rank(), &byte, 1, 1 - rank.rank(), &byte, 1);
            rank.wait();
          }
        }) == Errors{"", ""});
}
