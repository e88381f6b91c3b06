// The largest row norm of a batch, and with it whether a table of its products can be computed at
// all.
#pragma once

#include <algorithm>
#include <cmath>

#include "spheremix/core/compiled.hpp"
#include "spheremix/core/lanes.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::pairwise {

/// max_i |x_i|, to d eps; NaN when a component is NaN or infinite. 0 for no rows.
template <class T>
double largest_norm(core::MatrixView<const T> x) {
  constexpr Index chunk = 128;
  const Index parts = (x.rows + chunk - 1) / chunk;
  std::atomic<double> largest{0};
  core::parallel_for(
      parts, x.rows * x.cols < 400000 ? 1 : core::max_threads(), [&](Index part, int) {
        double top = 0;
        for (Index i = part * chunk; i < (std::min)(x.rows, (part + 1) * chunk); ++i) {
          const double square = core::row_square(x.row(i), x.cols);
          if (!(square <= core::largest<double>)) {
            largest = core::nan<double>;
            return;
          }
          top = (std::max)(top, square);
        }
        for (double seen = largest;
             !(seen >= top) && !std::isnan(seen);)  // a maximum: the order is no matter
          if (largest.compare_exchange_weak(seen, top)) break;
      });
  return std::sqrt(largest.load());
}

}  // namespace spheremix::pairwise

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::pairwise {
#define SPHEREMIX_LARGEST_NORM(T) double largest_norm(core::MatrixView<const T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_LARGEST_NORM)
}  // namespace spheremix::pairwise
