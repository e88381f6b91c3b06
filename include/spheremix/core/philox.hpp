// Philox4x32-10: a counter-based random generator. Ten rounds of multiply and xor turn a 128-bit
// counter and a 64-bit key into 128 random bits, so draw i of step s under seed k is a function of
// (k, s, i) alone: the same number whatever the thread count, the order of the draws, or the
// processor.
// [Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11]
#pragma once

#include <cstdint>

#include "spheremix/core/host_device.hpp"

namespace spheremix::core {

/// Four random words.
struct PhiloxBlock {
  std::uint32_t word[4];
};

/// The generator itself: Philox4x32 with ten rounds.
SPHEREMIX_HD inline PhiloxBlock philox4x32(PhiloxBlock counter, std::uint32_t key0,
                                           std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t(0xD2511F53u) * counter.word[0];
    const std::uint64_t p1 = std::uint64_t(0xCD9E8D57u) * counter.word[2];
    counter = {{std::uint32_t(p1 >> 32) ^ counter.word[1] ^ key0, std::uint32_t(p1),
                std::uint32_t(p0 >> 32) ^ counter.word[3] ^ key1, std::uint32_t(p0)}};
    key0 += 0x9E3779B9u;  // golden ratio
    key1 += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return counter;
}

/// Uniform in (0, 1) from 23 (float) or 52 (double) bits, each plus a half: exact, never 0,
/// never 1.
template <class T>
SPHEREMIX_HD inline T uniform01(std::uint32_t high, std::uint32_t low) {
  if constexpr (sizeof(T) == 4) {
    (void)low;
    return (T(high >> 9) + T(0.5)) * T(1.1920928955078125e-7);  // 2^-23
  } else {
    const std::uint64_t bits = ((std::uint64_t(high) << 32) | low) >> 12;
    return (T(bits) + T(0.5)) * T(2.220446049250313080847e-16);  // 2^-52
  }
}

/// A stream of random draws for one item of one step: block after block from (seed, step, item).
/// Samplers that reject (Beta, von Mises-Fisher) take as many blocks as they need without touching
/// their neighbours' draws.
class PhiloxStream {
 public:
  SPHEREMIX_HD PhiloxStream(std::uint64_t seed, std::uint32_t step, std::uint64_t item)
      : seed_(seed), step_(step), item_(item) {}

  /// Next 32 random bits.
  SPHEREMIX_HD std::uint32_t next() {
    if (used_ == 4) {
      block_ = philox4x32({{std::uint32_t(item_), std::uint32_t(item_ >> 32), step_, count_++}},
                          std::uint32_t(seed_), std::uint32_t(seed_ >> 32));
      used_ = 0;
    }
    return block_.word[used_++];
  }

  /// Uniform in (0, 1). Always takes two words, so float and double streams stay in step.
  template <class T>
  SPHEREMIX_HD T uniform() {
    const std::uint32_t high = next(), low = next();
    return uniform01<T>(high, low);
  }

 private:
  std::uint64_t seed_;
  std::uint32_t step_;
  std::uint64_t item_;
  std::uint32_t count_ = 0;
  PhiloxBlock block_{};
  int used_ = 4;
};

/// The random state a caller holds: a seed and the number of the next step. Every sampling call
/// takes one step; draw i of that call depends on (seed, step, i) only.
class Philox {
 public:
  explicit Philox(std::uint64_t seed, std::uint32_t step = 0) : seed_(seed), step_(step) {}

  std::uint64_t seed() const { return seed_; }
  std::uint32_t step() const { return step_; }

  /// The step to draw with now; the next call gets the next one.
  std::uint32_t take_step() { return step_++; }

  /// The stream of `item` in `step`.
  PhiloxStream stream(std::uint32_t step, std::uint64_t item) const { return {seed_, step, item}; }

 private:
  std::uint64_t seed_;
  std::uint32_t step_;
};

}  // namespace spheremix::core
