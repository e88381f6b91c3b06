// The malloc of this program, which fails where it is told to.
#include "distributed/failing_memory.hpp"

#include <cstdlib>
#include <utility>

#include "support/allocations.hpp"

#if defined(SPHEREMIX_COUNTS_ALLOCATIONS)
bool spheremix::test::allocations_fail() { return true; }
long spheremix::test::fail_allocation(long k) { return std::exchange(fail_mine, k < 0 ? -1 : k); }
spheremix::test::Weight spheremix::test::weight() { return {held, most_held}; }
void spheremix::test::put_weight(const Weight& w) { held = w.now, most_held = w.most; }
#else
bool spheremix::test::allocations_fail() { return false; }
long spheremix::test::fail_allocation(long) { return -1; }
spheremix::test::Weight spheremix::test::weight() { return {}; }
void spheremix::test::put_weight(const Weight&) {}
#endif

TEST_CASE("ranks: an allocation that is told to fail does") {
  using namespace spheremix::test;
  if (!allocations_fail()) return;
  fail_allocation(1);
  void* volatile first = std::malloc(8);
  void* volatile second = std::malloc(8);
  const long left = fail_allocation(-1);
  CHECK(first != nullptr);
  CHECK(second == nullptr);
  CHECK(left == -1);
  std::free(first);
}

TEST_CASE("ranks: memory is weighed") {
  using namespace spheremix::test;
  if (!allocations_fail()) return;
  put_weight({});
  void* volatile first = std::malloc(1000);
  void* volatile second = std::malloc(3000);
  std::free(first);
  second = std::realloc(second, 5000);
  CHECK(weight().now >= 5000);
  CHECK(weight().now < 5100);
  CHECK(weight().most >= 5000);
  std::free(second);
  CHECK(weight().now == 0);
}
