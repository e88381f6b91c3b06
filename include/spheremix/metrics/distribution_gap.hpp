// How far apart two batches lie as distributions: the squared maximum mean discrepancy under the
// Gaussian potential, without bias.
//
//   distribution_gap(X, Y) = mean_{i != j} K(x_i, x_j) + mean_{i != j} K(y_i, y_j)
//                            - 2 mean_{i, j} K(x_i, y_j),         K(x, y) = e^(-t |x - y|^2)
//                          = e^uniformity(X) + e^uniformity(Y) - 2 e^cross_uniformity(X, Y)
//
// 0 in the mean for batches of one distribution (and below it for half of them), up to 2 for
// batches far apart. The modality gap sees centres alone: two batches with one centre may be far
// apart here.
//
// Shapes, cost, errors as uniformity; X and Y need at least two rows each, not the same number.
// Source   Gretton et al. 2012, "A Kernel Two-Sample Test", lemma 6.
#pragma once

#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::metrics {

template <class X, class Y>
[[nodiscard]] double distribution_gap(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options = {}) {
  return std::exp(uniformity(x, options)) + std::exp(uniformity(y, options)) -
         2 * std::exp(cross_uniformity(x, y, options));
}

namespace detail {

/// Of the rows of all ranks, batches 0 and 1.
template <class T>
double distribution_gap_by_ring(core::Meeting& meeting, core::MatrixView<const T> x,
                                core::MatrixView<const T> y, double t) {
  const char* const function = meeting.function();
  const Index n = meeting.total(0), m = meeting.total(1);
  check_uniformity(function, n, t);
  check_uniformity(function, m, t);
  core::expects_same_width(function, "X", n, x.cols, "Y", m, y.cols);
  core::Workspace workspace;
  const double within_x = uniformity_by_ring<T>(meeting, 0, x, t, workspace),
               within_y = uniformity_by_ring<T>(meeting, 1, y, t, workspace),
               across = cross_uniformity_by_ring<T>(meeting, x, y, t, workspace);
  return std::exp(within_x) + std::exp(within_y) - 2 * std::exp(across);
}

}  // namespace detail

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double distribution_gap(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::over_blocks<T>(
      "distribution_gap", world, options,
      [&](core::Meeting& meeting, const auto& xs, const auto& ys) {
        return detail::distribution_gap_by_ring<T>(meeting, xs, ys, options.t);
      },
      x, y);
}

}  // namespace spheremix::metrics
