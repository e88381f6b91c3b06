#include "spheremix/core/parallel.hpp"

#include <doctest/doctest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
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

TEST_CASE("a child forked after a parallel loop computes in one thread, the same bits") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(4);
  const auto work = [] {
    std::vector<double> result(1000);
    core::parallel_for(1000, core::max_threads(), [&](Index task, int) {
      result[std::size_t(task)] = std::sqrt(double(task));
    });
    return result;
  };
  const std::vector<double> want = work();
  for (const bool counted_before :
       {true, false}) {  // the child's caller may have counted threads in the parent
    CAPTURE(counted_before);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(300);  // a hang must end
      int ran = 0, others = 0;
      if (counted_before)
        core::parallel_for(100, 4, [&](Index, int thread) { ++ran, others += thread; });
      const bool right =
          counted_before ? ran == 100 && others == 0 : core::max_threads() == 1 && work() == want;
      _exit(right ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(core::max_threads() == 4);  // the parent keeps its threads
  omp_set_num_threads(before);
}
