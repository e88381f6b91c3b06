// What stands on CCCL: Thrust over views (its CUDA back end under nvcc, its host back end under g++)
// and mdspan overloads. Under g++ only with SPHEREMIX_HOST_CCCL, which CMake defines where it finds
// CCCL 3 (CUDA 13).
#if defined(__CUDACC__) || defined(SPHEREMIX_HOST_CCCL)
#include "support/gpu.hpp"
#include "support/host_cccl.hpp"

#include <stdexcept>
#include <string>

#include "spheremix/gpu/core/thrust.cuh"
#include "spheremix/gpu/mdspan.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

template <class T>
void check_thrust() {
  gpu::ThrustMemory memory;
  for (const Layout layout : kLayouts)
    for (const Index d : {1, 7, 64, 130}) {
      const Index n = 9;
      std::vector<double> x = gaussian(n, d, 3);
      for (double& v : x) v = stored<T>(v);
      const Rows<T> from(n, d, x, layout), to(n, d, layout);
      const Rows<gpu::Half> half(n, d, layout);
      const auto finished = [] { must(cudaDeviceSynchronize(), "thrust"); };
      gpu::fill(to.view(), -0.5, memory);
      finished();
      for (const double v : to.values()) CHECK(v == -0.5);
      gpu::copy_rows(from.view(), half.view(), memory);
      finished();
      const std::vector<double> rounded = half.values();
      double worst = 0;
      for (std::size_t k = 0; k < x.size(); ++k) {
        CHECK(rounded[k] == stored<gpu::Half>(x[k]));
        worst = std::max(worst, std::abs(rounded[k] - x[k]));
      }
      CHECK(gpu::largest_difference(half.input(), from.input(), memory) == worst);
      CHECK(gpu::first_unusable_row(from.view(), memory) == n);
      CHECK_NOTHROW(gpu::expect_finite("clean", from.view(), memory));
      for (const double bad : {double(NAN), -double(INFINITY)}) {
        std::vector<double> broken = x;
        broken[std::size_t(7 * d)] = broken[std::size_t(4 * d + d - 1)] = bad;
        const Rows<T> rows(n, d, broken, layout);
        CHECK(gpu::first_unusable_row(rows.view(), memory) == 4);
        CHECK_THROWS_WITH_AS(gpu::expect_finite("batch", rows.view(), memory),
                             "batch: row 4 holds NaN or infinity", std::invalid_argument);
        CHECK(std::isfinite(gpu::largest_difference(rows.view(), from.view(), memory)) == false);
      }
    }
  const core::MatrixView<T> none{nullptr, 0, 5, 5}, no_rows{nullptr, 2, 5, 5};
  CHECK(gpu::first_unusable_row(none, memory) == 0);
  CHECK_THROWS_AS(gpu::fill(no_rows, 1, memory), std::invalid_argument);
  CHECK_THROWS_AS(gpu::copy_rows(none, no_rows, memory), std::invalid_argument);
}

}  // namespace

TEST_CASE("Thrust: fill, convert, compare, find unusable rows in any layout") {
  SUBCASE("float") { check_thrust<float>(); }
  SUBCASE("double") { check_thrust<double>(); }
  SUBCASE("bf16") { check_thrust<gpu::Bfloat16>(); }
}

TEST_CASE("Thrust: a stable order; its memory is taken once and reused") {
  gpu::ThrustMemory memory;
  const Index n = 5000;
  std::vector<float> keys(5000);
  for (Index i = 0; i < n; ++i) keys[std::size_t(i)] = float((i * 37) % 101);
  std::size_t kept = 0;
  for (int run = 0; run < 3; ++run) {
    const Buffer<float> values(keys);
    const Buffer<Index> order(5000);
    gpu::sort_with_order(values.data(), order.data(), n, memory);
    must(cudaDeviceSynchronize(), "thrust");
    const auto sorted = values.values();
    const auto at = order.values();
    for (std::size_t i = 0; i < 5000; ++i) {
      CHECK(sorted[i] == keys[std::size_t(at[i])]);
      if (i > 0)
        CHECK((sorted[i - 1] < sorted[i] || (sorted[i - 1] == sorted[i] && at[i - 1] < at[i])));
    }
    CHECK(memory.bytes() > 0);
    CHECK((run == 0 || memory.bytes() == kept));
    kept = memory.bytes();
  }
  char* const first = memory.allocate(100);
  char* const second = memory.allocate(std::ptrdiff_t(2 * kept));
  CHECK(second != first);
  memory.deallocate(second, 2 * kept);
  memory.deallocate(first, 100);
  CHECK(memory.bytes() >= 2 * kept + 100);
}

TEST_CASE(
    "mdspan: every kind of argument, the bits of the view's call; other layouts are refused") {
  namespace md = ::cuda::std;
  using Extents = md::dextents<Index, 2>;
  using Strided = md::mdspan<float, Extents, md::layout_stride>;
  const Index n = 6, d = 40;
  for (const Layout layout : kLayouts) {
    const Rows<float> x(n, d, unit_rows<float>(n, d, 1), layout),
        y(n, d, unit_rows<float>(n, d, 2), layout), g(n, d, gaussian(n, d, 3), layout),
        a(n, d, layout), b(n, d, layout), c(n, d, layout), e(n, d, layout);
    const auto strided = [](const Rows<float>& rows) {
      const auto v = rows.view();
      return Strided(v.data, md::layout_stride::mapping<Extents>(Extents(v.rows, v.cols),
                                                                 md::array<Index, 2>{v.stride, 1}));
    };
    const auto read_only = [](const Rows<float>& rows) {
      const auto v = rows.input();
      return md::mdspan<const float, Extents, md::layout_stride>(
          v.data, md::layout_stride::mapping<Extents>(Extents(v.rows, v.cols),
                                                      md::array<Index, 2>{v.stride, 1}));
    };
    in_every_order([&] {
      finish(gpu::sphere::slerp_rows(read_only(x), strided(y), 0.3, strided(a)));
      finish(gpu::sphere::slerp_rows(x.view(), y.view(), 0.3, b.view()));
      CHECK(a.values() == b.values());
      using Gradient = gpu::sphere::SlerpGradient<float>;
      finish(gpu::sphere::slerp_rows_vjp(
          strided(x), strided(y), 0.3, strided(g),
          Gradient{gpu::view(strided(a)), gpu::view(strided(b)), nullptr}));
      finish(gpu::sphere::slerp_rows_vjp<float>(x.view(), y.view(), 0.3, g.view(),
                                                {c.view(), e.view(), nullptr}));
      CHECK(a.values() == c.values());
      CHECK(b.values() == e.values());
      finish(gpu::sphere::normalize_rows(strided(g), strided(a)));
      finish(gpu::mixup::geodesic(strided(x), y.view(), 0.4, strided(b)));
      finish(gpu::mixup::geodesic(x.view(), y.view(), 0.4, c.view()));
      CHECK(b.values() == c.values());
      core::Philox one(3), two(3);
      finish(gpu::sphere::sample_uniform(one, strided(b)));
      finish(gpu::sphere::sample_uniform(two, c.view()));
      CHECK(b.values() == c.values());
      CHECK(one.step() == two.step());
      const Buffer<double> value(1), again(1);
      with_scratch([&](gpu::Scratch s) {
        return gpu::metrics::alignment(strided(x), strided(y), gpu::metrics::AlignmentOptions{3},
                                       value.data(), s);
      });
      with_scratch([&](gpu::Scratch s) {
        return gpu::metrics::alignment(x.view(), y.view(), {3}, again.data(), s);
      });
      CHECK(value.values() == again.values());
      with_scratch(
          [&](gpu::Scratch s) { return gpu::metrics::isotropy(read_only(x), value.data(), s); });
      with_scratch(
          [&](gpu::Scratch s) { return gpu::metrics::isotropy(x.view(), again.data(), s); });
      CHECK(value.values() == again.values());
    });
  }
  const Rows<float> x(n, d, unit_rows<float>(n, d, 1)), a(n, d);
  const md::mdspan<float, Extents, md::layout_left> turned(x.view().data, n, d);
  const md::mdspan<float, Extents> straight(a.view().data, n, d);
  CHECK(gpu::sphere::normalize_rows(turned, straight).code == cudaErrorInvalidValue);
  CHECK(gpu::sphere::normalize_rows(straight, turned).code == cudaErrorInvalidValue);
}
#endif
