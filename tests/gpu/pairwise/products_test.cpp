// The products of the second sweep: kernels against plain sums.
#include <tuple>

#include "support/gpu.hpp"

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::pairwise::HalfTile;
using Side = gpu::pairwise::ProductSide<HalfTile>;

}  // namespace

TEST_CASE("kernel products: ragged shapes, both ways round, added or set") {
  in_every_order([] {
    for (const auto& shape : {std::tuple<Index, Index, Index>{1, 1, 8},
                              {130, 70, 24},
                              {128, 129, 136},
                              {33, 200, 40}}) {
      const Index rows = std::get<0>(shape), cols = std::get<1>(shape), d = std::get<2>(shape);
      CAPTURE(rows);
      CAPTURE(cols);
      CAPTURE(d);
      const Index stride = gpu::pairwise::round_up(cols, 128),
                  height = gpu::pairwise::round_up(rows, 128);
      std::vector<double> g = gaussian(height, stride, 1);
      for (Index i = 0; i < height; ++i)
        for (Index j = 0; j < stride; ++j)
          if (i >= rows || j >= cols) g[std::size_t(i * stride + j)] = 0;
      for (double& v : g) v = stored<gpu::Half>(v);
      std::vector<double> x = gaussian(rows, d, 2), y = gaussian(cols, d, 3);
      for (double& v : x) v = stored<gpu::Half>(v);
      for (double& v : y) v = stored<gpu::Half>(v);
      const Rows<gpu::Half> weights(height, stride, g), dx(rows, d, x), dy(cols, d, y);
      const Index out_cols = d - 3;
      Rows<float> gx(rows, out_cols, Layout{1, 1}),
          gy(cols, out_cols, gaussian(cols, out_cols, 4), Layout{1, 1});
      const std::vector<double> before = gy.values();
      const Side to_x{weights.input().data, stride, false, dy.input(), gx.view(), 0.5f, false};
      const Side to_y{weights.input().data, stride, true, dx.input(), gy.view(), 2.f, true};
      finish(gpu::pairwise::KernelProducts{}(to_x, to_y, nullptr));
      const auto got_x = gx.values(), got_y = gy.values();
      double worst = 0;
      for (Index k = 0; k < out_cols; ++k) {
        for (Index i = 0; i < rows; ++i) {
          double sum = 0;
          for (Index j = 0; j < cols; ++j)
            sum += g[std::size_t(i * stride + j)] * y[std::size_t(j * d + k)];
          if (!std::isnan(worst))
            worst = worse(worst, got_x[std::size_t(i * out_cols + k)] - 0.5 * sum);
        }
        for (Index j = 0; j < cols; ++j) {
          double sum = 0;
          for (Index i = 0; i < rows; ++i)
            sum += g[std::size_t(i * stride + j)] * x[std::size_t(i * d + k)];
          if (!std::isnan(worst))
            worst = worse(worst, got_y[std::size_t(j * out_cols + k)] -
                                     before[std::size_t(j * out_cols + k)] - 2 * sum);
        }
      }
      CHECK(worst <= 1e-3);
    }
  });
}

TEST_CASE("kernel products: whole tiles on 8-byte boundaries and off them") {
  in_every_order([] {
    for (const Layout layout : {Layout{0, 0}, Layout{6, 2}, Layout{1, 0}, Layout{0, 1}}) {
      CAPTURE(layout.padding);
      CAPTURE(layout.offset);
      const Index n = 128, m = 256, d = 128;
      std::vector<double> g = gaussian(n, m, 1), x = gaussian(n, d, 2), y = gaussian(m, d, 3);
      for (double& v : g) v = stored<gpu::Half>(v);
      for (double& v : x) v = stored<gpu::Half>(v);
      for (double& v : y) v = stored<gpu::Half>(v);
      const Rows<gpu::Half> weights(n, m, g), dx(n, d, x), dy(m, d, y);
      const std::vector<double> before = gaussian(m, d, 4);
      for (const bool add : {false, true}) {
        Rows<float> gx(n, d, layout), gy(m, d, before, layout);
        finish(gpu::pairwise::KernelProducts{}(
            Side{weights.input().data, m, false, dy.input(), gx.view(), 0.5f, false},
            Side{weights.input().data, m, true, dx.input(), gy.view(), 2.f, add}, nullptr));
        const auto got_x = gx.values(), got_y = gy.values();
        double worst = 0;
        for (Index k = 0; k < d; ++k) {
          for (Index i = 0; i < n; ++i) {
            double sum = 0;
            for (Index j = 0; j < m; ++j)
              sum += g[std::size_t(i * m + j)] * y[std::size_t(j * d + k)];
            if (!std::isnan(worst)) worst = worse(worst, got_x[std::size_t(i * d + k)] - 0.5 * sum);
          }
          for (Index j = 0; j < m; ++j) {
            double sum = 0;
            for (Index i = 0; i < n; ++i)
              sum += g[std::size_t(i * m + j)] * x[std::size_t(i * d + k)];
            const double had = add ? double(float(before[std::size_t(j * d + k)])) : 0;
            if (!std::isnan(worst))
              worst = worse(worst, got_y[std::size_t(j * d + k)] - had - 2 * sum);
          }
        }
        CHECK(worst <= 1e-3);
      }
    }
  });
}
