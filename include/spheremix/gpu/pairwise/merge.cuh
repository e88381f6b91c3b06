// What several tiles or ranges say of one line, made one in a fixed order: (maximum, sum) pairs, or
// sums.
#pragma once

#include "spheremix/gpu/pairwise/kernel.cuh"

namespace spheremix::gpu::pairwise {

/// a and b as one: the sum of both relative to the larger maximum. An empty one (-infinity, 0)
/// changes nothing.
template <class T>
__device__ __forceinline__ RowPair<T> merged(RowPair<T> a, RowPair<T> b) {
  const T top = a.a != a.a ? b.a : larger(a.a, b.a), base = top == -core::infinity<T> ? T(0) : top;
  return {top, a.b * pair_exp2(a.a - base) + b.b * pair_exp2(b.a - base)};
}

/// Lines of one range whose partial results are added to the running ones, in the order of the parts.
template <class Value>
struct MergeSide {
  const Value* partial = nullptr;  ///< [part][line]
  Index lines = 0, parts = 0;
  Value* running = nullptr;  ///< of the range's first line
  bool first = false;        ///< overwrite what is there
};

template <class T>
struct MergePairs {
  using Value = RowPair<T>;
  __device__ static Value add(Value a, Value b) { return merged(a, b); }
};
template <class T>
struct MergeSums {
  using Value = T;
  __device__ static Value add(Value a, Value b) { return a + b; }
};

/// A block has 32 lines, a warp of it one of kSlices stretches of their parts, joined in the order of
/// the stretches; the sides' lines one after the other.
template <class How, int Sides>
struct MergeLines {
  using Value = typename How::Value;
  static constexpr unsigned kSlices = 8, kThreads = kSlices * kWarp, kResident = 4;
  static constexpr std::size_t kShared = kThreads * sizeof(Value);

  MergeSide<Value> side[Sides];

  Index blocks() const {
    Index sum = 0;
    for (const auto& s : side) sum += ceil_div(s.lines, kWarp);
    return sum;
  }

  __device__ void operator()() const {
    Index block = blockIdx.x;
#pragma unroll
    for (int k = 0; k < Sides; ++k) {
      const Index own = ceil_div(side[k].lines, kWarp);
      if (block >= 0 && block < own) add_up(side[k], block * kWarp + threadIdx.x % kWarp);
      block -= own;
    }
  }

 private:
  __device__ static void add_up(const MergeSide<Value>& s, Index line) {
    Value* const found = reinterpret_cast<Value*>(shared_memory());
    const unsigned slice = threadIdx.x / kWarp;
    const Index each = ceil_div(s.parts, kSlices), first = slice * each,
                last = first + each < s.parts ? first + each : s.parts;
    const bool there = line < s.lines && first < last;
    if (there) {
      Value all = s.partial[first * s.lines + line];
      for (Index p = first + 1; p < last; ++p) all = How::add(all, s.partial[p * s.lines + line]);
      found[threadIdx.x] = all;
    }
    block_barrier();  // every stretch is there
    if (slice > 0 || !there) return;
    Value all = s.first ? found[threadIdx.x] : How::add(s.running[line], found[threadIdx.x]);
    for (unsigned w = 1; w < kSlices && w * each < s.parts; ++w)
      all = How::add(all, found[w * kWarp + threadIdx.x]);
    s.running[line] = all;
  }
};
template <class T, int Sides = 2>
using MergeKernel = MergeLines<MergePairs<T>, Sides>;
template <class T, int Sides = 2>
using MergeSumsKernel = MergeLines<MergeSums<T>, Sides>;

}  // namespace spheremix::gpu::pairwise
