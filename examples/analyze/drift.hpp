// --drift old.npy new.npy: two versions of one set, row i of which is one item.
//
//   neighbour overlap   mean share of a row's 10 nearest that are its 10 nearest in both versions
//   Procrustes          rotation of new onto old, fitted on half of the rows, tried on the other:
//                       mean squared distance, and rows that moved most
//   MMD^2               mean k(x, x') + mean k(y, y') - 2 mean k(x, y), k = e^(-2 |x - y|^2), with
//                       p = (1 + permutations at least as far apart) / (1 + permutations)
//
// A permutation swaps the versions of an item; where the versions have other numbers of rows, it
// mixes all rows, and MMD is all that can be said.
// [Gretton et al. 2012, "A kernel two-sample test"]
#pragma once

#include "metric.hpp"
#include "progress.hpp"

namespace analyze {

struct DriftRequest {
  std::string before, after, names;
  std::uint64_t seed = 1;
};

inline constexpr Index kDriftRows = 5000;  ///< items beyond which a seeded sample is taken
inline constexpr Index kMmdRows = 2000;    ///< rows of each version in the permutation test
inline constexpr int kPermutations = 499;

Json drift(const DriftRequest& request, Progress& progress);

}  // namespace analyze
