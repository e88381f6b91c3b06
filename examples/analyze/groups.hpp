// Rows joined one pair at a time into groups.
#pragma once

#include <numeric>

#include "common.hpp"

namespace analyze {

class Groups {
 public:
  explicit Groups(std::size_t n) : above_(n) { std::iota(above_.begin(), above_.end(), Index(0)); }
  void join(Index a, Index b) {
    a = top(a), b = top(b);
    above_[at(std::max(a, b))] = std::min(a, b);
  }
  /// The least row of i's group.
  Index top(Index i) {
    while (above_[at(i)] != i) i = above_[at(i)] = above_[at(above_[at(i)])];
    return i;
  }

 private:
  std::vector<Index> above_;
};

}  // namespace analyze
