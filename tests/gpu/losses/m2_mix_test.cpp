// m2_mix on the device against the formulas in long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/m2_mix.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::losses::Negatives;
using gpu::losses::Reduction;

template <class T>
void check(Index n, Index d, Precision precision, Index block, bool append, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  CAPTURE(append);
  using A = gpu::Arithmetic<T>;
  const auto x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2), l = mix_lambdas(n);
  const gpu::losses::M2MixOptions options{0.1, Reduction::mean,
                                          append ? Negatives::append : Negatives::replace};
  const gpu::pairwise::KernelProducts how{precision, block};
  const MixReference want = m2_mix(x, y, l, n, d, 0.1L, 0.5L, append);
  const Rows<T> dx(n, d, x), dy(n, d, y);
  Rows<A> gx(n, d), gy(n, d);
  Buffer<double> loss(1), slope(1), value(1), gl(static_cast<std::size_t>(n));
  const Buffer<A> lambda(as<A>(l));
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::m2_mix_with_gradient<T>(
        dx.input(), dy.input(), lambda.data(), options,
        {loss.data(), gx.view(), gy.view(), gl.data(), slope.data()}, s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::m2_mix<T>(dx.input(), dy.input(), lambda.data(), options, value.data(), s,
                                  nullptr, how);
  });
  CHECK(std::abs(loss.values()[0] - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(value.values()[0] == loss.values()[0]);
  if (n > 1) {
    CHECK(relative_error(gx.values(), want.x) <= tolerance);
    CHECK(relative_error(gy.values(), want.y) <= tolerance);
    CHECK(relative_error(gl.values(), want.lambda) <= 3 * tolerance);
  }
  CHECK(std::abs(slope.values()[0] - double(want.log_temperature)) <= tolerance * 10);
}

}  // namespace

TEST_CASE("m2_mix: ragged sizes, strips, both kinds of negatives") {
  in_every_order([] {
    for (const bool append : {false, true}) {
      for (const Index n : {1, 2, 63, 65, 130})
        for (const Index d : {3, 17}) check<double>(n, d, Precision::exact, 64, append, 1e-9);
      check<float>(70, 20, Precision::exact, 64, append, 2e-5);
      check<float>(150, 40, Precision::fast, 128, append, 1e-3);
      check<gpu::Half>(140, 24, Precision::fast, 0, append, 2e-3);
    }
  });
}

TEST_CASE("m2_mix: lambda 0 and 1, equal rows, and what is undefined") {
  const Index n = 40, d = 8;
  const auto x = unit_rows<double>(n, d, 1);
  std::vector<double> l = mix_lambdas(n), y = unit_rows<double>(n, d, 2);
  l[3] = 0, l[4] = 1;
  for (Index k = 0; k < d; ++k) y[std::size_t(5 * d + k)] = x[std::size_t(5 * d + k)];
  const auto run = [&] {
    const Rows<double> dx(n, d, x), dy(n, d, y);
    Rows<double> gx(n, d), gy(n, d);
    Buffer<double> loss(1);
    const Buffer<double> lambda(l);
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::m2_mix_with_gradient<double>(
          dx.input(), dy.input(), lambda.data(), {},
          {loss.data(), gx.view(), gy.view(), nullptr, nullptr}, s, nullptr);
    });
    double sum = loss.values()[0];
    for (const double v : gx.values()) sum += v;
    for (const double v : gy.values()) sum += v;
    return sum;
  };
  CHECK(std::isfinite(run()));
  l[7] = 1.5;
  CHECK(std::isnan(run()));
  l[7] = 0.5;
  for (Index k = 0; k < d; ++k) y[std::size_t(9 * d + k)] = -x[std::size_t(9 * d + k)];
  CHECK(std::isnan(run()));
}

TEST_CASE("m2_mix: scratch stays within 64 MiB + 16 N bytes, and 4 N D where rows are not fp16") {
  for (const Index n : {1, 1000, 32768, 262144})
    for (const Index d : {64, 512, 4096}) {
      CAPTURE(n);
      CAPTURE(d);
      const std::size_t most = (std::size_t(64) << 20) + 16 * std::size_t(n);
      const auto needed = [&]<class T>(T) {
        const auto x = untouched<const T>(n, d);
        const auto gx = untouched<float>(n, d), gy = untouched<float>(n, d, 1);
        double number = 0;
        return counted([&](gpu::Scratch s) {
          return gpu::losses::m2_mix_with_gradient<T>(x, x, 0.5f, {},
                                                      {&number, gx, gy, &number, &number}, s);
        });
      };
      CHECK(needed(gpu::Half()) > 0);
      CHECK(needed(gpu::Half()) <= most);
      CHECK(needed(float()) <= most + 4 * std::size_t(n * d));
    }
}
