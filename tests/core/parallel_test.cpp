#include "spheremix/core/parallel.hpp"

#include <doctest/doctest.h>
#include <omp.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

using namespace spheremix;

TEST_CASE("every task runs once, on a thread of the team") {
  for (const int threads : {1, 2, 3, 8}) {
    for (const Index tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      std::atomic<int> strangers{0};
      core::parallel_for(tasks, threads, [&](Index task, int thread) {
        ++runs[std::size_t(task)];
        if (thread < 0 || thread >= threads) ++strangers;
      });
      CHECK(strangers == 0);
      for (const auto& count : runs) REQUIRE(count == 1);
    }
  }
}

TEST_CASE("chunks cover [0, n) once, the last one shorter") {
  for (const Index n : {0, 1, 9, 10, 11, 25}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
    std::atomic<int> bad{0};
    core::parallel_chunks(n, 10, [&](Index first, Index count) {
      if (first % 10 != 0 || count < 1 || count > 10) ++bad;
      for (Index i = first; i < first + count; ++i) ++seen[std::size_t(i)];
    });
    CHECK(bad == 0);
    for (const auto& count : seen) REQUIRE(count == 1);
  }
}

TEST_CASE("an exception comes out of the loop, once, and stops it") {
  for (const int threads : {1, 4}) {
    std::atomic<int> started{0};
    const auto run = [&] {
      core::parallel_for(100000, threads, [&](Index task, int) {
        ++started;
        if (task >= 5) throw std::runtime_error("task " + std::to_string(task));
      });
    };
    CHECK_THROWS_AS(run(), std::runtime_error);
    CHECK(started < 50000);
    // The next loop is not disturbed.
    std::atomic<int> count{0};
    core::parallel_for(10, threads, [&](Index, int) { ++count; });
    CHECK(count == 10);
  }
}

TEST_CASE("inside a parallel region a loop gets one thread") {
  CHECK(core::max_threads() == omp_get_max_threads());
  std::atomic<int> wrong{0};
#pragma omp parallel num_threads(2)
  {
    if (omp_get_num_threads() == 2 && core::max_threads() != 1) ++wrong;
  }
  CHECK(wrong == 0);
}
