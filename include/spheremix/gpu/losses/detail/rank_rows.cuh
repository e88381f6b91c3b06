// Rank-N-Contrast's anchors on the device, one a block: where each of an anchor's others stands by
// falling distance is found by binary search in the sorted labels, and both chains of log-sum-exps
// are scans over those places. Then the gradient, back in the order of the batch.
#pragma once

#include "spheremix/formula/rank_n_contrast.hpp"
#include "spheremix/gpu/losses/detail/rank_order.cuh"

namespace spheremix::gpu::losses::detail {

/// Room for one anchor's others by falling distance.
struct RankRoom {
  double *z, *apart, *total, *chain;
  int *other, *end;
};

/// Anchor first + block: its loss and sum of dL/dz z; dL/d(product) in place of the product, and its
/// sum over the row.
template <class A>
struct RankAnchorKernel {
  static constexpr unsigned kThreads = 128, kResident = 4, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared =
      kThreads * sizeof(formula::RunningLogSum) + 3 * kWarps * sizeof(double);

  core::MatrixView<const A> rows;
  const ExactNumber* labels;  ///< in order
  const double* squares;
  const double* slack;
  double temperature;
  bool cosine, gradient;
  Index first;
  A* table;       ///< products of the strip's rows
  RankRoom room;  ///< of the strip: n a row
  double *losses, *moments, *pulls;

  __device__ void operator()() const {
    const Index n = rows.rows, i = first + Index(blockIdx.x), count = n - 1;
    const Index base = Index(blockIdx.x) * n;
    A* const s = table + base;
    double *const z = room.z + base, *const apart = room.apart + base,
                  *const total = room.total + base, *const chain = room.chain + base;
    int *const other = room.other + base, *const end = room.end + base;
    auto* const parts = reinterpret_cast<formula::RunningLogSum*>(shared_memory());
    const double each = 1 / (double(n) * double(count > 0 ? count : 1));
    double sums[3] = {0, 0, 0};  // loss, moment, pull
    if (count == 0 && threadIdx.x == 0) sums[0] = 0 * double(s[i]);

    for (Index k = threadIdx.x; k < n; k += kThreads) {
      if (k == i) continue;
      const bool left = k < i;
      const double away = distance(i, k);
      const Index p = left ? k + (count - i) - nearer_right(i, away, true)
                           : (n - 1 - k) + farther_left(i, away);
      const double length = cosine ? -double(s[k]) : apart_rows(i, k, s[k]);
      other[p] = int(k);
      apart[p] = length;
      z[p] = -length / temperature;
    }
    block_barrier();  // the others are in order
    const Index piece = (count + kThreads - 1) / kThreads, from = Index(threadIdx.x) * piece,
                to = pairwise::smaller(from + piece, count);
    scan(
        parts, from, to, false, [&](Index p) { return z[p]; }, chain);
    for (Index p = threadIdx.x; p < count; p += kThreads) {
      const double least = distance(i, other[p]) - *slack;
      const Index last = farther_left(i, least) + (count - i) - nearer_right(i, least, false);
      end[p] = int(last > p ? last : p + 1);
      total[p] = chain[end[p] - 1];
      sums[0] += each * (total[p] - z[p]) + 0 * *slack;
    }
    if (gradient) {
      block_barrier();  // the chain has been read
      scan(
          parts, from, to, true, [&](Index p) { return -total[p]; }, chain);
      for (Index q = threadIdx.x; q < count; q += kThreads) {
        Index low = 0, high = q;  // the first whose denominator holds q
        while (low < high) {
          const Index middle = (low + high) / 2;
          if (end[middle] > q)
            high = middle;
          else
            low = middle + 1;
        }
        const double g = each * (std::exp(z[q] + chain[low]) - 1);
        const double slope = cosine ? 1 : apart[q] > 0 ? 1 / apart[q] : apart[q];
        const double h = g * slope / temperature;
        sums[1] += g * z[q];
        sums[2] += h;
        s[other[q]] = A(h);
      }
      if (threadIdx.x == 0) s[i] = 0;
    }
    pairwise::block_sums<kThreads>(sums, 3, reinterpret_cast<double*>(parts + kThreads));
    if (threadIdx.x > 0) return;
    losses[i] = sums[0];
    if (moments) moments[i] = sums[1];
    if (pulls) pulls[i] = sums[2];
  }

 private:
  __device__ double distance(Index i, Index k) const {
    return k < i ? labels[i] - labels[k] : labels[k] - labels[i];
  }
  /// Of the rows on the left of i, how many are at least `away`: those are the first.
  __device__ Index farther_left(Index i, double away) const {
    Index low = 0, high = i;
    while (low < high) {
      const Index middle = (low + high) / 2;
      if (labels[i] - labels[middle] >= away)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }
  /// Of those on its right, how many are nearer (with `equal`: or as far): the first of them.
  __device__ Index nearer_right(Index i, double away, bool equal) const {
    Index low = i + 1, high = rows.rows;
    while (low < high) {
      const Index middle = (low + high) / 2;
      const double d = labels[middle] - labels[i];
      if (equal ? d <= away : d < away)
        low = middle + 1;
      else
        high = middle;
    }
    return low - (i + 1);
  }
  __device__ double apart_rows(Index i, Index j, A product) const {
    const double ends = squares[i] + squares[j], square = ends - 2 * double(product);
    constexpr double small = double(core::smallest_normal<A>) / double(core::epsilon<A>);
    const bool underflow = ends < small;  // of the product
    if (!underflow && !(square <= 0.1 * ends)) return std::sqrt(square);
    double sum = 0;
    for (Index k = 0; k < rows.cols; ++k) {
      const double e = double(rows(i, k)) - double(rows(j, k));
      sum += e * e;
    }
    return std::sqrt(sum);
  }
  /// to[p] = log sum e^value over places up to p, or from p on; this thread's places are [from, to).
  template <class Value>
  __device__ void scan(formula::RunningLogSum* parts, Index from, Index end_of, bool back,
                       const Value& value, double* to) const {
    const unsigned at = back ? kThreads - 1 - threadIdx.x : threadIdx.x;
    formula::RunningLogSum sum;
    for (Index p = from; p < end_of; ++p) sum.add(value(p));
    parts[at] = sum;
    block_barrier();  // every part is there
    for (unsigned step = 1; step < kThreads; step *= 2) {
      if (at >= step) sum.add(parts[at - step]);
      block_barrier();  // all have read
      parts[at] = sum;
      block_barrier();  // all have written
    }
    formula::RunningLogSum before = at > 0 ? parts[at - 1] : formula::RunningLogSum{};
    for (Index k = 0; k < end_of - from; ++k) {
      const Index p = back ? end_of - 1 - k : from + k;
      before.add(value(p));
      to[p] = before.value();
    }
    block_barrier();  // the chain is there, and the parts are read
  }
};

/// sums[j] (+)= the column's sum over a strip's rows; a thread a column.
template <class A>
struct StripColumnsKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const A> strip;
  bool add;
  double* sums;
  __device__ void operator()() const {
    const Index j = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (j >= strip.cols) return;
    double sum = add ? sums[j] : 0;
    for (Index i = 0; i < strip.rows; ++i) sum += double(strip(i, j));
    sums[j] = sum;
  }
};

/// dX, back in the order of the rows, from both products; pulls: null for cosines. One warp a row.
template <class A>
struct RankGradientKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const A> rows, one, other;
  const double *pulls, *columns;
  const Index* place;
  core::MatrixView<A> dx;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= rows.rows) return;
    const double sum = pulls ? pulls[i] + columns[i] : 0;
    for (Index k = threadIdx.x % kWarp; k < rows.cols; k += kWarp)
      dx(place[i], k) = A(double(one(i, k)) + double(other(i, k)) - sum * double(rows(i, k)));
  }
};

}  // namespace spheremix::gpu::losses::detail
