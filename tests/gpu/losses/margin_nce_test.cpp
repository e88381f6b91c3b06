// margin_nce on the device against the whole table in long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/info_nce.cuh"
#include "spheremix/gpu/losses/margin_nce.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::losses::MarginNceOptions;
using gpu::pairwise::KernelProducts;

struct Result {
  double loss, log_temperature, margin, value;
  std::vector<double> x, y;
};

template <class T>
Result run(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
           const MarginNceOptions& options, const KernelProducts& how, Layout layout = {}) {
  const Rows<T> dx(n, d, x, layout), dy(n, d, y, layout);
  Rows<gpu::Arithmetic<T>> gx(n, d, layout), gy(n, d, layout);
  Buffer<double> loss(1), slope(1), margin(1), value(1);
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::margin_nce_with_gradient<T>(
        dx.input(), dy.input(), options,
        {loss.data(), gx.view(), gy.view(), slope.data(), margin.data()}, s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::margin_nce<T>(dx.input(), dy.input(), options, value.data(), s, nullptr,
                                      how);
  });
  return {loss.values()[0],  slope.values()[0], margin.values()[0],
          value.values()[0], gx.values(),       gy.values()};
}

template <class T>
void check(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d, double tau,
           double margin, const KernelProducts& how, double tolerance, Layout layout = {}) {
  CAPTURE(n);
  CAPTURE(d);
  CAPTURE(tau);
  CAPTURE(margin);
  const Result got = run<T>(x, y, n, d, {.temperature = tau, .margin = margin}, how, layout);
  Real slope = 0;
  const Reference want = contrastive(x, y, n, d, tau, 1 / Real(n), 0, margin, &slope);
  CHECK(std::abs(got.loss - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(got.value == got.loss);
  CHECK(relative_error(got.x, want.x) <= tolerance);
  CHECK(relative_error(got.y, want.y) <= tolerance);
  CHECK(std::abs(got.margin - double(slope)) <= tolerance * double(slope));
  // Terms of this size are added up.
  CHECK(std::abs(got.log_temperature - double(want.log_temperature)) <=
        tolerance * (1 + margin) * double(slope));
}

}  // namespace

TEST_CASE("margin_nce: ragged sizes, types, layouts and margins") {
  in_every_order([] {
    for (const Index n : {1, 2, 63, 65, 130})
      for (const Index d : {1, 16, 33})
        check<double>(unit_rows<double>(n, d, 1), unit_rows<double>(n, d, 2), n, d, 0.07, 0.2,
                      {Precision::exact, 64}, 1e-12);
    const auto x = unit_rows<float>(70, 20, 1), y = unit_rows<float>(70, 20, 2);
    for (const double margin : {0.0, 0.05, 1.0})
      for (const Layout layout : kLayouts)
        check<float>(x, y, 70, 20, 0.1, margin, {Precision::exact, 64}, 1e-5, layout);
    check<float>(unit_rows<float>(300, 40, 1), unit_rows<float>(300, 40, 2), 300, 40, 0.07, 0.2,
                 {Precision::fast, 128}, 5e-4);
    check<gpu::Half>(unit_rows<gpu::Half>(150, 64, 1), unit_rows<gpu::Half>(150, 64, 2), 150, 64,
                     0.07, 0.2, {Precision::fast, 0}, 5e-4);
    check<gpu::Bfloat16>(unit_rows<gpu::Bfloat16>(150, 64, 1), unit_rows<gpu::Bfloat16>(150, 64, 2),
                         150, 64, 0.07, 0.2, {Precision::fast, 0}, 5e-4);
  });
}

TEST_CASE("margin_nce: saturated, far behind, equal rows, a cold temperature") {
  const Index n = 70, d = 80;
  std::vector<double> apart(std::size_t(n * d)), same(apart), behind(apart);
  for (Index i = 0; i < n; ++i) {
    apart[std::size_t(i * d + i)] = 1;
    behind[std::size_t(i * d + i)] = -1;
    same[std::size_t(i * d)] = 1;
  }
  const auto x = unit_rows<float>(n, d, 1);
  in_every_order([&] {
    for (const double margin : {0.0, 0.2, 2.0}) {
      for (const double tau : {0.07, 0.02, 0.001}) {
        check<double>(apart, behind, n, d, tau, margin, {Precision::exact, 64}, 1e-11);
        check<double>(x, rows_near(x, n, d, 2), n, d, tau, margin, {Precision::exact, 64}, 1e-11);
        if (tau > 0.01)
          check<double>(apart, apart, n, d, tau, margin, {Precision::exact, 64}, 1e-11);
        if (tau > 0.01) check<float>(apart, apart, n, d, tau, margin, {Precision::exact, 64}, 5e-5);
      }
      const Result got = run<double>(same, same, n, d, {.temperature = 0.1, .margin = margin},
                                     {Precision::exact, 64});
      const double e = 69 * std::exp(margin / 0.1);
      CHECK(std::abs(got.loss - std::log1p(e)) <= 1e-12 * got.loss);
      CHECK(std::abs(got.margin - 10 * e / (1 + e)) <= 1e-12 * got.margin);
      CHECK(std::abs(got.log_temperature + margin * got.margin) <= 1e-12 * got.margin);
    }
  });
}

TEST_CASE("margin_nce without a margin is info_nce, bit for bit") {
  const Index n = 140, d = 24;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  const Rows<float> dx(n, d, x), dy(n, d, y);
  Rows<float> gx(n, d), gy(n, d);
  Buffer<double> loss(1), slope(1);
  for (const Precision precision : {Precision::fast, Precision::exact}) {
    const KernelProducts how{precision, 128};
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::info_nce_with_gradient<float>(
          dx.input(), dy.input(), {0.05}, {loss.data(), gx.view(), gy.view(), slope.data()}, s,
          nullptr, how);
    });
    const Result got = run<float>(x, y, n, d, {.temperature = 0.05, .margin = 0}, how);
    CHECK(got.loss == loss.values()[0]);
    CHECK(got.log_temperature == slope.values()[0]);
    CHECK(got.x == gx.values());
    CHECK(got.y == gy.values());
  }
}

TEST_CASE("margin_nce: numbers that nobody asks for, what is refused, and NaN") {
  const Index n = 130, d = 8;
  auto x = unit_rows<float>(n, d, 1);
  const auto y = unit_rows<float>(n, d, 2);
  const Rows<float> dx(n, d, x), dy(n, d, y);
  Rows<float> gx(n, d), gy(n, d);
  Buffer<double> loss(1), slope(1), margin(1);
  const Result all = run<float>(x, y, n, d, {}, {});
  const auto call = [&](double* log_temperature, double* by_margin) {
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::margin_nce_with_gradient<float>(
          dx.input(), dy.input(), {},
          {loss.data(), gx.view(), gy.view(), log_temperature, by_margin}, s);
    });
    CHECK(gx.values() == all.x);
    CHECK(gy.values() == all.y);
  };
  call(nullptr, nullptr);
  call(slope.data(), nullptr);
  CHECK(slope.values()[0] == all.log_temperature);
  call(nullptr, margin.data());
  CHECK(margin.values()[0] == all.margin);

  Buffer<char> scratch(1 << 20);
  const auto refused = [&](const MarginNceOptions& options) {
    const gpu::Status status = gpu::losses::margin_nce<float>(dx.input(), dy.input(), options,
                                                              loss.data(), scratch.scratch());
    return !status.ok() && status.text[0] != 0;
  };
  for (const double m : {-1e-9, std::nan(""), double(INFINITY), 1e38})
    CHECK(refused({.margin = m}));
  for (const double tau : {0.0, -1.0, std::nan("")}) CHECK(refused({.temperature = tau}));

  for (const double bad : {std::nan(""), double(INFINITY)}) {
    x[std::size_t(100 * d + 3)] = bad;
    const Result got = run<float>(x, y, n, d, {}, {Precision::exact, 64});
    CHECK(!std::isfinite(got.loss));
    CHECK(!std::isfinite(got.log_temperature));
  }
}

#if defined(SPHEREMIX_EMULATOR)
TEST_CASE("margin_nce: one kernel more than info_nce, and one only with a margin") {
  const Index n = 130, d = 16;
  const auto x = unit_rows<gpu::Half>(n, d, 1), y = unit_rows<gpu::Half>(n, d, 2);
  const auto launches = [&](double margin) {
    const std::size_t before = emulator::launches;
    run<gpu::Half>(x, y, n, d, {.temperature = 0.05, .margin = margin}, {Precision::fast, 0});
    return emulator::launches - before;
  };
  CHECK(launches(0.2) == launches(0) + 1);
}
#endif
