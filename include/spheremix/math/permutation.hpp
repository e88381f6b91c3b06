// Random keys whose sorted order is a uniform permutation: partner i of a batch is the index with
// the i-th smallest key, equal keys by index. A key is a function of (seed, step, item, attempt),
// so a sort on any processor gives the same partners. A permutation that must have no fixed point
// takes the next attempt until it has none: uniform over derangements, e attempts on average.
#pragma once

#include <cstdint>

#include "spheremix/core/host_device.hpp"
#include "spheremix/core/philox.hpp"

namespace spheremix::math {

/// The 64-bit sort key of `item` in attempt 0, 1, 2, ...
SPHEREMIX_HD inline std::uint64_t permutation_key(std::uint64_t seed, std::uint32_t step,
                                                  std::uint64_t item, std::uint32_t attempt = 0) {
  const core::PhiloxBlock block =
      core::philox4x32({{std::uint32_t(item), std::uint32_t(item >> 32), step, attempt}},
                       std::uint32_t(seed), std::uint32_t(seed >> 32));
  return (std::uint64_t(block.word[0]) << 32) | block.word[1];
}

}  // namespace spheremix::math
