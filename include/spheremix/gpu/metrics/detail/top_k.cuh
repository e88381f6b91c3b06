// Which of a row's numbers are among its k largest, on the device: a block a row finds the k-th
// largest by its digits, highest first (a histogram of 256 bins a digit), then visits the members.
// Of equal numbers the lower index comes first. NaN is never a member.
//
//   visit(row, index)   once for each member, in no particular order
#pragma once

#include <cstdint>

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/launch.cuh"

namespace spheremix::gpu::metrics::detail {

inline constexpr int kTopThreads = 256, kTopWarps = kTopThreads / 32;

/// What a block keeps in shared memory.
struct TopShared {
  unsigned bins[256];
  unsigned below[kTopWarps];
  unsigned digit, left, ties;
};

template <class A>
using TopKey = std::conditional_t<sizeof(A) == 8, std::uint64_t, std::uint32_t>;

/// Numbers as integers of the same order, -0 as 0; 0 for NaN, which no number has.
template <class A>
__device__ __forceinline__ TopKey<A> top_key(A x) {
  if (x != x) return 0;
  using Key = TopKey<A>;
  constexpr Key sign = Key(1) << (8 * sizeof(Key) - 1);
  const A plain = x == 0 ? A(0) : x;
  Key bits;
  memcpy(&bits, &plain, sizeof bits);
  return bits & sign ? Key(~bits) : Key(bits | sign);
}

/// One warp: the digit in which the need-th largest lies, and how many of it are still needed.
__device__ inline void choose_digit(TopShared& shared, unsigned need) {
  const unsigned lane = threadIdx.x, first = 255 - 8 * lane;  // this lane's digits, downwards
  unsigned mine = 0;
  for (unsigned b = 0; b < 8; ++b) mine += shared.bins[first - b];
  unsigned above = 0;  // over the lanes of larger digits
  for (unsigned l = 0; l < kWarp; ++l) {
    const unsigned other = shuffle(mine, l);
    above += l < lane ? other : 0;
  }
  if (above >= need || above + mine < need) return;
  for (unsigned b = 0; b < 8; ++b) {
    const unsigned count = shared.bins[first - b];
    if (above + count >= need) {
      shared.digit = first - b;
      shared.left = need - above;
      shared.ties = count;
      return;
    }
    above += count;
  }
}

/// Block r: the members of row r of `values` (rows x count, packed), 1 <= k <= count.
template <class A, class Visit>
__global__ void __launch_bounds__(kTopThreads)
    visit_top(const A* values, Index rows, Index count, unsigned k, Visit visit) {
  TopShared& shared = *reinterpret_cast<TopShared*>(shared_memory());
  using Key = TopKey<A>;
  for (Index row = blockIdx.x; row < rows; row += gridDim.x) {
    const A* const from = values + row * count;
    Key prefix = 0, mask = 0;
    unsigned need = k, ties = 0;
    for (int shift = 8 * int(sizeof(Key)) - 8; shift >= 0; shift -= 8) {
      shared.bins[threadIdx.x] = 0;
      block_barrier();  // bins are empty; the last digit has been read
      for (Index j = threadIdx.x; j < count; j += kTopThreads) {
        const Key key = top_key(from[j]);
        if ((key & mask) == prefix) atomicAdd(&shared.bins[unsigned(key >> shift) & 255u], 1u);
      }
      block_barrier();  // bins are full
      if (threadIdx.x < kWarp) choose_digit(shared, need);
      block_barrier();  // the digit is there
      prefix |= Key(shared.digit) << shift;
      mask |= Key(255) << shift;
      need = shared.left;
      ties = shared.ties;
    }
    for (Index j = threadIdx.x; j < count; j += kTopThreads) {
      const Key key = top_key(from[j]);
      if (key != 0 && (key > prefix || (key == prefix && ties == need))) visit(row, j);
    }
    if (ties == need || prefix == 0) continue;  // the same in every thread
    unsigned taken = 0;                         // of the equal ones only the first `need`
    for (Index j0 = 0; taken < need; j0 += kTopThreads) {
      const Index j = j0 + threadIdx.x;
      const bool equal = j < count && top_key(from[j]) == prefix;
      const unsigned votes = ballot(equal), lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
      if (lane == 0) shared.below[warp] = unsigned(__popc(votes));
      block_barrier();  // every warp's count is there
      unsigned before = taken + unsigned(__popc(votes & ((1u << lane) - 1)));
      for (unsigned w = 0; w < unsigned(kTopWarps); ++w) {
        before += w < warp ? shared.below[w] : 0;
        taken += shared.below[w];
      }
      if (equal && before < need) visit(row, j);
      block_barrier();  // every warp's count is used
    }
  }
}

}  // namespace spheremix::gpu::metrics::detail
