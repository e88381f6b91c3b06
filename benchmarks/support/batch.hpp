// The inputs of every benchmark: n pairs of unit rows that belong together (cosine about .5), and a
// cotangent.
#pragma once

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

/// The last batch asked for is kept.
template <class T>
const Batch<T>& batch(Index n, Index d) {
  static Batch<T> kept;
  if (kept.x.rows() != n || kept.x.cols() != d) {
    spheremix::core::Philox rng(1);
    kept.x = spheremix::sphere::sample_uniform<T>(n, d, rng);
    kept.g = spheremix::sphere::sample_uniform<T>(n, d, rng);
    const RowMatrix<T> apart = spheremix::sphere::sample_uniform<T>(n, d, rng);
    kept.y = spheremix::sphere::normalize_rows(T(0.58) * kept.x + apart);
  }
  return kept;
}

}  // namespace bench
