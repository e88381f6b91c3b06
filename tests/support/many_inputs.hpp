// Losses of several batches against a long-double reference: value, and every gradient by
// differences.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "support/loss_oracle.hpp"

namespace spheremix::test {

using LongBatches = std::vector<LongMatrix>;
using LossOfBatches = std::function<LongReal(const LongBatches&)>;

template <class... Rows>
LongBatches widened(const Rows&... rows) {
  return {rows.template cast<LongReal>().eval()...};
}

/// Checks loss against f(in) and gradient b against the differences of f in batch b, relative to
/// `within`.
inline void check_loss_of_batches(const char* name, const LossOfBatches& f, const LongBatches& in,
                                  double loss, const LongBatches& gradients, double within) {
  CAPTURE(name);
  const LongReal want = f(in);
  CHECK(std::abs(loss - double(want)) <= within * std::max(1.0, std::abs(double(want))));
  REQUIRE(gradients.size() == in.size());
  for (std::size_t b = 0; b < in.size(); ++b) {
    CAPTURE(b);
    const LongMatrix dx = differences(
        [&](const LongMatrix& x) {
          LongBatches moved = in;
          moved[b] = x;
          return f(moved);
        },
        in[b]);
    CHECK(gradient_error(gradients[b], dx, 1e-4) <= within);
  }
}

/// Checks d f / d ln(tau) at tau.
inline void check_slope_of_log(const char* name, const std::function<LongReal(LongReal)>& f,
                               double tau, double got, double within) {
  CAPTURE(name);
  const LongReal want = slope([&](LongReal h) { return f(LongReal(tau) * std::exp(h)); });
  CHECK(std::abs(got - double(want)) <= within * std::max(1.0, std::abs(double(want))));
}

}  // namespace spheremix::test
