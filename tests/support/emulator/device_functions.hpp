// CUDA's device functions, as the emulated block performs them. Same names and arguments as the
// toolkit's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "block.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

inline void __syncthreads() { emulator::block.barrier(emulator::sync_block, 0); }
inline int __syncthreads_count(int predicate) {
  return emulator::block.barrier(emulator::sync_block_count, predicate);
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) != 0; }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) {
  emulator::block.meet(emulator::sync_warp, mask, nullptr, 0);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace emulator {

template <class T>
T value_of(const Deposit* given, unsigned lane) {
  T value;
  std::memcpy(&value, given[lane].data(), sizeof value);
  return value;
}

/// A shuffle: the value of `source(lane, width)`, own value where that lane lies outside the
/// width's group.
template <class T, class Source>
T shuffled(unsigned mask, T value, int width, Source source) {
  const Deposit* given = block.meet(shuffle, mask, &value, sizeof value);
  const int lane = int(block.lane()), base = lane / width * width;
  const int from = source(lane - base);
  if (from < 0 || from >= width) return value;
  if (!(mask >> (base + from) & 1u)) fail("a shuffle reads a lane outside its mask");
  return value_of<T>(given, unsigned(base + from));
}

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return emulator::shuffled(mask, value, width, [=](int) { return source & (width - 1); });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  return emulator::shuffled(mask, value, width, [=](int lane) { return lane ^ bits; });
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return emulator::shuffled(mask, value, width, [=](int lane) { return lane + int(by); });
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return emulator::shuffled(mask, value, width, [=](int lane) { return lane - int(by); });
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const int mine = predicate != 0;
  const emulator::Deposit* given = emulator::block.meet(emulator::vote, mask, &mine, sizeof mine);
  unsigned votes = 0;
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1u) votes |= unsigned(emulator::value_of<int>(given, l)) << l;
  return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == mask;
}

template <class T>
T atomicAdd(T* at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}
template <class T>
T atomicMax(T* at, T value) {
  const T old = *at;
  *at = std::max(old, value);
  return old;
}
template <class T>
T atomicMin(T* at, T value) {
  const T old = *at;
  *at = std::min(old, value);
  return old;
}
template <class T>
T atomicExch(T* at, T value) {
  const T old = *at;
  *at = value;
  return old;
}
template <class T>
T atomicCAS(T* at, T expected, T value) {
  const T old = *at;
  if (old == expected) *at = value;
  return old;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline float __uint_as_float(unsigned u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline unsigned __float_as_uint(float f) {
  unsigned u;
  std::memcpy(&u, &f, 4);
  return u;
}
template <class T>
T __ldg(const T* p) {
  return *p;
}

namespace emulator {

/// d += A B for one warp's m16n8k16 tile with the register layout of PTX: thread 4 g + t holds rows
/// g and g + 8. value(bits) turns a 16-bit pattern into a float. Every lane widens its own 12 values
/// once and gives them as floats, register after register: what the emulator's time depends on most.
template <class Value>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  Value value) {
  float mine[12];
  for (unsigned reg = 0; reg < 6; ++reg) {
    const std::uint32_t word = reg < 4 ? a[reg] : b[reg - 4];
    mine[2 * reg] = value(std::uint16_t(word));
    mine[2 * reg + 1] = value(std::uint16_t(word >> 16));
  }
  const Deposit* given = block.meet(match_mma, 0xFFFFFFFFu, mine, sizeof mine);
  const unsigned lane = block.lane(), g = lane / 4, c = lane % 4 * 2;
  for (unsigned half = 0; half < 2; ++half)  // k = 8 half + 2 t, + 1: ascending, one sum an element
    for (unsigned t = 0; t < 4; ++t) {
      float from[12], left[12], right[12];
      std::memcpy(from, given[4 * g + t].data(), sizeof from);
      std::memcpy(left, given[4 * c + t].data(), sizeof left);
      std::memcpy(right, given[4 * (c + 1) + t].data(), sizeof right);
      for (unsigned k = 0; k < 2; ++k) {
        const float top = from[4 * half + k], bottom = from[4 * half + 2 + k];
        d[0] += top * left[8 + 2 * half + k];
        d[1] += top * right[8 + 2 * half + k];
        d[2] += bottom * left[8 + 2 * half + k];
        d[3] += bottom * right[8 + 2 * half + k];
      }
    }
}

/// d += A B for one warp's m16n8k8 tile of tf32: the low 13 bits of every input are dropped.
inline void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                             const std::uint32_t (&b)[2]) {
  const std::uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const Deposit* given = block.meet(match_mma, 0xFFFFFFFFu, mine, sizeof mine);
  const auto word_of = [&](unsigned lane, unsigned reg) {
    std::uint32_t word;
    std::memcpy(&word, given[lane].data() + 4 * reg, 4);
    return __uint_as_float(word & 0xFFFFE000u);
  };
  const unsigned lane = block.lane();
  for (unsigned e = 0; e < 4; ++e) {
    const unsigned row = lane / 4 + (e >= 2 ? 8 : 0), col = lane % 4 * 2 + (e & 1u);
    float sum = d[e];
    for (unsigned k = 0; k < 8; ++k)
      sum +=
          word_of(row % 8 * 4 + k % 4, row / 8 + k / 4 * 2) * word_of(col * 4 + k % 4, 4 + k / 4);
    d[e] = sum;
  }
}

/// ldmatrix: lane 8 i + r names row r (8 values of 16 bits) of matrix i; thread 4 g + t receives
/// the pair (g, 2 t), (g, 2 t + 1) of every matrix, or of its transpose.
template <int Matrices, bool Transposed>
void load_matrices(std::uint32_t (&to)[Matrices], const void* row) {
  const auto address = reinterpret_cast<std::uintptr_t>(row);
  if (block.lane() < 8 * Matrices && address % 16)
    fail("ldmatrix: a row is not on a 16-byte boundary");
  const Deposit* given = block.meet(load_matrix, 0xFFFFFFFFu, &row, sizeof row);
  const unsigned g = block.lane() / 4, t = block.lane() % 4;
  for (unsigned i = 0; i < unsigned(Matrices); ++i) {
    std::uint16_t pair[2];
    for (unsigned e = 0; e < 2; ++e) {
      const unsigned r = Transposed ? 2 * t + e : g, c = Transposed ? g : 2 * t + e;
      const auto* from = value_of<const std::uint16_t*>(given, 8 * i + r);
      std::memcpy(&pair[e], from + c, 2);
    }
    to[i] = std::uint32_t(pair[0]) | std::uint32_t(pair[1]) << 16;
  }
}

/// cp.async of `bytes` to shared memory, the last bytes - from_bytes of them zeros.
inline void copy_async(void* to, const void* from, std::size_t bytes, std::size_t from_bytes) {
  if (reinterpret_cast<std::uintptr_t>(to) % bytes ||
      (from_bytes && reinterpret_cast<std::uintptr_t>(from) % bytes))
    fail("cp.async: an address is not on a boundary of the copy's size");
  const auto* low = block.shared();
  if (static_cast<unsigned char*>(to) < low ||
      static_cast<unsigned char*>(to) + bytes > low + block.shared_bytes())
    fail("cp.async: the target lies outside the block's shared memory");
  std::memset(to, order == Order::forward ? 0xFF : 0x7F, bytes);
  block.now().open.push_back({to, from, bytes, from_bytes});
}

inline void commit_copies() {
  block.now().groups.push_back(std::move(block.now().open));
  block.now().open.clear();
}

/// Completes all but the newest `pending` groups.
inline void wait_copies(std::size_t pending) {
  auto& groups = block.now().groups;
  for (; groups.size() > pending; groups.pop_front())
    for (const AsyncCopy& c : groups.front()) {
      std::memset(c.to, 0, c.bytes);
      if (c.from_bytes) std::memcpy(c.to, c.from, c.from_bytes);
      block.note_copy(c.to);
    }
}

}  // namespace emulator
