// clip and info_nce on the device against the whole table in long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;

struct Result {
  double loss, log_temperature;
  std::vector<double> x, y;
};

template <class T>
Result run_clip(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d, bool both,
                double temperature, Precision precision, Index block, Layout layout = {}) {
  const Rows<T> dx(n, d, x, layout), dy(n, d, y, layout);
  Rows<gpu::Arithmetic<T>> gx(n, d, layout), gy(n, d, layout);
  Buffer<double> loss(1), slope(1);
  const gpu::losses::ContrastiveGradient<T> out{loss.data(), gx.view(), gy.view(), slope.data()};
  if (both) {
    const gpu::losses::ClipOptions options{temperature, precision, block};
    Buffer<char> scratch(gpu::losses::clip_bytes<T>(dx.input(), dy.input(), options));
    finish(gpu::losses::clip_with_gradient<T>(dx.input(), dy.input(), options, out, scratch.scratch(), nullptr));
  } else {
    const gpu::losses::InfoNceOptions options{temperature, precision, block};
    Buffer<char> scratch(gpu::losses::info_nce_bytes<T>(dx.input(), dy.input(), options));
    finish(gpu::losses::info_nce_with_gradient<T>(dx.input(), dy.input(), options, out, scratch.scratch(), nullptr));
  }
  return {loss.values()[0], slope.values()[0], gx.values(), gy.values()};
}

Reference reference(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d, bool both,
                    double temperature) {
  const long double w = 1.0L / (long double)n;
  return both ? contrastive(x, y, n, d, temperature, w / 2, w / 2) : contrastive(x, y, n, d, temperature, w, 0);
}

void check(const Result& got, const Reference& want, double tolerance, double loss_tolerance) {
  CHECK(std::abs(got.loss - double(want.loss)) <= loss_tolerance * std::max(1e-3, std::abs(double(want.loss))));
  CHECK(relative_error(got.x, want.x) <= tolerance);
  CHECK(relative_error(got.y, want.y) <= tolerance);
  CHECK(std::abs(got.log_temperature - double(want.log_temperature)) <=
        tolerance * std::max(1.0, std::abs(double(want.log_temperature))));
}

}  // namespace

TEST_CASE("f64 at ragged sizes: ranges, tiles and merges leave nothing out") {
  in_every_order([] {
    for (const Index n : {1, 2, 3, 7, 63, 64, 65, 130})
      for (const Index d : {1, 5, 16, 33}) {
        CAPTURE(n);
        CAPTURE(d);
        const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2);
        for (const bool both : {true, false})
          check(run_clip<double>(x, y, n, d, both, 0.07, Precision::exact, 64),
                reference(x, y, n, d, both, 0.07), 1e-12, 1e-12);
      }
  });
}

TEST_CASE("fp16 tiles: f32, fp16 and bf16 rows") {
  const Index n = 150, d = 40;
  in_every_order([&] {
    const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
    check(run_clip<float>(x, y, n, d, true, 0.05, Precision::fast, 128), reference(x, y, n, d, true, 0.05), 5e-4, 1e-4);
    const auto xh = unit_rows<gpu::Half>(n, d, 3), yh = unit_rows<gpu::Half>(n, d, 4);
    for (const Layout layout : kLayouts)
      check(run_clip<gpu::Half>(xh, yh, n, d, true, 0.05, Precision::fast, 128, layout),
            reference(xh, yh, n, d, true, 0.05), 5e-4, 1e-4);
    const auto xb = unit_rows<gpu::Bfloat16>(n, d, 5), yb = unit_rows<gpu::Bfloat16>(n, d, 6);
    check(run_clip<gpu::Bfloat16>(xb, yb, n, d, false, 0.05, Precision::fast, 0),
          reference(xb, yb, n, d, false, 0.05), 5e-4, 1e-4);
  });
}

TEST_CASE("exact f32, any layout") {
  const Index n = 70, d = 17;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  for (const Layout layout : kLayouts)
    check(run_clip<float>(x, y, n, d, true, 0.01, Precision::exact, 64, layout), reference(x, y, n, d, true, 0.01),
          1e-5, 1e-5);
}
