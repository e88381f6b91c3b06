// Loops over one row and over the rows of a batch, for every function of sphere/ and mixup/.
//
// A loop over a row is written once, as a generic lambda, and runs on lanes (32 bytes at a time,
// vectorised by Eigen for whatever the compiler may use) and then on the last few elements one by
// one. The order of additions depends on the row's length only.
#pragma once

#include <array>
#include <atomic>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/parallel.hpp"

namespace spheremix::sphere::detail {

template <class T>
inline constexpr int kLanes = 32 / int(sizeof(T));

template <class T>
using Lanes = Eigen::Array<T, kLanes<T>, 1>;

/// Reads and writes position k of any row, as lanes.
template <class T>
struct WideCursor {
  using Value = Lanes<T>;
  Index k;
  SPHEREMIX_INLINE Value operator()(const T* row) const { return Eigen::Map<const Value>(row + k); }
  SPHEREMIX_INLINE void put(T* row, const Value& x) const { Eigen::Map<Value>(row + k) = x; }
};

/// The same, one element.
template <class T>
struct NarrowCursor {
  using Value = T;
  Index k;
  SPHEREMIX_INLINE T operator()(const T* row) const { return row[k]; }
  SPHEREMIX_INLINE void put(T* row, T x) const { row[k] = x; }
};

/// Calls body(cursor) over [0, d). Reads come before writes at each position, so writing in place
/// is right.
template <class T, class Body>
SPHEREMIX_INLINE void over_row(Index d, const Body& body) {
  Index k = 0;
  for (; k + kLanes<T> <= d; k += kLanes<T>) body(WideCursor<T>{k});
  for (; k < d; ++k) body(NarrowCursor<T>{k});
}

/// K sums over [0, d) in one pass: body(cursor, sum) adds to sum[0..K).
template <int K, class T, class Body>
SPHEREMIX_INLINE std::array<T, K> row_sums(Index d, const Body& body) {
  std::array<T, K> total{};
  Index k = 0;
  if (d >= kLanes<T>) {
    Lanes<T> wide[K];
    for (int i = 0; i < K; ++i) wide[i].setZero();
    for (; k + kLanes<T> <= d; k += kLanes<T>) body(WideCursor<T>{k}, wide);
    for (int i = 0; i < K; ++i) {
      T* lane = wide[i].data();  // a fixed tree, whatever the width of the processor's registers
      for (int half = kLanes<T> / 2; half > 0; half /= 2)
        for (int j = 0; j < half; ++j) lane[j] += lane[j + half];
      total[std::size_t(i)] = lane[0];
    }
  }
  T narrow[K] = {};
  for (; k < d; ++k) body(NarrowCursor<T>{k}, narrow);
  for (int i = 0; i < K; ++i) total[std::size_t(i)] += narrow[i];
  return total;
}

/// Most pieces that a batch is cut into; their number and bounds depend on the shape alone.
inline constexpr Index kMaxChunks = 256;

/// Calls body(chunk, first row, end row), chunk in [0, kMaxChunks), over threads.
template <class Body>
void over_chunks(Index n, Index d, const Body& body) {
  constexpr Index enough = 32768;  // numbers worth a thread's attention
  const Index by_size = d > 0 ? (enough + d - 1) / d : enough,
              by_count = (n + kMaxChunks - 1) / kMaxChunks;
  const Index size = by_size > by_count ? by_size : by_count;
  const Index chunks = (n + size - 1) / size;
  core::parallel_for(chunks, core::max_threads(), [&](Index chunk, int) {
    body(chunk, chunk * size, chunk + 1 < chunks ? (chunk + 1) * size : n);
  });
}

/// Lowers `first` to i, from any thread.
inline void lower_to(std::atomic<Index>& first, Index i) {
  Index seen = first.load();
  while (i < seen && !first.compare_exchange_weak(seen, i)) {
  }
}

/// Calls body(row) for every row, over threads. Returns the first row for which it said false
/// ("undefined there"), or -1. Every chunk runs up to its own first, so the answer does not depend
/// on the threads.
template <class Body>
[[nodiscard]] Index first_undefined(Index n, Index d, const Body& body) {
  std::atomic<Index> first{n};
  over_chunks(n, d, [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      if (!body(i)) {
        lower_to(first, i);
        return;
      }
  });
  return first.load() < n ? first.load() : -1;
}

}  // namespace spheremix::sphere::detail
