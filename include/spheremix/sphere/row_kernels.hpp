// Loops over one row and over the rows of a batch, for every function of sphere/ and mixup/.
//
// A loop over a row is written once, as a generic lambda, and runs on vector registers of whatever
// the processor has (core/isa.hpp), then on the last few elements one by one:
//
//   over_row<T>(d, [=](auto at) {
//     typename decltype(at)::Value x;   // a vector of T, or one T
//     at.get(from, x);
//     at.put(to, 2 * x);
//   });
//
// The order of additions depends on the row's length and the instruction set only.
#pragma once

#include <array>
#include <atomic>
#include <cstring>

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/rounded.hpp"
#include "spheremix/core/vectors.hpp"

namespace spheremix::sphere::detail {

/// Reads and writes position k of any row, one element: what is left of a row after the vectors.
template <class T>
struct ScalarCursor {
  using Value = T;
  Index k;
  SPHEREMIX_INLINE void get(const T* row, T& x) const { x = row[k]; }
  SPHEREMIX_INLINE void put(T* row, T x) const { row[k] = x; }
};

}  // namespace spheremix::sphere::detail

#define SPHEREMIX_ISA_COPY "spheremix/sphere/row_loops.inc"
#include "spheremix/core/each_isa.inc"

namespace spheremix::sphere::detail {

/// Calls body(cursor) over [0, d). Reads come before writes at each position, so writing in place
/// is right.
template <class T, class Body>
void over_row(Index d, const Body& body) {
  SPHEREMIX_DISPATCH(over_row<T, Body>)(d, body);
}

/// K sums over [0, d) in one pass: body(cursor, sum) adds to sum[0..K).
template <int K, class T, class Body>
std::array<T, std::size_t(K)> row_sums(Index d, const Body& body) {
  std::array<T, std::size_t(K)> total;
  SPHEREMIX_DISPATCH(row_sums<K, T, Body>)(d, body, total.data());
  return total;
}

/// Most pieces that a batch is cut into; their number and bounds depend on the shape alone.
inline constexpr Index kMaxChunks = 256;

/// Rows in each piece of n rows of d numbers.
inline Index chunk_rows(Index n, Index d) {
  constexpr Index enough = 32768;  // numbers worth a thread's attention
  const Index by_size = d > 0 ? (enough + d - 1) / d : enough,
              by_count = (n + kMaxChunks - 1) / kMaxChunks;
  return by_size > by_count ? by_size : by_count;
}

/// Calls body(chunk, first row, end row), chunk in [0, kMaxChunks), over threads.
template <class Body>
void over_chunks(Index n, Index d, const Body& body) {
  const Index size = chunk_rows(n, d), chunks = (n + size - 1) / size;
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
