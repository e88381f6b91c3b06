// The device's schedule (ranges, sweeps, merges) with Eigen for its BLAS: in the place of the product
// kernels, and in that of the cosines too; against the CPU engine in f64 and the formulas in long
// double. In the emulator only: nvcc does not see Eigen.
#if !defined(__CUDACC__)
#include "support/gpu.hpp"

#include "gpu/losses/reference.hpp"
#include "gpu/pairwise/eigen_products.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/gpu/pairwise/stored_cosines.cuh"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = spheremix::gpu::losses;
using gpu::pairwise::StoredCosines;

/// Both engines' rows and gradients.
template <class T>
struct Pair {
  Index n, d;
  std::vector<double> x, y;
  RowMatrix<double> host_x, host_y;
  Rows<T> device_x, device_y;
  Rows<gpu::Arithmetic<T>> dx, dy;
  Buffer<double> numbers{4};

  Pair(Index rows, Index cols)
      : n(rows),
        d(cols),
        x(unit_rows<T>(n, d, 1)),
        y(unit_rows<T>(n, d, 2)),
        host_x(Eigen::Map<const RowMatrix<double>>(x.data(), n, d)),
        host_y(Eigen::Map<const RowMatrix<double>>(y.data(), n, d)),
        device_x(n, d, x, Layout{3, 1}),
        device_y(n, d, y),
        dx(n, d),
        dy(n, d) {}

  /// Loss (the first of numbers) and gradients.
  void check(double loss, const RowMatrix<double>& want_x, const RowMatrix<double>& want_y,
             double tolerance) const {
    const auto rows = [](const RowMatrix<double>& m) {
      return std::vector<double>(m.data(), m.data() + m.size());
    };
    CHECK(std::abs(numbers.values()[0] - loss) <= tolerance * std::abs(loss));
    CHECK(relative_error(dx.values(), rows(want_x)) <= tolerance);
    if (want_y.size() > 0) CHECK(relative_error(dy.values(), rows(want_y)) <= tolerance);
  }
};

template <class T, class Products>
void all_losses(Index n, Index d, Index block, double tolerance, const Products& products) {
  const Products how =
      at(products, std::is_same_v<T, double> ? gpu::Precision::exact : gpu::Precision::fast, block);
  CAPTURE(n);
  CAPTURE(d);
  Pair<T> p(n, d);
  const auto x = p.device_x.input(), y = p.device_y.input();
  double* const to = p.numbers.data();
  {
    const device::ClipOptions options{0.05};
    with_scratch([&](gpu::Scratch s) {
      return device::clip_with_gradient<T>(x, y, options, {to, p.dx.view(), p.dy.view(), to + 1}, s,
                                           nullptr, how);
    });
    const auto want = losses::clip_with_gradient(p.host_x, p.host_y, {.temperature = 0.05});
    p.check(want.loss, want.x, want.y, tolerance);
    CHECK(std::abs(p.numbers.values()[1] - want.log_temperature) <= tolerance);
  }
  for (const bool shared : {true, false}) {
    device::ClipM2MixOptions options;
    options.temperature = 0.05;
    options.mix_temperature = 0.1;
    options.shared = shared;
    with_scratch([&](gpu::Scratch s) {
      return device::clip_m2_mix_with_gradient<T>(
          x, y, 0.3, options, {to, p.dx.view(), p.dy.view(), to + 1, to + 2, to + 3}, s, nullptr,
          how);
    });
    const auto want = losses::clip_m2_mix_with_gradient(
        p.host_x, p.host_y, 0.3, {.temperature = 0.05, .mix_temperature = 0.1});
    p.check(want.loss, want.x, want.y, 2 * tolerance);
    CHECK(std::abs(p.numbers.values()[1] - want.lambda) <= 3 * tolerance * std::abs(want.lambda));
    CHECK(std::abs(p.numbers.values()[2] - want.log_temperature) <= tolerance);
    CHECK(std::abs(p.numbers.values()[3] - want.log_mix_temperature) <= tolerance);
  }
  {
    device::SiglipOptions options;
    with_scratch([&](gpu::Scratch s) {
      return device::siglip_with_gradient<T>(
          x, y, options, {to, p.dx.view(), p.dy.view(), to + 1, to + 2}, s, nullptr, how);
    });
    const auto want = losses::siglip_with_gradient(
        p.host_x, p.host_y, {.temperature = options.temperature, .bias = options.bias});
    p.check(want.loss, want.x, want.y, tolerance);
  }
  {
    const gpu::metrics::UniformityOptions options{2};
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::uniformity_with_gradient<T>(x, options, {to, p.dx.view()}, s, nullptr,
                                                       how);
    });
    const auto want = metrics::uniformity_with_gradient(p.host_x, {.t = 2});
    p.check(want.value, want.x, {}, tolerance);
  }
}

/// CLIP's loss and gradients over Stored or other products, in scratch of exactly the bytes asked.
struct ClipResult {
  double loss;
  std::vector<double> x, y;
};
template <class Products>
ClipResult run_clip(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                    double tau, Index block, const Products& products) {
  const Rows<float> dx(n, d, x), dy(n, d, y), gx(n, d), gy(n, d);
  const Buffer<double> loss(1);
  const device::ClipOptions options{tau};
  const Products how = at(products, gpu::Precision::fast, block);
  with_scratch([&](gpu::Scratch s) {
    return device::clip_with_gradient<float>(dx.input(), dy.input(), options,
                                             {loss.data(), gx.view(), gy.view(), nullptr}, s,
                                             nullptr, how);
  });
  return {loss.values()[0], gx.values(), gy.values()};
}

const StoredCosines<EigenProducts> kStored{};

}  // namespace

TEST_CASE("the schedule over a BLAS, f64: the CPU engine's results at any size") {
  for (const Index n : {2, 61, 131, 203}) all_losses<double>(n, 37, 64, 1e-10, EigenProducts{});
  all_losses<double>(131, 5, 0, 1e-10, EigenProducts{});
}

TEST_CASE("the schedule over a BLAS, 16-bit operands and weights") {
  all_losses<float>(300, 36, 128, 2e-3, EigenProducts{});
  all_losses<gpu::Half>(131, 40, 0, 2e-3, EigenProducts{});
}

TEST_CASE("stored cosines: every GEMM by the BLAS, the losses of the CPU engine") {
  all_losses<float>(300, 36, 128, 2e-3, kStored);
  all_losses<gpu::Half>(131, 40, 0, 2e-3, kStored);
  all_losses<double>(61, 37, 64, 1e-10, kStored);  // f64 forms its cosines as ever
  all_losses<float>(2, 37, 0, 2e-3, kStored);
}

TEST_CASE("stored cosines: accuracy promised, 5e-4 at scale 14.3 and 20, 3e-3 at 100") {
  const Index n = 256, d = 256;
  const auto x = unit_rows<float>(n, d, 1), y = rows_near(x, n, d, 2);
  for (const auto& [scale, bound] : {std::pair{14.3, 5e-4}, {20.0, 5e-4}, {100.0, 3e-3}}) {
    const Reference want =
        contrastive(x, y, n, d, Real(1 / scale), Real(0.5) / Real(n), Real(0.5) / Real(n));
    const ClipResult got = run_clip(x, y, n, d, 1 / scale, 0, kStored);
    const double error = relative_error(got.x, want.x);
    MESSAGE("scale " << scale << ": relative error of dX " << error << " with stored cosines");
    CHECK(error <= bound);
    CHECK(relative_error(got.y, want.y) <= bound);
    CHECK(std::abs(got.loss - double(want.loss)) <= 1e-3 * double(want.loss));
  }
}

TEST_CASE("stored cosines: ranges change no result beyond rounding, and no bit from run to run") {
  const Index n = 300, d = 24;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  const ClipResult whole = run_clip(x, y, n, d, 0.05, 0, kStored);
  in_every_order([&] {
    const ClipResult parts = run_clip(x, y, n, d, 0.05, 128, kStored);
    CHECK(std::abs(parts.loss - whole.loss) <= 1e-6 * whole.loss);
    CHECK(relative_error(parts.x, whole.x) <= 1e-5);
    CHECK(relative_error(parts.y, whole.y) <= 1e-5);
    const ClipResult again = run_clip(x, y, n, d, 0.05, 128, kStored);
    CHECK(again.loss == parts.loss);
    CHECK(again.x == parts.x);
    CHECK(again.y == parts.y);
  });
}

TEST_CASE("a library's own edge for the ranges: taken where options ask for none") {
  const Index n = 300, d = 24;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  int gemms = 0;
  run_clip(x, y, n, d, 0.05, 0, StoredCosines<EigenProducts>{{128, &gemms}});
  CHECK(gemms == 9 + 3 * 9);  // three by three ranges: cosines twice, and two products
  gemms = 0;
  run_clip(x, y, n, d, 0.05, 256, StoredCosines<EigenProducts>{{128, &gemms}});
  CHECK(gemms == 4 + 3 * 4);
  gemms = 0;
  run_clip(x, y, n, d, 0.05, 0, EigenProducts{128, &gemms});  // cosines by the kernels
  CHECK(gemms == 2 * 9);
  const Rows<float> dx(n, d, x);
  double number = 0;
  const auto bytes = [&](auto precision, const auto& products) {
    const Rows<float> g(n, d), h(n, d);
    return counted([&](gpu::Scratch s) {
      return device::clip_with_gradient<float>(dx.input(), dx.input(), {},
                                               {&number, g.view(), h.view(), nullptr}, s, nullptr,
                                               at(products, precision, 0));
    });
  };
  CHECK(bytes(gpu::Precision::fast, EigenProducts{128}) <
        bytes(gpu::Precision::fast, EigenProducts{}));
  CHECK(bytes(gpu::Precision::exact, EigenProducts{128}) ==
        bytes(gpu::Precision::exact, EigenProducts{}));
}

TEST_CASE("stored cosines: scratch is what the call counts with these products, not less") {
  const Index n = 300, d = 24;
  const auto values = unit_rows<float>(n, d, 1);
  const Rows<float> x(n, d, values), gx(n, d), gy(n, d);
  const Buffer<double> loss(1);
  const device::ClipOptions options{0.05};
  const auto run = [&](gpu::Scratch s, const auto& how) {
    return device::clip_with_gradient<float>(x.input(), x.input(), options,
                                             {loss.data(), gx.view(), gy.view(), nullptr}, s,
                                             nullptr, how);
  };
  const auto bytes = [&](const auto& how) {
    return gpu::scratch_needed([&](gpu::Scratch s) { return run(s, how); });
  };
  CHECK(bytes(kStored) > bytes(EigenProducts{}));  // a strip in sweep 1
  const Buffer<char> scratch(bytes(kStored));
  CHECK(!run({scratch.data(), scratch.size() - 1}, kStored).ok());
  finish(run(scratch.scratch(), kStored));
}
#endif
