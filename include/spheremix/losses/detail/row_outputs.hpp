// What the losses of several batches of rows share: results and temporaries.
#pragma once

#include "spheremix/losses/detail/contrastive.hpp"

namespace spheremix::losses {

namespace detail {

/// Of a loss without a temperature.
struct LossResult {
  double loss;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
  }
};

/// A loss and its part of dL/d ln(tau) for each of n lines.
struct LineResults {
  double *loss, *moment;

  LineResults(Index n, Workspace::Frame& frame)
      : loss(frame.take<double>(std::size_t(n))), moment(frame.take<double>(std::size_t(n))) {
    if (frame.share()) std::fill_n(loss, n, 0.0), std::fill_n(moment, n, 0.0);
  }
};

}  // namespace detail
}  // namespace spheremix::losses
