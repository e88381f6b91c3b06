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

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double distribution_gap(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options, World& world) {
  using T = core::Real<X>;
  constexpr const char* function = "distribution_gap";
  return pairwise::value_of_shares(
      function, world, options,
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y) {
        const auto xs = core::rows_of(all_x), ys = core::rows_of(all_y);
        return std::exp(detail::uniformity<T>(function, {xs}, options.t, nullptr, share)) +
               std::exp(detail::uniformity<T>(function, {ys}, options.t, nullptr, share)) -
               2 * std::exp(detail::cross_uniformity<T>(function, xs, ys, options.t, share));
      },
      x, y);
}

}  // namespace spheremix::metrics
