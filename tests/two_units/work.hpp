// The same work for two translation units that are compiled with different flags: values and gradients of
// everything the library has a floor for, in one list of numbers.
#pragma once

#include <spheremix/spheremix.hpp>
#include <vector>

namespace {

template <class Matrix>
void append(std::vector<double>& all, const Matrix& m) {
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) all.push_back(double(m(i, j)));
}

template <class T>
std::vector<double> work() {
  using namespace spheremix;
  constexpr Eigen::Index n = 67, d = 33;
  core::Philox rng(7);
  const RowMatrix<T> x = sphere::sample_uniform<T>(n, d, rng);
  const RowMatrix<T> y = sphere::sample_uniform<T>(n, d, rng);
  const Vector<T> lambda = mixup::beta<T>(n, 0.5, 0.5, rng);
  std::vector<double> all;
  append(all, x);
  append(all, mixup::geodesic(x, y, lambda));
  append(all, sphere::geodesic_distance_matrix(x, y));
  all.push_back(metrics::uniformity(x));
  all.push_back(metrics::relative_alignment(x, y));
  const auto clip = losses::clip_with_gradient(x, y, {.temperature = 0.05});
  all.push_back(clip.loss);
  append(all, clip.x);
  append(all, clip.y);
  const auto m2 = losses::m2_mix_with_gradient(x, y, lambda);
  all.push_back(m2.loss);
  append(all, m2.x);
  append(all, m2.lambda);
  return all;
}

}  // namespace
