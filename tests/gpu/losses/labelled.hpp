// What the tests of losses of one labelled batch share.
#pragma once

#include "support/gpu.hpp"

#include "row_reference.hpp"
#include "spheremix/gpu/losses/detail/supervised.cuh"

namespace spheremix::gpu_test {

/// run(x, out, loss alone): the device's two calls; losses below `least` count as that large.
template <class T, class Run>
void compare_labelled(const std::vector<double>& x, const Case& c, const Reference& want,
                      Index skipped, double least, const Run& run) {
  CAPTURE(c.n);
  CAPTURE(c.d);
  const Rows<T> dx(c.n, c.d, x, c.layout);
  Rows<gpu::Arithmetic<T>> gx(c.n, c.d, c.layout);
  Buffer<double> loss(3);
  Buffer<Index> left_out(1);
  run(dx.input(),
      gpu::losses::SupervisedGradient<T>{loss.data(), gx.view(), loss.data() + 1, left_out.data()},
      loss.data() + 2);
  const auto got = loss.values();
  CHECK(std::abs(got[0] - double(want.loss)) <=
        c.tolerance * std::max(least, std::abs(double(want.loss))));
  CHECK(got[2] == got[0]);
  CHECK(left_out.values()[0] == skipped);
  CHECK(relative_error(gx.values(), want.x) <= c.tolerance);
  CHECK(std::abs(got[1] - double(want.log_temperature)) <=
        3 * c.tolerance * std::max(least, std::abs(double(want.log_temperature))));
}

}  // namespace spheremix::gpu_test
