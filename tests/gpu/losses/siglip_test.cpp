// siglip on the device against the whole table in long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/siglip.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;

template <class T>
void check(Index n, Index d, Precision precision, Index block, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  const auto x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  const gpu::losses::SiglipOptions options{0.1, -4};
  const gpu::pairwise::KernelProducts how{precision, block};
  long double bias_slope;
  const Reference want = siglip(x, y, n, d, 0.1L, -4, &bias_slope);
  const Rows<T> dx(n, d, x), dy(n, d, y);
  Rows<gpu::Arithmetic<T>> gx(n, d), gy(n, d);
  Buffer<double> loss(1), slope(1), bias(1), value(1);
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::siglip_with_gradient<T>(
        dx.input(), dy.input(), options,
        {loss.data(), gx.view(), gy.view(), slope.data(), bias.data()}, s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::siglip<T>(dx.input(), dy.input(), options, value.data(), s, nullptr, how);
  });
  CHECK(std::abs(loss.values()[0] - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(value.values()[0] == loss.values()[0]);
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(relative_error(gy.values(), want.y) <= tolerance);
  CHECK(std::abs(slope.values()[0] - double(want.log_temperature)) <= tolerance * 10);
  CHECK(std::abs(bias.values()[0] - double(bias_slope)) <= tolerance);
}

}  // namespace

TEST_CASE("siglip: ragged sizes in f64, f32 and fp16 tiles") {
  in_every_order([] {
    for (const Index n : {1, 2, 63, 64, 65, 130})
      for (const Index d : {1, 16, 33}) check<double>(n, d, Precision::exact, 64, 1e-12);
    check<float>(70, 20, Precision::exact, 64, 1e-5);
    check<float>(300, 40, Precision::fast, 128, 5e-4);
    check<gpu::Half>(150, 64, Precision::fast, 0, 5e-4);
  });
}
