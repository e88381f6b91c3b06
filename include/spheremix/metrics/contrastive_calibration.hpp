// Calibration of retrieval read as classification: row i of X picks its partner among all rows
// of Y.
//
//   p_ij = softmax_j(x_i . y_j / tau)
//   confidence_i = max_j p_ij
//   right: the pair's rank is 1 (retrieval.hpp)
//
// ECE of these N predictions (calibration.hpp), for X asking Y and for Y asking X.
//
// Shapes  X, Y: N x d, row i of one belongs to row i of the other.
// Errors  shapes that differ, N = 0, temperature not positive and finite, bins < 1, a row with NaN
//         or infinity (named), logits that overflow: std::invalid_argument.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "spheremix/formula/softmax_pair.hpp"
#include "spheremix/metrics/calibration.hpp"
#include "spheremix/metrics/detail/gaussian_pairs.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

struct ContrastiveCalibrationOptions {
  double temperature = 0.07;  ///< tau, > 0
  Index bins = 10;            ///< equal bins of [0, 1]
};

/// The calibration error of each direction.
struct ContrastiveCalibrationResult {
  double x_to_y = 0, y_to_x = 0;                         ///< expected calibration errors
  std::vector<CalibrationBin> x_to_y_bins, y_to_x_bins;  ///< of the reliability diagrams
};

namespace detail {

/// max_j softmax_j(x_i . y_j / tau) of every row.
template <class T>
std::vector<double> softmax_confidence(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                       double temperature, const core::Share* share) {
  std::vector<LogSum> sums(std::size_t(x.rows));
  using Policy = formula::SoftmaxPair<T, true, false>;
  const Policy policy{T(1 / temperature), T(1), T(0)};
  core::Owned<TileMemory<T>> memory(threads_for(x.rows, y.rows, x.cols), true);
  for_product_strips(
      x, y, *memory,
      [&](Index i, Index j, core::MatrixView<T> tile) {
        T row_max[kTileRows], row_sum[kTileRows];
        SPHEREMIX_DISPATCH(softmax_statistics<T, Policy>)
        (policy, tile, i, j, row_max, row_sum, nullptr, nullptr);
        for (Index r = 0; r < tile.rows; ++r)
          sums[std::size_t(i + r)].add(double(row_max[r]), double(row_sum[r]));
      },
      share);
  if (share) share->gather(sums.data(), x.rows);
  std::vector<double> confidence;
  for (const LogSum& sum : sums)
    confidence.push_back((std::min)(1.0, 1 / sum.sum));  // sum >= 1, the largest's own
  return confidence;
}

template <class T>
std::vector<CalibrationBin> retrieval_bins(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                           const std::vector<Index>& ranks,
                                           const ContrastiveCalibrationOptions& options,
                                           const core::Share* share) {
  const std::vector<double> confidence = softmax_confidence(x, y, options.temperature, share);
  CalibrationSums sums(options.bins);
  for (std::size_t i = 0; i < ranks.size(); ++i) sums.add(confidence[i], ranks[i] == 1);
  return sums.bins();
}

template <class T>
ContrastiveCalibrationResult contrastive_calibration(core::MatrixView<const T> x,
                                                     core::MatrixView<const T> y,
                                                     const ContrastiveCalibrationOptions& options,
                                                     const core::Share* share) {
  constexpr const char* function = "contrastive_calibration";
  const double most = check_pairs(function, x, y, 1);
  const double tau = options.temperature;
  core::expects(tau > 0 && std::isfinite(tau), function, "temperature is ", tau,
                ", which must be positive and finite");
  core::expects((std::max)(most, 1.0) / tau < 0.25 * double(core::largest<T>), function,
                "logits at temperature ", tau, " overflow");
  core::expects(options.bins >= 1, function, "bins is ", options.bins,
                ", which must be at least 1");
  const Ranks ranks = pair_ranks<T>(x, y, true, share);
  ContrastiveCalibrationResult result;
  result.x_to_y_bins = retrieval_bins(x, y, ranks.rows, options, share);
  result.y_to_x_bins = retrieval_bins(y, x, ranks.cols, options, share);
  result.x_to_y = expected_calibration_error(result.x_to_y_bins);
  result.y_to_x = expected_calibration_error(result.y_to_x_bins);
  return result;
}

}  // namespace detail

/// ECE of the retrieval softmax in both directions.
template <class X, class Y>
[[nodiscard]] ContrastiveCalibrationResult contrastive_calibration(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const ContrastiveCalibrationOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  return detail::contrastive_calibration(xs.view(), ys.view(), options, nullptr);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] ContrastiveCalibrationResult contrastive_calibration(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const ContrastiveCalibrationOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "contrastive_calibration", world, options,
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y) {
        return detail::contrastive_calibration(core::rows_of(all_x), core::rows_of(all_y), options,
                                               share);
      },
      x, core::paired(y));
}

}  // namespace spheremix::metrics
