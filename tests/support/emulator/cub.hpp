// CUB's device-wide calls that the library makes, with their two-phase protocol, done on the host.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "runtime.hpp"

namespace cub {

namespace detail_emulated {
/// True in the first phase, where only the size is asked for.
inline bool only_size(void* storage, std::size_t& bytes, std::size_t need) {
  if (storage) {
    if (bytes < need) emulator::fail("cub: temporary storage is too small");
    return false;
  }
  bytes = need;
  return true;
}
}  // namespace detail_emulated

struct DeviceReduce {
  template <class In, class Out, class Count>
  static cudaError_t Sum(void* storage, std::size_t& bytes, In in, Out out, Count n,
                         cudaStream_t = nullptr) {
    if (detail_emulated::only_size(storage, bytes, 1)) return cudaSuccess;
    std::remove_cvref_t<decltype(*out)> total{};
    for (Count i = 0; i < n; ++i) total += in[i];
    *out = total;
    return cudaSuccess;
  }
};

struct DeviceRadixSort {
  template <class Key, class Count>
  static cudaError_t SortKeys(void* storage, std::size_t& bytes, const Key* keys, Key* sorted_keys,
                              Count n, int = 0, int = 8 * sizeof(Key), cudaStream_t = nullptr) {
    if (detail_emulated::only_size(storage, bytes, 1)) return cudaSuccess;
    std::copy(keys, keys + n, sorted_keys);
    std::sort(sorted_keys, sorted_keys + n);
    return cudaSuccess;
  }

  template <class Key, class Value, class Count>
  static cudaError_t SortPairs(void* storage, std::size_t& bytes, const Key* keys, Key* sorted_keys,
                               const Value* values, Value* sorted_values, Count n, int = 0,
                               int = 8 * sizeof(Key), cudaStream_t = nullptr) {
    if (detail_emulated::only_size(storage, bytes, 1)) return cudaSuccess;
    std::vector<Count> at(static_cast<std::size_t>(n));
    std::iota(at.begin(), at.end(), Count(0));
    std::stable_sort(at.begin(), at.end(), [&](Count a, Count b) { return keys[a] < keys[b]; });
    for (Count i = 0; i < n; ++i) {
      sorted_keys[i] = keys[at[std::size_t(i)]];
      sorted_values[i] = values[at[std::size_t(i)]];
    }
    return cudaSuccess;
  }
};

struct DeviceSegmentedRadixSort {
  template <class Key, class Value, class Offset>
  static cudaError_t SortPairs(void* storage, std::size_t& bytes, const Key* keys, Key* sorted_keys,
                               const Value* values, Value* sorted_values, int n, int segments,
                               const Offset* first, const Offset* last, int = 0,
                               int = 8 * sizeof(Key), cudaStream_t stream = nullptr) {
    if (detail_emulated::only_size(storage, bytes, 1)) return cudaSuccess;
    for (int s = 0; s < segments; ++s) {
      const Offset at = first[s], count = last[s] - at;
      if (count < 0 || last[s] > n) emulator::fail("cub: a segment lies outside the items");
      const cudaError_t status =
          DeviceRadixSort::SortPairs(storage, bytes, keys + at, sorted_keys + at, values + at,
                                     sorted_values + at, count, 0, 8 * int(sizeof(Key)), stream);
      if (status != cudaSuccess) return status;
    }
    return cudaSuccess;
  }
};

}  // namespace cub
