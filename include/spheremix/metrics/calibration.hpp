// calibration_bins and expected_calibration_error on the CPU: formula and options in
// formula/calibration.hpp.
//
// Shapes  confidence, correct: N numbers each, row or column; correct is a bool, or any number
//         (0: wrong).
// Errors  sizes that differ, N = 0, a confidence outside [0, 1] or NaN, bins < 1:
//         std::invalid_argument.
#pragma once

#include <cmath>
#include <vector>

#include "spheremix/core/whole.hpp"
#include "spheremix/formula/calibration.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::metrics {

namespace detail {

/// Collects predictions into bins.
class CalibrationSums {
 public:
  explicit CalibrationSums(Index bins) : bins_(std::size_t(bins)) {}

  template <class T>
  void add(T confidence, bool correct) {
    Bin& bin = bins_[std::size_t(formula::calibration_bin(confidence, Index(bins_.size())))];
    ++bin.count;
    bin.right += correct;
    bin.confidence.add(double(confidence));
  }

  /// Of each bin its predictions, the right ones, the sum of their confidences.
  std::vector<double> numbers() const {
    std::vector<double> all;
    for (const Bin& bin : bins_)
      all.insert(all.end(), {double(bin.count), double(bin.right), bin.confidence.value()});
    return all;
  }
  void add(const double* numbers) {
    for (Bin& bin : bins_) {
      bin.count += Index(*numbers++);
      bin.right += Index(*numbers++);
      bin.confidence.add(*numbers++);
    }
  }

  std::vector<CalibrationBin> bins() const {
    std::vector<CalibrationBin> result;
    for (const Bin& bin : bins_) {
      const double n = bin.count > 0 ? double(bin.count) : 1;
      result.push_back({bin.count, double(bin.right) / n, bin.confidence.value() / n});
    }
    return result;
  }

 private:
  struct Bin {
    Index count = 0, right = 0;
    CompensatedSum confidence;
  };
  std::vector<Bin> bins_;
};

inline void expects_predictions(const char* function, Index count) {
  core::expects(count > 0, function, "no predictions, and the mean over none is undefined");
}

template <class P, class C>
CalibrationSums calibration_sums(const char* function, const Eigen::DenseBase<P>& confidence,
                                 const Eigen::DenseBase<C>& correct,
                                 const CalibrationOptions& options) {
  core::expects((confidence.rows() == 1 || confidence.cols() == 1) &&
                    (correct.rows() == 1 || correct.cols() == 1),
                function, "confidence is ", confidence.rows(), " x ", confidence.cols(),
                " and correct is ", correct.rows(), " x ", correct.cols(),
                ", which need to be vectors with elements");
  core::expects_size(function, "correct", correct.size(), confidence.size());
  core::expects(options.bins >= 1, function, "bins is ", options.bins,
                ", which must be at least 1");
  CalibrationSums sums(options.bins);
  for (Index i = 0; i < confidence.size(); ++i) {
    const auto p = confidence.rows() == 1 ? confidence.coeff(0, i) : confidence.coeff(i, 0);
    const auto c = correct.rows() == 1 ? correct.coeff(0, i) : correct.coeff(i, 0);
    core::expects(p >= 0 && p <= 1, function, "confidence ", i, " is ", p, ", outside [0, 1]");
    sums.add(p, c != decltype(c)(0));
  }
  return sums;
}

template <class P, class C>
std::vector<CalibrationBin> calibration_bins(const char* function,
                                             const Eigen::DenseBase<P>& confidence,
                                             const Eigen::DenseBase<C>& correct,
                                             const CalibrationOptions& options) {
  const CalibrationSums sums = calibration_sums(function, confidence, correct, options);
  expects_predictions(function, confidence.size());
  return sums.bins();
}

/// Of the predictions of all ranks.
template <class P, class C, class World>
std::vector<CalibrationBin> calibration_bins_across(const char* function,
                                                    const Eigen::DenseBase<P>& confidence,
                                                    const Eigen::DenseBase<C>& correct,
                                                    const CalibrationOptions& options,
                                                    World& world) {
  std::vector<CalibrationBin> bins;
  core::RanksOf<World> ranks(world);
  core::over_ranks(ranks, function, [&](core::Meeting& meeting) {
    meeting.mine.options = core::digest_of(options);
    meeting.bring<typename P::Scalar>(0, confidence.size(), 1);
    CalibrationSums sums = calibration_sums(function, confidence, correct, options);
    meeting.agree();
    expects_predictions(function, meeting.total(0));
    const std::vector<double> own = sums.numbers(), each = core::gather_numbers(meeting, 1, own);
    sums = CalibrationSums(options.bins);
    for (std::size_t at = 0; at < each.size(); at += own.size()) sums.add(each.data() + at);
    bins = sums.bins();
  });
  return bins;
}

}  // namespace detail

/// sum_b (n_b / N) |accuracy_b - confidence_b| of given bins.
inline double expected_calibration_error(const std::vector<CalibrationBin>& bins) {
  detail::CompensatedSum gaps;
  Index n = 0;
  for (const CalibrationBin& bin : bins) {
    gaps.add(double(bin.count) * std::abs(bin.accuracy - bin.confidence));
    n += bin.count;
  }
  detail::expects_predictions("expected_calibration_error", n);
  return gaps.value() / double(n);
}

/// The bins of a reliability diagram.
template <class P, class C>
[[nodiscard]] std::vector<CalibrationBin> calibration_bins(const Eigen::DenseBase<P>& confidence,
                                                           const Eigen::DenseBase<C>& correct,
                                                           const CalibrationOptions& options = {}) {
  return detail::calibration_bins("calibration_bins", confidence, correct, options);
}

/// The expected calibration error of N predictions.
template <class P, class C>
[[nodiscard]] double expected_calibration_error(const Eigen::DenseBase<P>& confidence,
                                                const Eigen::DenseBase<C>& correct,
                                                const CalibrationOptions& options = {}) {
  return expected_calibration_error(
      detail::calibration_bins("expected_calibration_error", confidence, correct, options));
}

/// Over several processes: of the predictions of all ranks, the same on every rank.
template <class P, class C, core::Communicator World>
[[nodiscard]] std::vector<CalibrationBin> calibration_bins(const Eigen::DenseBase<P>& confidence,
                                                           const Eigen::DenseBase<C>& correct,
                                                           const CalibrationOptions& options,
                                                           World& world) {
  return detail::calibration_bins_across("calibration_bins", confidence, correct, options, world);
}

template <class P, class C, core::Communicator World>
[[nodiscard]] double expected_calibration_error(const Eigen::DenseBase<P>& confidence,
                                                const Eigen::DenseBase<C>& correct,
                                                const CalibrationOptions& options, World& world) {
  return expected_calibration_error(detail::calibration_bins_across(
      "expected_calibration_error", confidence, correct, options, world));
}

}  // namespace spheremix::metrics
