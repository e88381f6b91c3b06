// The Brownian bridge on the device against its formula in long double.
#include "support/gpu.hpp"

#include "gpu/sphere/row_reference.hpp"
#include "spheremix/gpu/losses/brownian_bridge.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

template <class T>
void check_bridge() {
  for (const Size size : {Size{1, 3}, {5, 64}, {7, 129}, {3, 600}, {2, 2500}})
    for (const Layout layout : {kLayouts[0], kLayouts[2]})
      in_every_order([&] {
        const Index n = size.rows, d = size.cols;
        CAPTURE(n);
        CAPTURE(d);
        const std::vector<double> a = unit_rows<T>(n, d, 1), x = unit_rows<T>(n, d, 2),
                                  y = unit_rows<T>(n, d, 3);
        const Rows<T> da(n, d, a, layout), dx(n, d, x, layout), dy(n, d, y, layout),
            ga(n, d, layout), gx(n, d, layout), gy(n, d, layout);
        const Buffer<double> loss(1), again(1);
        std::vector<double> times;
        for (Index i = 0; i < n; ++i) times.push_back(double(i) / double(n));
        const Buffer<double> device(times);
        for (const double given : {0.25, 0.0, 1.0, -1.0}) {  // -1: a time a row
          const bool each = given < 0;
          const double r = each ? 0.5 : given;
          const double* const ratios = each ? device.data() : nullptr;
          with_scratch([&](gpu::Scratch s) {
            return gpu::losses::brownian_bridge(da.view(), dx.view(), dy.view(), {r}, loss.data(),
                                                s, nullptr, ratios);
          });
          with_scratch([&](gpu::Scratch s) {
            return gpu::losses::brownian_bridge_with_gradient<T>(
                da.view(), dx.view(), dy.view(), {r},
                {again.data(), ga.view(), gx.view(), gy.view()}, s, nullptr, ratios);
          });
          Real want = 0;
          const auto ha = ga.values(), hx = gx.values(), hy = gy.values();
          for (Index i = 0; i < n; ++i) {
            const Real q = each ? times[std::size_t(i)] : r;
            const Column m = combine(q, row_of(x, d, i), 1 - q, row_of(y, d, i)), mu = unit(m);
            const Column off_row = combine(1, row_of(a, d, i), -1, mu);
            want += dot(off_row, off_row) / Real(n);
            const Column g = combine(-2 / Real(n), off_row, 0, mu), h = tangent_part(mu, g);
            const Real inverse = 1 / std::sqrt(dot(m, m));
            const double bound = allowed<T>(8, 4 * double(inverse) / double(n), 1);
            CHECK(off(ha, d, i, combine(-1, g, 0, g)) <= bound);
            CHECK(off(hx, d, i, combine(q * inverse, h, 0, h)) <= bound);
            CHECK(off(hy, d, i, combine((1 - q) * inverse, h, 0, h)) <= bound);
          }
          CHECK(std::abs(loss.values()[0] - double(want)) <= 1e-13 * double(want));
          CHECK(loss.values()[0] == again.values()[0]);
        }
      });
}

}  // namespace

TEST_CASE("brownian_bridge and its gradient against long double") {
  SUBCASE("float") { check_bridge<float>(); }
  SUBCASE("double") { check_bridge<double>(); }
  SUBCASE("bf16") { check_bridge<gpu::Bfloat16>(); }
}

TEST_CASE("brownian_bridge: a bridge through the origin is NaN, wrong arguments are statuses") {
  std::vector<double> x = unit_rows<float>(3, 40, 1), y = x;
  for (std::size_t j = 40; j < 80; ++j) y[j] = -x[j];
  const Rows<float> a(3, 40, unit_rows<float>(3, 40, 2)), dx(3, 40, x), dy(3, 40, y), ga(3, 40),
      gx(3, 40), gy(3, 40);
  const Buffer<double> loss(1);
  const Buffer<char> scratch(1024);
  in_every_order([&] {
    finish(gpu::losses::brownian_bridge_with_gradient<float>(
        a.view(), dx.view(), dy.view(), {0.5}, {loss.data(), ga.view(), gx.view(), gy.view()},
        scratch.scratch()));
    CHECK(std::isnan(loss.values()[0]));
    const auto g = gx.values();
    for (std::size_t k = 0; k < g.size(); ++k) CHECK(std::isnan(g[k]) == (k / 40 == 1));
  });
  for (double& v : x) v *= 1e200;  // and so is one whose square overflows
  const Rows<double> ones(3, 40, std::vector<double>(120, 1.0)), far(3, 40, x);
  finish(gpu::losses::brownian_bridge(ones.view(), far.view(), far.view(), {0.5}, loss.data(),
                                      scratch.scratch()));
  CHECK(std::isnan(loss.values()[0]));
  CHECK(!gpu::losses::brownian_bridge(a.view(), dx.view(), dy.view(), {1.5}, loss.data(),
                                      scratch.scratch())
             .ok());
  CHECK(!gpu::losses::brownian_bridge(a.view(), dx.view(), dy.view(), {0.5}, loss.data(), {}).ok());
}
