// The same work for two translation units that are compiled with different flags: values and gradients of
// every floor, in one list of numbers. Once with the library's matrices, once with buffers of the caller's own.
#pragma once

#include <spheremix/spheremix.hpp>
#include <vector>

namespace {

using namespace spheremix;
constexpr Eigen::Index kRows = 67, kDim = 33;

template <class Matrix>
void append(std::vector<double>& all, const Matrix& m) {
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) all.push_back(double(m(i, j)));
}

template <class T>
std::vector<double> matrices() {
  core::Philox rng(7);
  const RowMatrix<T> x = sphere::sample_uniform<T>(kRows, kDim, rng);
  const RowMatrix<T> y = sphere::sample_uniform<T>(kRows, kDim, rng);
  const Vector<T> lambda = mixup::beta<T>(kRows, 0.5, 0.5, rng);
  std::vector<double> all;
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

/// A row-major matrix in memory that no Eigen allocates.
template <class T>
struct Buffer {
  std::vector<T> numbers;
  Eigen::Map<RowMatrix<T>> rows;
  explicit Buffer(Eigen::Index n, Eigen::Index d)
      : numbers(static_cast<std::size_t>(n * d)), rows(numbers.data(), n, d) {}
};

template <class T>
std::vector<double> buffers() {
  core::Philox rng(7);
  Buffer<T> x(kRows, kDim), y(kRows, kDim), m(kRows, kDim), dx(kRows, kDim), dy(kRows, kDim);
  sphere::sample_uniform(kRows, kDim, rng, x.rows);
  sphere::sample_uniform(kRows, kDim, rng, y.rows);
  mixup::geodesic(x.rows, y.rows, 0.25, m.rows);
  std::vector<double> all;
  append(all, m.rows);
  all.push_back(metrics::uniformity(x.rows));
  all.push_back(metrics::relative_alignment(x.rows, y.rows));
  core::Workspace workspace;
  losses::ContrastiveGradient<Eigen::Map<RowMatrix<T>>> out{0, dx.rows, dy.rows, 0};
  losses::clip_with_gradient(x.rows, y.rows, {.temperature = 0.05}, workspace, out);
  all.push_back(out.loss);
  append(all, dx.rows);
  append(all, dy.rows);
  losses::MixGradient<Eigen::Map<RowMatrix<T>>, double> mixed{0, dx.rows, dy.rows, 0, 0};
  losses::m2_mix_with_gradient(x.rows, y.rows, 0.25, {}, workspace, mixed);
  all.push_back(mixed.loss);
  append(all, dx.rows);
  append(all, dy.rows);
  return all;
}

}  // namespace
