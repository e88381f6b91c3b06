// The inputs of every benchmark: n pairs of unit rows that belong together (cosine about .5), and a
// cotangent.
#pragma once

#include <map>
#include <utility>

#include "spheremix/core/eigen.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/sampling.hpp"

namespace bench {

using spheremix::Index;
using spheremix::RowMatrix;
template <class T>
using Column = spheremix::Vector<T>;

template <class T>
struct Batch {
  RowMatrix<T> x, y, g;

  template <class U>
  Batch<U> cast() const {
    return {x.template cast<U>(), y.template cast<U>(), g.template cast<U>()};
  }
};

/// Made once for each shape.
template <class T>
const Batch<T>& batch(Index n, Index d) {
  static std::map<std::pair<Index, Index>, Batch<T>> made;
  Batch<T>& b = made[{n, d}];
  if (b.x.rows() != n) {
    spheremix::core::Philox rng(1);
    b.x = spheremix::sphere::sample_uniform<T>(n, d, rng);
    b.g = spheremix::sphere::sample_uniform<T>(n, d, rng);
    const RowMatrix<T> apart = spheremix::sphere::sample_uniform<T>(n, d, rng);
    b.y = spheremix::sphere::normalize_rows(T(0.58) * b.x + apart);
  }
  return b;
}

}  // namespace bench
