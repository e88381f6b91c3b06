// Who is mixed with whom: partner[i] is the row that row i is mixed with.
//
//   flip_partners    n - 1 - i, as the released m2-Mix code does (odd n: one row keeps itself)
//   random_partners  a uniform permutation
//   derangement      a uniform permutation without fixed points
//
// The random ones sort Philox keys (math/permutation.hpp) and take one step of the generator each.
//
// Errors   std::invalid_argument: n < 0; derangement of one row (n = 0 gives an empty one).
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/math/permutation.hpp"

namespace spheremix::mixup {

/// n - 1 - i.
[[nodiscard]] inline std::vector<Eigen::Index> flip_partners(Index n) {
  core::expects(n >= 0, "flip_partners", "n is ", n);
  std::vector<Eigen::Index> partner(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) partner[std::size_t(i)] = n - 1 - i;
  return partner;
}

namespace detail {

/// The permutation that sorts the keys of `attempt`.
inline std::vector<Eigen::Index> sorted_by_keys(Index n, const core::Philox& rng,
                                                std::uint32_t step, std::uint32_t attempt) {
  std::vector<std::pair<std::uint64_t, Eigen::Index>> keyed(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i)
    keyed[std::size_t(i)] = {math::permutation_key(rng.seed(), step, std::uint64_t(i), attempt), i};
  std::sort(keyed.begin(), keyed.end());
  std::vector<Eigen::Index> partner(keyed.size());
  std::transform(keyed.begin(), keyed.end(), partner.begin(),
                 [](const auto& pair) { return pair.second; });
  return partner;
}

}  // namespace detail

/// A uniform permutation of 0, ..., n - 1.
[[nodiscard]] inline std::vector<Eigen::Index> random_partners(Index n, core::Philox& rng) {
  core::expects(n >= 0, "random_partners", "n is ", n);
  return detail::sorted_by_keys(n, rng, rng.take_step(), 0);
}

/// A uniform permutation without fixed points; n = 1 is an error.
[[nodiscard]] inline std::vector<Eigen::Index> derangement(Index n, core::Philox& rng) {
  core::expects(n >= 0 && n != 1, "derangement", "n is ", n,
                ": every row needs a partner other than itself");
  const std::uint32_t step = rng.take_step();
  for (std::uint32_t attempt = 0;; ++attempt) {  // each succeeds with probability about 1/e
    std::vector<Eigen::Index> partner = detail::sorted_by_keys(n, rng, step, attempt);
    bool fixed = false;
    for (Index i = 0; i < n; ++i) fixed |= partner[std::size_t(i)] == i;
    if (!fixed) return partner;
  }
}

}  // namespace spheremix::mixup
