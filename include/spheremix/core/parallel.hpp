// Tasks over threads: OpenMP where the program is compiled with it, else one after another.
//
// The tasks of a loop, their bounds and their order inside a result never depend on how many
// threads run them: this is what makes every result bit-identical for any thread count.
//
// A child that fork() made after such a loop has none of its parent's threads, and GNU's OpenMP
// would wait for them without end: there every loop runs one task after another.
#pragma once

#include <atomic>
#include <exception>

#include "spheremix/core/constants.hpp"

#if defined(_OPENMP)
#include <omp.h>
#if __has_include(<pthread.h>)
#include <pthread.h>
#define SPHEREMIX_WATCHES_FORKS
#endif
#endif

namespace spheremix::core {

/// True in a child of fork() whose parent had started threads here.
class Orphaned {
 public:
  /// To be called before the first threads start: from here on children know.
  static void watch() {
#if defined(SPHEREMIX_WATCHES_FORKS)
    static const int watching = pthread_atfork(nullptr, nullptr, [] { orphaned_ = true; });
    (void)watching;
#endif
  }
  static bool yes() { return orphaned_; }

 private:
  static inline bool orphaned_ = false;
};

/// Threads a loop may use now: omp_get_max_threads(), or 1 without OpenMP, inside a parallel region
/// or in a child of fork() (see above).
inline int max_threads() {
#if defined(_OPENMP)
  return omp_in_parallel() || Orphaned::yes() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

namespace detail {

#if defined(_OPENMP)
inline constexpr bool kOpenMP = true;
#else
inline constexpr bool kOpenMP = false;
#endif

/// parallel_for of a body whose type is put away, compiled once for all loops. OpenMP is an argument
/// so that units compiled with it and without it do not share this function.
template <bool OpenMP>
void run_tasks(Index tasks, int threads, const void* body,
               void (*call)(const void* body, Index task, int thread)) {
#if defined(_OPENMP)
  if (threads > 1 && tasks > 1 && !Orphaned::yes()) {
    Orphaned::watch();
    std::atomic<Index> next{0};
    std::atomic<bool> stopped{false};
    std::exception_ptr error;
    const int team = int(tasks < threads ? tasks : threads);
#pragma omp parallel num_threads(team)
    {
      const int thread = omp_get_thread_num();
      for (Index task;
           !stopped.load(std::memory_order_relaxed) && (task = next.fetch_add(1)) < tasks;) {
        try {
          call(body, task, thread);
        } catch (...) {
          if (!stopped.exchange(true)) error = std::current_exception();
        }
      }
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  (void)threads;
  for (Index task = 0; task < tasks; ++task) call(body, task, 0);
}

}  // namespace detail

/// Calls body(task, thread) for every task in [0, tasks), thread in [0, threads). Tasks start in
/// order and go to whichever thread is free. The first exception thrown stops the loop and is
/// thrown again here.
template <class Body>
void parallel_for(Index tasks, int threads, const Body& body) {
  detail::run_tasks<detail::kOpenMP>(tasks, threads, &body,
                                     [](const void* of, Index task, int thread) {
                                       (*static_cast<const Body*>(of))(task, thread);
                                     });
}

/// Calls body(first, count) over [0, n) in chunks of `chunk`.
template <class Body>
void parallel_chunks(Index n, Index chunk, const Body& body) {
  const Index tasks = (n + chunk - 1) / chunk;
  parallel_for(tasks, max_threads(), [&](Index task, int) {
    const Index first = task * chunk;
    body(first, first + chunk <= n ? chunk : n - first);
  });
}

}  // namespace spheremix::core
