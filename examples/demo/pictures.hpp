// What the report draws of the held-out embeddings: histograms of cosines, and three directions of
// the sphere.
#pragma once

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "head.hpp"

namespace demo {

inline constexpr int histogram_bins = 80;  ///< equal bins of [-1, 1]

/// Counts of cosines, and their mean.
struct Histogram {
  std::array<std::int64_t, histogram_bins> count{};
  double sum = 0;

  void add(double cosine) {
    const int bin = int(std::floor((cosine + 1) / 2 * histogram_bins));
    ++count[std::size_t(std::clamp(bin, 0, histogram_bins - 1))];
    sum += cosine;
  }
  void add(const Histogram& other) {
    for (std::size_t b = 0; b < count.size(); ++b) count[b] += other.count[b];
    sum += other.sum;
  }
  double mean() const {
    std::int64_t n = 0;
    for (const auto c : count) n += c;
    return sum / double(n);
  }
};

/// Cosines of the four kinds of pairs.
struct Cosines {
  Histogram positive, negative;  ///< a picture with its own text; with another's
  Histogram image, text;         ///< two pictures; two texts

  void add(const Cosines& other) {
    positive.add(other.positive);
    negative.add(other.negative);
    image.add(other.image);
    text.add(other.text);
  }
};

inline Cosines cosines_of(const Rows& v, const Rows& t) {
  Cosines all;
  const Rows across = v * t.transpose(), images = v * v.transpose(), texts = t * t.transpose();
  for (Index i = 0; i < v.rows(); ++i)
    for (Index j = 0; j < v.rows(); ++j) {
      (i == j ? all.positive : all.negative).add(double(across(i, j)));
      if (i >= j) continue;
      all.image.add(double(images(i, j)));
      all.text.add(double(texts(i, j)));
    }
  return all;
}

/// Unit vectors of three numbers, one a row.
struct Projection {
  Rows image, text;
  double share;  ///< of the squared length that the three directions hold
};

/// V and T on the three leading right singular vectors of [V; T] (not centred), brought back to
/// length 1.
inline Projection project(const Rows& v, const Rows& t) {
  const Eigen::MatrixXd second = (v.transpose() * v + t.transpose() * t).cast<double>();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(second);
  const Eigen::MatrixXf axes = solver.eigenvectors().rightCols(3).rowwise().reverse().cast<float>();
  const Eigen::VectorXd& squares = solver.eigenvalues();
  return {(v * axes).rowwise().normalized(), (t * axes).rowwise().normalized(),
          squares.tail(3).sum() / squares.sum()};
}

}  // namespace demo
