// How well stated confidences match how often they are right.
//
//   ECE = sum_b (n_b / N) |accuracy_b - confidence_b|      over equal bins (l, h] of the confidence
//
// n_b, accuracy_b and confidence_b are the number, the share that is right and the mean confidence
// of the predictions in bin b. 0 is perfect. A confidence of exactly 0 counts in the first bin.
//
// [Guo et al. 2017, "On calibration of modern neural networks", arXiv 1706.04599, equation 3]
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::metrics {

struct CalibrationOptions {
  Index bins = 10;  ///< equal bins of [0, 1]
};

/// One bin of a reliability diagram; accuracy and confidence are 0 where it is empty.
struct CalibrationBin {
  Index count = 0;
  double accuracy = 0;    ///< share of its predictions that are right
  double confidence = 0;  ///< their mean confidence
};

}  // namespace spheremix::metrics

namespace spheremix::formula {

/// The bin (b / bins, (b + 1) / bins] of a confidence in [0, 1], the edges rounded to its own type:
/// 0.3f lies in the third bin of ten although it is a little more than 0.3.
template <class T>
SPHEREMIX_HD Index calibration_bin(T confidence, Index bins) {
  const auto edge = [bins](Index b) { return T(double(b) / double(bins)); };
  auto b = Index(double(confidence) * double(bins));
  if (b >= bins) b = bins - 1;
  while (b > 0 && !(confidence > edge(b))) --b;
  while (b + 1 < bins && confidence > edge(b + 1)) ++b;
  return b;
}

}  // namespace spheremix::formula
