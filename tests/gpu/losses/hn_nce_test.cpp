// hn_nce on the device against its definition in long double. The CPU's numbers at ragged sizes:
// loss_contract_test.cpp.
#include "support/gpu.hpp"

#include "row_reference.hpp"
#include "spheremix/gpu/losses/hn_nce.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
namespace device = gpu::losses;

/// Anchors are all rows of [x; y], keys those of the other modality.
Reference defined(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                  const device::HnNceOptions& o) {
  return hard_negatives(x, y, n, d, o, n - 1, [n](Index i, Index j) { return (i < n) != (j < n); });
}

template <class T>
void check(const Case& c, const device::HnNceOptions& o) {
  CAPTURE(c.n);
  CAPTURE(o.beta);
  const auto x = unit_rows<T>(c.n, c.d, 1), y = unit_rows<T>(c.n, c.d, 2);
  const Reference want = defined(x, y, c.n, c.d, o);
  const gpu::pairwise::KernelProducts how{c.precision, c.block};
  const Rows<T> dx(c.n, c.d, x, c.layout), dy(c.n, c.d, y, c.layout);
  const Rows<gpu::Arithmetic<T>> gx(c.n, c.d, c.layout), gy(c.n, c.d, c.layout);
  const Buffer<double> numbers(3);
  with_scratch([&](gpu::Scratch s) {
    return device::hn_nce_with_gradient<T>(
        dx.input(), dy.input(), o, {numbers.data(), gx.view(), gy.view(), numbers.data() + 1}, s,
        nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::hn_nce<T>(dx.input(), dy.input(), o, numbers.data() + 2, s, nullptr, how);
  });
  const auto got = numbers.values();
  CHECK(std::abs(got[0] - double(want.loss)) <= c.tolerance * std::max(1.0, double(want.loss)));
  CHECK(got[2] == got[0]);
  CHECK(relative_error(gx.values(), want.x) <= c.tolerance);
  CHECK(relative_error(gy.values(), want.y) <= c.tolerance);
  CHECK(std::abs(got[1] - double(want.log_temperature)) <=
        3 * c.tolerance * std::max(1.0, std::abs(double(want.log_temperature))));
}

}  // namespace

TEST_CASE("hn_nce is its definition, above and at the floor, in f64, f32, fp16 and bf16") {
  in_every_order([] {
    for (const device::HnNceOptions& o :
         {device::HnNceOptions{},
          device::HnNceOptions{.temperature = 0.2, .beta = 1, .tau_plus = 0.1},
          {.temperature = 0.5, .beta = 0},
          {.temperature = 1, .beta = 0, .tau_plus = 0.6}})
      for (const Index n : {2, 65}) check<double>({n, 7, Precision::exact, 64, 1e-8}, o);
    check<float>({70, 12, Precision::exact, 64, 1e-5, kLayouts[2]}, {});
    check<float>({70, 12, Precision::fast, 0, 1e-3}, {});
    check<gpu::Bfloat16>({40, 16, Precision::fast, 0, 1e-3}, {.temperature = 0.5, .beta = 1});
  });
}

TEST_CASE("hn_nce: the memory promised, and what is refused") {
  for (const Index rows : {1, 1000, 1 << 20}) {
    const auto many = untouched<const float>(rows, 64);
    const auto gx = untouched<float>(rows, 64), gy = untouched<float>(rows, 64, 1);
    double number = 0;
    CHECK(
        counted([&](gpu::Scratch s) {
          return device::hn_nce_with_gradient<float>(many, many, {}, {&number, gx, gy, &number}, s);
        }) <= (std::size_t(33) << 20) + std::size_t(rows) * (49 + 4 * 64));
  }
  const auto x = untouched<const float>(9, 4), y = untouched<const float>(9, 4, 1);
  double loss;
  const auto refused = [&](const device::HnNceOptions& o) {
    return !device::hn_nce<float>(x, y, o, &loss, {}).ok();
  };
  CHECK(refused({.temperature = 0}));
  CHECK(refused({.beta = -1}));
  CHECK(refused({.tau_plus = 1}));
}
