// The group of one, and what becomes of ranks whose backend fails.
#include "spheremix/core/communicator.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

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
