// What a thread of the emulated block has under way: cp.async copies, and wgmmas (wgmma.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <vector>

namespace emulator {

struct AsyncCopy {
  void* to;
  const void* from;
  std::size_t bytes, from_bytes;
};

/// One thread's part of a wgmma, and the operands as they were when it started.
struct AsyncProduct {
  float* d;
  std::uint64_t a, b;
  struct Operands {
    std::uint16_t a[2][16], b[32][16];
  } seen;
};

/// Sums that belong to the tensor cores: d holds NaN, `value` what will be there.
struct Accumulator {
  float* d;
  float value[64];
  unsigned under_way;
};

struct Products {
  bool fenced = false;  ///< wgmma_fence since sums were last free
  std::list<Accumulator> accumulators;
  std::vector<AsyncProduct> open;                // not committed to a group yet
  std::deque<std::vector<AsyncProduct>> groups;  // committed, oldest first

  void clear() {
    fenced = false;
    accumulators.clear();
    open.clear();
    groups.clear();
  }
};

/// Who wrote 16 bytes of shared memory by cp.async, and which of that thread's copies it was.
struct Written {
  unsigned thread = 0;
  std::size_t copy = 0;  // 0: nobody
};

}  // namespace emulator
