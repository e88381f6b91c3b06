// The rate at which this processor streams memory now: c = a + b over arrays far larger than any
// cache, three arrays of traffic a pass (as STREAM's "add" counts it). The bound that row functions
// are held against.
#pragma once

#include <omp.h>

#include <Eigen/Core>
#include <algorithm>
#include <chrono>

namespace bench {

/// GB/s of `threads` threads together: the best of `passes`.
inline double stream_bandwidth(int threads, int passes) {
  using Clock = std::chrono::steady_clock;
  constexpr Eigen::Index size = 1 << 24;  // 64 MiB each
  static Eigen::ArrayXf a = Eigen::ArrayXf::Ones(size), b = a, c = a;
  double best = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const auto start = Clock::now();
#pragma omp parallel num_threads(threads)
    {
      const Eigen::Index piece = size / omp_get_num_threads(), first = piece * omp_get_thread_num();
      c.segment(first, piece) = a.segment(first, piece) + b.segment(first, piece);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, 3.0 * sizeof(float) * double(size) / seconds / 1e9);
  }
  return best;
}

}  // namespace bench
