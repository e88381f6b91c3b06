// Hopper's wgmma in the emulated block, for what a GPU would punish in silence:
//
//   operands    are read through the descriptor's address arithmetic twice, when the wgmma starts
//               and when a wait covers it; if they differ (copies not waited for, a barrier
//               missing, a stage filled too early) the sums become NaN.
//   sums        are NaN from the start until a wait covers every wgmma on them, and stay so if
//               anyone wrote them meanwhile or no wgmma_fence came before.
//   cp.async    data reads as NaN until the thread that copied it has called async_proxy_fence.
//   warpgroup   a warp that leaves out a wgmma or gives another descriptor than its neighbours
//               stops the program, as do descriptors off their boundaries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "block.hpp"
#include "half.hpp"

namespace emulator {

/// Shared memory begins at 1024, as on sm_90, where the system keeps the first KiB.
constexpr std::uint32_t shared_begin = 1024;

inline std::uint32_t shared_address(const void* p) {
  const auto* at = static_cast<const unsigned char*>(p);
  if (at < block.shared() || at >= block.shared() + block.shared_bytes())
    fail("the address of an operand lies outside the block's shared memory");
  return shared_begin + std::uint32_t(at - block.shared());
}

/// The address of byte `byte` of row `row` of the operand.
inline std::uint32_t operand_address(std::uint64_t descriptor, unsigned row, unsigned byte) {
  const auto field = [&](unsigned low) { return std::uint32_t(descriptor >> low & 0x3FFFu) << 4; };
  const std::uint32_t at = field(0) + row / 8 * field(32) + row % 8 * 128 + byte;
  return at ^ (at >> 7 & 7u) << 4;
}

inline void check_operand(std::uint64_t descriptor) {
  if (descriptor >> 62 != 1) fail("wgmma: a descriptor without the 128-byte swizzle");
  if (descriptor >> 49 & 7u) fail("wgmma: a descriptor with a base offset");
  if (operand_address(descriptor, 0, 0) >> 7 & 7u)
    fail("wgmma: an operand does not start on a 1024-byte boundary");
}

/// Row `row` of an operand, 16 values; NaN where cp.async's copies were not fenced.
inline void read_operand(std::uint64_t descriptor, unsigned row, std::uint16_t (&to)[16]) {
  for (unsigned half = 0; half < 2; ++half) {
    const std::uint32_t at = operand_address(descriptor, row, half * 16) - shared_begin;
    if (at + 16 > block.shared_bytes()) fail("wgmma: an operand lies outside shared memory");
    std::memcpy(to + 8 * half, block.shared() + at, 16);
    if (!block.fenced(at)) std::fill_n(to + 8 * half, 8, std::uint16_t(0x7FFF));
  }
}

/// What the running thread's sums need: rows g and g + 8 of its warp's 16, columns 8 n + 2 t + e.
inline void read_operands(const AsyncProduct& p, AsyncProduct::Operands& to) {
  const unsigned lane = block.lane(), warp = block.thread() / warp_size % 4;
  for (unsigned i = 0; i < 2; ++i) read_operand(p.a, warp * 16 + lane / 4 + 8 * i, to.a[i]);
  for (unsigned c = 0; c < 32; ++c) read_operand(p.b, c / 2 * 8 + lane % 4 * 2 + c % 2, to.b[c]);
}

inline void wgmma_m64n128k16(float (&d)[64], std::uint64_t a, std::uint64_t b) {
  check_operand(a);
  check_operand(b);
  const std::uint64_t mine[2] = {a, b};
  const Deposit* given = block.meet(warpgroup_mma, 0xFFFFFFFFu, mine, sizeof mine);
  for (unsigned l = 0; l < warp_size; ++l)
    if (std::memcmp(given[l].data(), mine, sizeof mine))
      fail("wgmma: lanes of a warp give different descriptors");
  if (block.lane() == 0) block.note_product(a, b);
  Products& products = block.now().products;
  Accumulator* sums = nullptr;
  for (Accumulator& s : products.accumulators)
    if (s.d == d) sums = &s;
  if (!sums) {
    products.accumulators.push_back({d, {}, 0});
    sums = &products.accumulators.back();
    const float wrong = std::numeric_limits<float>::quiet_NaN();
    for (unsigned k = 0; k < 64; ++k) sums->value[k] = products.fenced ? d[k] : wrong;
    std::memset(d, 0xFF, sizeof d);
  }
  ++sums->under_way;
  products.open.push_back({d, a, b, {}});
  read_operands(products.open.back(), products.open.back().seen);
}

inline void wgmma_fence() {
  block.meet(warpgroup_fence, 0xFFFFFFFFu, nullptr, 0);
  block.now().products.fenced = true;
}

inline void wgmma_commit() {
  block.meet(warpgroup_commit, 0xFFFFFFFFu, nullptr, 0);
  Products& products = block.now().products;
  products.groups.push_back(std::move(products.open));
  products.open.clear();
}

/// Carries one wgmma out; its sums come back when it is the last of theirs.
inline void complete(Products& products, const AsyncProduct& p) {
  const auto sums = std::find_if(products.accumulators.begin(), products.accumulators.end(),
                                 [&](const Accumulator& s) { return s.d == p.d; });
  AsyncProduct::Operands now;
  read_operands(p, now);
  const bool changed = std::memcmp(&now, &p.seen, sizeof now) != 0;
  float a[2][16], b[16];
  for (unsigned i = 0; i < 2; ++i)
    for (unsigned k = 0; k < 16; ++k) a[i][k] = __half2float({now.a[i][k]});
  for (unsigned c = 0; c < 32; ++c) {
    for (unsigned k = 0; k < 16; ++k) b[k] = __half2float({now.b[c][k]});
    for (unsigned i = 0; i < 2; ++i) {
      float& sum = sums->value[c / 2 * 4 + 2 * i + c % 2];
      for (unsigned k = 0; k < 16; ++k) sum += a[i][k] * b[k];
      if (changed) sum = std::numeric_limits<float>::quiet_NaN();
    }
  }
  if (--sums->under_way > 0) return;
  for (unsigned k = 0; k < 64; ++k) {
    std::uint32_t bits;
    std::memcpy(&bits, p.d + k, 4);
    if (bits == 0xFFFFFFFFu)
      p.d[k] = sums->value[k];  // else someone wrote it: it stays wrong
    else
      p.d[k] = std::numeric_limits<float>::quiet_NaN();
  }
  products.accumulators.erase(sums);
  products.fenced = false;
}

/// Completes all but the newest `pending` groups.
inline void wgmma_wait(std::size_t pending) {
  block.meet(warpgroup_wait, 0xFFFFFFFFu, nullptr, 0);
  Products& products = block.now().products;
  for (; products.groups.size() > pending; products.groups.pop_front())
    for (const AsyncProduct& p : products.groups.front()) complete(products, p);
}

inline void async_proxy_fence() { block.now().fenced_copies = block.now().copies; }

}  // namespace emulator
