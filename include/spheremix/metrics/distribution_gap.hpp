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

/// Over the ranks of a communicator; by ring where the gathered rows exceed `budget` bytes.
template <class X, class Y, class World>
double distribution_gap_across(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                               const UniformityOptions& options, World& world,
                               std::size_t budget = pairwise::kRowsBudget) {
  using T = core::Real<X>;
  constexpr const char* function = "distribution_gap";
  const double t = options.t;
  return pairwise::value_of_shares_or_ring(
      function, world, options, budget,
      [&](core::Meeting& meeting) {
        const core::InputRows<T> xs(x), ys(y);
        const Index n = meeting.total(0), m = meeting.total(1), d = x.cols();
        check_uniformity(function, n, t);
        check_uniformity(function, m, t);
        core::expects_same_width(function, "X", n, d, "Y", m, y.cols());
        const double within_x = uniformity_by_ring<T>(meeting, 0, xs.view(), t),
                     within_y = uniformity_by_ring<T>(meeting, 1, ys.view(), t),
                     across = cross_uniformity_by_ring<T>(meeting, xs.view(), ys.view(), t);
        return std::exp(within_x) + std::exp(within_y) - 2 * std::exp(across);
      },
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y) {
        const auto xs = core::rows_of(all_x), ys = core::rows_of(all_y);
        return std::exp(uniformity<T>(function, {xs}, t, nullptr, share)) +
               std::exp(uniformity<T>(function, {ys}, t, nullptr, share)) -
               2 * std::exp(cross_uniformity<T>(function, xs, ys, t, share));
      },
      x, y);
}

}  // namespace detail

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double distribution_gap(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const UniformityOptions& options, World& world) {
  return detail::distribution_gap_across(x, y, options, world);
}

}  // namespace spheremix::metrics
