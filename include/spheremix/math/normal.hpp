// Standard normal numbers, two at a time, from four random words (Box and Muller 1958):
//
//   r = sqrt(-2 log u1),  x = r cos(2 pi u2),  y = r sin(2 pi u2)
//
// A fixed number of words for each pair, no rejection: pair p of an item is a function of
// (seed, step, item) alone, so rows of normals can be drawn in any order.
// In double whatever the result's type; the largest value is 8.6.
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"
#include "spheremix/core/philox.hpp"

namespace spheremix::math {

/// Two independent standard normal deviates.
struct NormalPair {
  double x, y;
};

/// The next two normals of a stream (four words, one Philox block).
SPHEREMIX_HD inline NormalPair normal_pair(core::PhiloxStream& stream) {
  const double u = stream.uniform<double>(), v = stream.uniform<double>();
  const double r = std::sqrt(-2 * std::log(u)), angle = 2 * core::pi<double> * v;
  return {r * std::cos(angle), r * std::sin(angle)};
}

/// Which stream item holds normals 2p and 2p + 1 of row `row` in a matrix with `cols` columns.
SPHEREMIX_HD inline std::uint64_t normal_item(std::uint64_t row, std::uint64_t cols,
                                              std::uint64_t p) {
  return row * ((cols + 1) / 2) + p;
}

}  // namespace spheremix::math
