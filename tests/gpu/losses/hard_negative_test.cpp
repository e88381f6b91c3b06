// hard_negative and DCL's weights on the device: against their definitions in long double, and in
// the emulator next to the CPU library in double (nvcc does not see it).
#include "support/gpu.hpp"

#include "row_reference.hpp"
#include "spheremix/gpu/losses/decoupled_contrastive.cuh"
#include "spheremix/gpu/losses/hard_negative.cuh"
#if !defined(__CUDACC__)
#include "spheremix/losses/decoupled_contrastive.hpp"
#include "spheremix/losses/hard_negative.hpp"
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::pairwise::KernelProducts;
namespace device = gpu::losses;

/// run(x, y, out, loss alone): the device's two calls.
template <class T, class Run>
void compare(const std::vector<double>& x, const std::vector<double>& y, const Case& c,
             const Reference& want, const Run& run) {
  CAPTURE(c.n);
  CAPTURE(c.d);
  const Rows<T> dx(c.n, c.d, x, c.layout), dy(c.n, c.d, y, c.layout);
  Rows<gpu::Arithmetic<T>> gx(c.n, c.d, c.layout), gy(c.n, c.d, c.layout);
  Buffer<double> loss(3);
  run(dx.input(), dy.input(),
      device::ContrastiveGradient<T>{loss.data(), gx.view(), gy.view(), loss.data() + 1},
      loss.data() + 2);
  const auto got = loss.values();
  CHECK(std::abs(got[0] - double(want.loss)) <=
        c.tolerance * std::max(1.0, std::abs(double(want.loss))));
  CHECK(got[2] == got[0]);
  CHECK(relative_error(gx.values(), want.x) <= c.tolerance);
  CHECK(relative_error(gy.values(), want.y) <= c.tolerance);
  CHECK(std::abs(got[1] - double(want.log_temperature)) <=
        3 * c.tolerance * std::max(1.0, std::abs(double(want.log_temperature))));
}

template <class T>
void run_hard_negative(const std::vector<double>& x, const std::vector<double>& y, const Case& c,
                       const Reference& want, const device::HardNegativeOptions& options) {
  CAPTURE(options.beta);
  CAPTURE(options.tau_plus);
  const KernelProducts how{c.precision, c.block};
  compare<T>(x, y, c, want, [&](auto a, auto b, const auto& out, double* alone) {
    with_scratch([&](gpu::Scratch s) {
      return device::hard_negative_with_gradient<T>(a, b, options, out, s, nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::hard_negative<T>(a, b, options, alone, s, nullptr, how);
    });
  });
}

template <class T>
void run_dcl(const std::vector<double>& x, const std::vector<double>& y, const Case& c,
             const Reference& want, double temperature, double sigma) {
  const device::DecoupledContrastiveOptions options{temperature, sigma,
                                                    device::DclWeighting::von_mises_fisher};
  const KernelProducts how{c.precision, c.block};
  compare<T>(x, y, c, want, [&](auto a, auto b, const auto& out, double* alone) {
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_contrastive_with_gradient<T>(a, b, options, out, s, nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_contrastive<T>(a, b, options, alone, s, nullptr, how);
    });
  });
}

/// hard_negative from its definition.
Reference defined(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                  const device::HardNegativeOptions& o) {
  return hard_negatives(x, y, n, d, o, 2 * n - 2, [](Index i, Index j) { return j != i; });
}

/// Rows of x with y a share `near` of the way from noise to them.
template <class T>
std::pair<std::vector<double>, std::vector<double>> pairs(Index n, Index d, double near) {
  const auto x = unit_rows<T>(n, d, 1);
  auto y = unit_rows<T>(n, d, 2);
  for (Index i = 0; i < n; ++i) {
    double size = 0;
    const auto at = [&](Index k) { return std::size_t(i * d + k); };
    for (Index k = 0; k < d; ++k) {
      y[at(k)] = near * x[at(k)] + (1 - near) * y[at(k)];
      size += y[at(k)] * y[at(k)];
    }
    for (Index k = 0; k < d; ++k) y[at(k)] = stored<T>(y[at(k)] / std::sqrt(size));
  }
  return {x, y};
}

#if !defined(__CUDACC__)
using Host = RowMatrix<double>;

Host host(const std::vector<double>& x, Index n, Index d) {
  return Eigen::Map<const Host>(x.data(), n, d);
}
template <class Result>
Reference as_reference(const Result& r) {
  return {Real(r.loss),
          Real(r.log_temperature),
          {r.x.data(), r.x.data() + r.x.size()},
          {r.y.data(), r.y.data() + r.y.size()}};
}

template <class T>
void check(const std::vector<double>& x, const std::vector<double>& y, const Case& c,
           const losses::HardNegativeOptions& o) {
  const Host a = host(x, c.n, c.d), b = host(y, c.n, c.d);
  run_hard_negative<T>(x, y, c, as_reference(losses::hard_negative_with_gradient(a, b, o)),
                       {o.temperature, o.beta, o.tau_plus});
}

template <class T>
void check_dcl(const std::vector<double>& x, const std::vector<double>& y, const Case& c,
               double temperature, double sigma) {
  const losses::DecoupledContrastiveOptions o{.temperature = temperature,
                                              .sigma = sigma,
                                              .weighting = losses::DclWeighting::von_mises_fisher};
  const Host a = host(x, c.n, c.d), b = host(y, c.n, c.d);
  run_dcl<T>(x, y, c, as_reference(losses::decoupled_contrastive_with_gradient(a, b, o)),
             temperature, sigma);
}
#endif

}  // namespace

TEST_CASE("hard_negative is its definition, above and at the floor") {
  const Index n = 36, d = 7;
  in_every_order([&] {
    const auto [x, y] = pairs<double>(n, d, 0.4);
    for (const device::HardNegativeOptions& o :
         {device::HardNegativeOptions{.temperature = 0.2, .beta = 1, .tau_plus = 0.1},
          {.temperature = 1, .beta = 0, .tau_plus = 0.6}})
      run_hard_negative<double>(x, y, {n, d, Precision::exact, 64, 1e-9}, defined(x, y, n, d, o),
                                o);
    const auto [xf, yf] = pairs<float>(n, d, 0.4);
    run_hard_negative<float>(xf, yf, {n, d, Precision::fast, 0, 5e-4}, defined(xf, yf, n, d, {}),
                             {});
  });
}

TEST_CASE("hard_negative: the memory promised") {
  for (const Index rows : {1, 1000, 65536, 1 << 20}) {
    const auto many = untouched<const float>(rows, 64);
    const auto gx = untouched<float>(rows, 64), gy = untouched<float>(rows, 64, 1);
    double number = 0;
    CHECK(counted([&](gpu::Scratch s) {
            return device::hard_negative_with_gradient<float>(many, many, {},
                                                              {&number, gx, gy, &number}, s);
          }) <= (std::size_t(33) << 20) + std::size_t(rows) * (53 + 4 * 64));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("hard_negative is the CPU's at ragged sizes, above and at the floor") {
  in_every_order([] {
    for (const Index n : {1, 2, 33, 65}) {
      const auto [x, y] = pairs<double>(n, 9, 0.3);
      for (const losses::HardNegativeOptions& o :
           {losses::HardNegativeOptions{.temperature = 0.2, .beta = 1, .tau_plus = 0.1},
            {.temperature = 0.5, .beta = 0, .tau_plus = 0},
            {.temperature = 0.1, .beta = 2.5, .tau_plus = 0.3},
            {.temperature = 1, .beta = 0, .tau_plus = 0.6}})
        check<double>(x, y, {n, 9, Precision::exact, 64, 1e-11}, o);
    }
    const Index n = 100, d = 24;
    const losses::HardNegativeOptions o{.temperature = 0.5, .beta = 1, .tau_plus = 0.1};
    const auto [x, y] = pairs<float>(n, d, 0.4);
    check<float>(x, y, {n, d, Precision::fast, 128, 5e-4, kLayouts[2]}, o);
    check<float>(x, y, {n, d, Precision::exact, 64, 1e-5, kLayouts[2]}, o);
    const auto [xh, yh] = pairs<gpu::Half>(n, d, 0.4);
    check<gpu::Half>(xh, yh, {n, d, Precision::fast, 0, 5e-4}, o);
    const auto [xb, yb] = pairs<gpu::Bfloat16>(n, d, 0.4);
    check<gpu::Bfloat16>(xb, yb, {n, d, Precision::fast, 0, 5e-4}, o);
  });
}

TEST_CASE("weights far above 4, just above the false negatives' share, fit fp16") {
  // Orthonormal pairs but one row of y: its anchor has a single hard negative, x_3, that lies where
  // R is 1.016 tau_plus M e^a. It pulls 36 times harder than any row of NT-Xent. All numbers are
  // fp16's.
  const Index n = 40, d = 41;
  const double own = 0.53125, hard = 0.5, temperature = 0.05;
  std::vector<double> x(std::size_t(n * d)), y(x.size());
  for (Index i = 0; i < n; ++i) x[std::size_t(i * d + i)] = y[std::size_t(i * d + i)] = 1;
  y[std::size_t((n - 1) * d + n - 1)] = own;
  y[std::size_t((n - 1) * d + 3)] = hard;
  y[std::size_t((n - 1) * d + n)] = 0.68359375;
  const losses::HardNegativeOptions o{.temperature = temperature,
                                      .beta = 1,
                                      .tau_plus = std::exp((hard - own) / temperature) / 1.02};
  in_every_order([&] {
    check<double>(x, y, {n, d, Precision::exact, 64, 1e-9}, o);
    check<float>(x, y, {n, d, Precision::fast, 128, 1e-3}, o);
  });
}

TEST_CASE("DCL's weights are the CPU's, of their differentiated kind") {
  in_every_order([] {
    for (const Index n : {2, 33, 530}) {
      const Index d = n == 530 ? 2 : 9;
      const auto [x, y] = pairs<double>(n, d, 0.3);
      check_dcl<double>(x, y, {n, d, Precision::exact, n == 530 ? 0 : 64, 1e-11}, 0.2,
                        n == 33 ? 0.01 : 0.5);
    }
    const auto [x, y] = pairs<float>(100, 24, 0.4);
    check_dcl<float>(x, y, {100, 24, Precision::exact, 64, 1e-5}, 0.1, 0.5);
    check_dcl<float>(x, y, {100, 24, Precision::fast, 128, 5e-4}, 0.1, 0.5);
  });
}

#endif

TEST_CASE("hard_negative and DCL: NaN, infinity and what is refused") {
  const Index n = 40, d = 8;
  const auto good = unit_rows<float>(n, d, 1);
  const Rows<float> y(n, d, good);
  Buffer<double> loss(1);
  const device::HardNegativeOptions plain;
  Buffer<char> scratch(1 << 20);
  for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY)})
    for (const Precision precision : {Precision::fast, Precision::exact})
      for (const double beta : {0.0, 1.0}) {
        auto values = good;
        values[std::size_t(36 * d + 3)] = bad;
        const Rows<float> x(n, d, values);
        for (const bool first : {false, true}) {
          finish(device::hard_negative<float>(
              first ? x.input() : y.input(), first ? y.input() : x.input(), {0.5, beta, 0.1},
              loss.data(), scratch.scratch(), nullptr, KernelProducts{precision, 64}));
          CHECK(!std::isfinite(loss.values()[0]));
        }
        finish(device::decoupled_contrastive<float>(
            x.input(), y.input(), {0.1, 0.5, device::DclWeighting::von_mises_fisher}, loss.data(),
            scratch.scratch(), nullptr, KernelProducts{precision, 64}));
        CHECK(!std::isfinite(loss.values()[0]));
      }
  const auto refused = [&](const device::HardNegativeOptions& o) {
    return !device::hard_negative<float>(y.input(), y.input(), o, loss.data(), scratch.scratch())
                .ok();
  };
  CHECK(refused({.temperature = 0}));
  CHECK(refused({.beta = -1}));
  CHECK(refused({.tau_plus = 1}));
  CHECK(refused({.tau_plus = std::nan("")}));
  CHECK(!device::decoupled_contrastive<float>(y.input(), y.input(), {.sigma = 0}, loss.data(),
                                              scratch.scratch())
             .ok());
  CHECK(
      !device::hard_negative<float>(y.input(), y.input(), plain, loss.data(), {scratch.data(), 64})
           .ok());
}
