// clip and info_nce on the device against the whole table in long double.
#include "support/gpu.hpp"

#include <utility>

#include "reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::pairwise::KernelProducts;

struct Result {
  double loss, log_temperature;
  std::vector<double> x, y;
};

template <class T>
Result run_clip(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                bool both, double temperature, Precision precision, Index block,
                Layout layout = {}) {
  const Rows<T> dx(n, d, x, layout), dy(n, d, y, layout);
  Rows<gpu::Arithmetic<T>> gx(n, d, layout), gy(n, d, layout);
  Buffer<double> loss(1), slope(1);
  const gpu::losses::ContrastiveGradient<T> out{loss.data(), gx.view(), gy.view(), slope.data()};
  const KernelProducts how{precision, block};
  if (both) {
    const gpu::losses::ClipOptions options{temperature};
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::clip_with_gradient<T>(dx.input(), dy.input(), options, out, s, nullptr,
                                                how);
    });
  } else {
    const gpu::losses::InfoNceOptions options{temperature};
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::info_nce_with_gradient<T>(dx.input(), dy.input(), options, out, s,
                                                    nullptr, how);
    });
  }
  return {loss.values()[0], slope.values()[0], gx.values(), gy.values()};
}

Reference reference(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                    bool both, double temperature) {
  const long double w = 1.0L / (long double)n;
  return both ? contrastive(x, y, n, d, temperature, w / 2, w / 2)
              : contrastive(x, y, n, d, temperature, w, 0);
}

void check(const Result& got, const Reference& want, double tolerance, double loss_tolerance) {
  CHECK(std::abs(got.loss - double(want.loss)) <=
        loss_tolerance * std::max(1e-3, std::abs(double(want.loss))));
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
    check(run_clip<float>(x, y, n, d, true, 0.05, Precision::fast, 128),
          reference(x, y, n, d, true, 0.05), 5e-4, 1e-4);
    const auto xh = unit_rows<gpu::Half>(n, d, 3), yh = unit_rows<gpu::Half>(n, d, 4);
    for (const Layout layout : kLayouts)
      check(run_clip<gpu::Half>(xh, yh, n, d, true, 0.05, Precision::fast, 128, layout),
            reference(xh, yh, n, d, true, 0.05), 5e-4, 1e-4);
    const auto xb = unit_rows<gpu::Bfloat16>(n, d, 5), yb = unit_rows<gpu::Bfloat16>(n, d, 6);
    check(run_clip<gpu::Bfloat16>(xb, yb, n, d, false, 0.05, Precision::fast, 0),
          reference(xb, yb, n, d, false, 0.05), 5e-4, 1e-4);
  });
}

TEST_CASE("more than 512 columns: tiles whole and aligned, and ragged ones") {
  for (const auto& size : {std::pair<Index, Index>{128, 1024}, {130, 520}}) {
    const Index n = size.first, d = size.second;
    CAPTURE(d);
    const auto x = unit_rows<float>(n, d, 1), y = rows_near(x, n, d, 2);
    const Reference want = reference(x, y, n, d, true, 0.05);
    check(run_clip<float>(x, y, n, d, true, 0.05, Precision::fast, 0), want, 5e-4, 1e-4);
    check(run_clip<float>(x, y, n, d, true, 0.05, Precision::exact, 0), want, 1e-5, 1e-5);
  }
}

TEST_CASE("exact f32, any layout") {
  const Index n = 70, d = 17;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  for (const Layout layout : kLayouts)
    check(run_clip<float>(x, y, n, d, true, 0.01, Precision::exact, 64, layout),
          reference(x, y, n, d, true, 0.01), 1e-5, 1e-5);
}

TEST_CASE("rows far below their neighbours keep every digit: the tile's second way") {
  // Half of the rows a hundred times shorter: their logits lie up to 700 (base 2) below the tile's
  // largest, and the log-sum-exps of a tile spread over hundreds.
  const Index n = 140, d = 8;
  auto x = unit_rows<gpu::Half>(n, d, 1);
  const auto y = unit_rows<gpu::Half>(n, d, 2);
  for (Index i = 0; i < n; i += 2)
    for (Index k = 0; k < d; ++k)
      x[std::size_t(i * d + k)] = stored<gpu::Half>(x[std::size_t(i * d + k)] / 128);
  in_every_order([&] {
    for (const bool both : {true, false}) {
      const Reference want = reference(x, y, n, d, both, 0.002);
      check(run_clip<gpu::Half>(x, y, n, d, both, 0.002, Precision::fast, 128), want, 1e-3, 1e-5);
      check(run_clip<double>(x, y, n, d, both, 0.002, Precision::exact, 64), want, 1e-11, 1e-12);
    }
  });
}

TEST_CASE("one row far below all others is found, whichever warp sees it") {
  // All rows lean towards (1, ..., 1) but one, which points away: its sum underflows next to the
  // tile's largest logit, and only the threads that look at this row know that it must be done
  // again. Positive entries, so that operands left in shared memory never look like a small sum.
  const Index n = 128, d = 32;
  auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  for (auto* rows : {&x, &y})
    for (double& v : *rows) v = stored<float>(0.2 * std::abs(v) + 0.95 / std::sqrt(double(d)));
  for (const Index away : {5, 40, 70, 120}) {
    auto turned = x;
    for (Index k = 0; k < d; ++k) turned[std::size_t(away * d + k)] *= -1;
    const Reference rows = reference(turned, y, n, d, true, 0.01),
                    cols = reference(y, turned, n, d, true, 0.01);
    in_every_order([&] {
      for (const Precision precision : {Precision::fast, Precision::exact}) {
        check(run_clip<float>(turned, y, n, d, true, 0.01, precision, 128), rows, 2e-2, 2e-3);
        check(run_clip<float>(y, turned, n, d, true, 0.01, precision, 128), cols, 2e-2, 2e-3);
      }
    });
  }
}

TEST_CASE("accuracy promised: 5e-4 at scale 20, 3e-3 at 100, 1e-5 exact") {
  const Index n = 256, d = 256;
  const auto x = unit_rows<float>(n, d, 1);
  const auto y = rows_near(x, n, d, 2);
  for (const auto& [scale, bound] : {std::pair{14.3, 5e-4}, {20.0, 5e-4}, {100.0, 3e-3}}) {
    const Reference want = reference(x, y, n, d, true, 1 / scale);
    const Result fast = run_clip<float>(x, y, n, d, true, 1 / scale, Precision::fast, 0);
    const Result exact = run_clip<float>(x, y, n, d, true, 1 / scale, Precision::exact, 0);
    const double fast_error = relative_error(fast.x, want.x),
                 exact_error = relative_error(exact.x, want.x);
    MESSAGE("scale " << scale << ": relative error of dX " << fast_error << " fast, " << exact_error
                     << " exact");
    CHECK(fast_error <= bound);
    CHECK(exact_error <= 1e-5);
    CHECK(std::abs(fast.loss - double(want.loss)) <= 1e-3 * double(want.loss));
  }
}

TEST_CASE("scratch stays within 64 MiB + 16 N bytes, and 4 N D where rows are not fp16") {
  for (const Index n : {1, 1000, 32768, 65536, 262144, 1 << 20})
    for (const Index d : {64, 512, 1024}) {
      CAPTURE(n);
      CAPTURE(d);
      const std::size_t most = (std::size_t(64) << 20) + 16 * std::size_t(n);
      const auto gx = untouched<float>(n, d), gy = untouched<float>(n, d, 1);
      double number = 0;
      const auto clip = [&]<class T>(T, Precision precision) {
        const auto x = untouched<const T>(n, d);
        return counted([&](gpu::Scratch s) {
          return gpu::losses::clip_with_gradient<T>(x, x, {}, {&number, gx, gy, &number}, s,
                                                    nullptr, KernelProducts{precision});
        });
      };
      const auto h = untouched<const gpu::Half>(n, d);
      const std::size_t info_nce = counted([&](gpu::Scratch s) {
        return gpu::losses::info_nce_with_gradient<gpu::Half>(h, h, {}, {&number, gx, gy, &number},
                                                              s);
      });
      CHECK(info_nce > 0);
      CHECK(info_nce <= most);
      CHECK(clip(gpu::Half(), Precision::fast) > 0);
      CHECK(clip(gpu::Half(), Precision::fast) <= most);
      CHECK(clip(float(), Precision::fast) <= most + 4 * std::size_t(n * d));
      CHECK(clip(float(), Precision::exact) <= most);
    }
}

TEST_CASE("what is refused") {
  const Index n = 4, d = 8;
  const auto x = unit_rows<float>(n, d, 1);
  const Rows<float> dx(n, d, x), other(n, d - 1, gaussian(n, d - 1, 2));
  Rows<float> gx(n, d), gy(n, d);
  Buffer<double> loss(1);
  Buffer<char> scratch(1 << 20), small(16);
  const gpu::losses::ContrastiveGradient<float> out{loss.data(), gx.view(), gy.view(), nullptr};
  const auto refused = [&](gpu::Status status) { return !status.ok() && status.text[0] != 0; };
  CHECK(refused(gpu::losses::clip_with_gradient<float>(dx.input(), other.input(), {}, out,
                                                       scratch.scratch(), nullptr)));
  for (const double tau : {0.0, -1.0, std::nan(""), double(INFINITY)})
    CHECK(refused(gpu::losses::clip_with_gradient<float>(dx.input(), dx.input(), {tau}, out,
                                                         scratch.scratch(), nullptr)));
  CHECK(refused(gpu::losses::clip_with_gradient<float>(dx.input(), dx.input(), {}, out,
                                                       small.scratch(), nullptr)));
  CHECK(refused(
      gpu::losses::clip<float>(dx.input(), dx.input(), {}, nullptr, scratch.scratch(), nullptr)));
  for (const gpu::losses::ClipOptions& o :  // the CPU's: never left aside
       {gpu::losses::ClipOptions{.label_smoothing = 0.1},
        gpu::losses::ClipOptions{.row_weights = {1.0}}})
    CHECK(refused(gpu::losses::clip<float>(dx.input(), dx.input(), o, loss.data(),
                                           scratch.scratch(), nullptr)));
  const core::MatrixView<const float> empty{nullptr, 0, d, d};
  CHECK(
      refused(gpu::losses::clip<float>(empty, empty, {}, loss.data(), scratch.scratch(), nullptr)));
}

#if defined(SPHEREMIX_EMULATOR)
TEST_CASE("eight kernels for one range, seven where the rows are operands already") {
  const Index n = 130, d = 16;
  const auto x = unit_rows<gpu::Half>(n, d, 1), y = unit_rows<gpu::Half>(n, d, 2);
  std::size_t before = emulator::launches;
  run_clip<float>(x, y, n, d, true, 0.05, Precision::fast, 0);
  CHECK(emulator::launches - before == 8);
  before = emulator::launches;
  run_clip<gpu::Half>(x, y, n, d, true, 0.05, Precision::fast, 0);
  CHECK(emulator::launches - before == 7);
}
#endif
