// A uniform random permutation without fixed points on the device: nobody is mixed with itself.
//
//   attempt a = 0, 1, 2, ...: the order of the Philox keys of (seed, step, i, a), equal keys by index;
//   the first attempt without a fixed point is the answer
//
// The same integers as the CPU's. Eight attempts are sorted together (CUB, a segment each), at most
// eight times; once one has succeeded the rest see empty segments and return, so nothing is read
// back and the call can be captured. An attempt succeeds with probability about 1/e. Should all 64
// fail (about 2e-13; n = 3: 5e-12) the last one's cycle is taken: still a derangement, though not
// the CPU's.
//
// Memory   256 n bytes and what CUB asks for.
// Errors   n = 1, n < 0, a null pointer, a scratch that is too small.
#pragma once

#include "spheremix/gpu/mixup/sampling.cuh"
#if !defined(SPHEREMIX_EMULATOR)
#include <cub/device/device_segmented_radix_sort.cuh>
#endif

namespace spheremix::gpu::mixup {

namespace detail {

inline constexpr int kAttempts = 8, kRounds = 8;  ///< in a round; rounds

/// What the rounds know of each other.
struct DerangementState {
  int winner;  ///< the attempt of the last round that succeeded, -1 before
  int fixed[kAttempts];
  Index first[kAttempts], last[kAttempts];  ///< segments, empty once there is a winner
};

/// One thread: whether the last round won, and the segments of the next.
template <int>
__global__ void begin_round(DerangementState* state, bool first, Index n) {
  if (first) state->winner = -1;
  for (int a = 0; a < kAttempts; ++a)
    if (!first && state->winner < 0 && !state->fixed[a]) state->winner = a;
  for (int a = 0; a < kAttempts; ++a) {
    state->fixed[a] = 0;
    state->first[a] = a * n;
    state->last[a] = state->winner < 0 ? (a + 1) * n : a * n;
  }
}

/// Keys of attempts first_attempt + a, one segment each.
template <int>
__global__ void __launch_bounds__(kThreads)
    attempt_keys(const DerangementState* state, std::uint64_t seed, std::uint32_t step,
                 std::uint32_t first_attempt, std::uint64_t* keys, Index* items, Index n) {
  if (state->winner >= 0) return;
  for (Index at = Index(blockIdx.x) * kThreads + threadIdx.x; at < kAttempts * n;
       at += Index(gridDim.x) * kThreads) {
    keys[at] = math::permutation_key(seed, step, std::uint64_t(at % n),
                                     first_attempt + std::uint32_t(at / n));
    items[at] = at % n;
  }
}

/// Notes the attempts with a fixed point.
template <int>
__global__ void __launch_bounds__(kThreads)
    find_fixed(DerangementState* state, const Index* orders, Index n) {
  if (state->winner >= 0) return;
  for (Index at = Index(blockIdx.x) * kThreads + threadIdx.x; at < kAttempts * n;
       at += Index(gridDim.x) * kThreads)
    if (orders[at] == at % n) atomicMax(&state->fixed[at / n], 1);
}

/// The first good attempt of this round; in the last round a cycle for want of one.
template <int>
__global__ void __launch_bounds__(kThreads)
    keep_order(const DerangementState* state, bool last, const Index* orders, Index* partners,
               Index n) {
  if (state->winner >= 0) return;
  int a = 0;
  while (a < kAttempts && state->fixed[a]) ++a;
  if (a == kAttempts && !last) return;
  for (Index i = Index(blockIdx.x) * kThreads + threadIdx.x; i < n;
       i += Index(gridDim.x) * kThreads) {
    if (a < kAttempts)
      partners[i] = orders[a * n + i];
    else
      partners[orders[(kAttempts - 1) * n + i]] =
          orders[(kAttempts - 1) * n + (i + 1 < n ? i + 1 : 0)];
  }
}

}  // namespace detail

/// Enqueues a uniform permutation of 0 .. n - 1 with partners[i] != i. n < 2^28.
inline Status derangement(core::Philox& rng, Index* partners, Index n, Scratch scratch,
                          cudaStream_t stream = nullptr) {
  if (n < 0 || n == 1 || n >= Index(1) << 28)
    return invalid("derangement: n is 1, negative or above 2^28");
  if (n > 0 && !partners) return invalid("derangement: a null pointer");
  const std::uint32_t step = scratch.needed ? 0 : rng.take_step();  // counting draws nothing
  if (n == 0) return {};
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        const Index all = detail::kAttempts * n;
        auto* const state = work.take<detail::DerangementState>(1);
        auto* const keys = work.take<std::uint64_t>(all);
        auto* const sorted = work.take<std::uint64_t>(all);
        auto* const items = work.take<Index>(all);
        auto* const orders = work.take<Index>(all);
        const std::uint64_t* const from_keys = keys;
        const Index* const from_items = items;
        const Index *const first = state->first, *const last = state->last;
        const unsigned each = blocks_for(n, detail::kThreads),
                       every = blocks_for(all, detail::kThreads);
        for (int round = 0; round < detail::kRounds; ++round) {
          work.launch(detail::begin_round<0>, 1, 1, 0, state, round == 0, n);
          work.launch(detail::attempt_keys<0>, every, detail::kThreads, 0, state, rng.seed(), step,
                      std::uint32_t(round * detail::kAttempts), keys, items, n);
          work.library([&](void* storage, std::size_t& bytes, cudaStream_t on) {
            return cub::DeviceSegmentedRadixSort::SortPairs(
                storage, bytes, from_keys, sorted, from_items, orders, int(all), detail::kAttempts,
                first, last, 0, 64, on);
          });
          work.launch(detail::find_fixed<0>, every, detail::kThreads, 0, state, orders, n);
          work.launch(detail::keep_order<0>, each, detail::kThreads, 0, state,
                      round + 1 == detail::kRounds, orders, partners, n);
        }
      },
      "derangement: the scratch is too small");
}

}  // namespace spheremix::gpu::mixup
