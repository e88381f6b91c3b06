// The products of the second sweep: kernels against plain sums, and the GEMMs they are described as
// for a BLAS.
#include "support/gpu.hpp"

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/pairwise/gemm.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::pairwise::HalfTile;
using Side = gpu::pairwise::ProductSide<HalfTile>;

/// What a BLAS does with a Gemm, on host memory.
void carry_out(const gpu::pairwise::Gemm& g) {
  for (Index j = 0; j < g.n; ++j)
    for (Index i = 0; i < g.m; ++i) {
      double sum = 0;
      for (Index k = 0; k < g.k; ++k)
        sum += double(gpu::widen(g.a[i + k * g.lda])) *
               double(gpu::widen(g.transpose_b ? g.b[j + k * g.ldb] : g.b[k + j * g.ldb]));
      float& c = g.c[i + j * g.ldc];
      c = float(double(g.alpha) * sum + (g.beta == 0 ? 0.0 : double(g.beta) * double(c)));
    }
}

#if defined(SPHEREMIX_EMULATOR)  // device memory is host memory there
struct HostProducts {
  static void side(const Side& s) {
    if (s.out.rows > 0) carry_out(gemm_of(s));
  }
  template <class Tile>
  gpu::Status operator()(const gpu::pairwise::ProductSide<Tile>& first,
                         const gpu::pairwise::ProductSide<Tile>& second,
                         cudaStream_t stream) const {
    if constexpr (std::is_same_v<Tile, HalfTile>) {
      side(first);
      side(second);
      return {};
    } else {
      return gpu::pairwise::KernelProducts{}(first, second, stream);
    }
  }
};
#endif

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

#if defined(SPHEREMIX_EMULATOR)
TEST_CASE("the schedule with a BLAS in the kernels' place: CLIP by column-major GEMMs") {
  const Index n = 300, d = 36;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  const Rows<float> dx(n, d, x), dy(n, d, y);
  const gpu::losses::ClipOptions options{0.05, gpu::Precision::fast, 128};
  Buffer<char> scratch(gpu::losses::clip_bytes<float>(dx.input(), dy.input(), options));
  Rows<float> gx[2] = {Rows<float>(n, d), Rows<float>(n, d)},
              gy[2] = {Rows<float>(n, d), Rows<float>(n, d)};
  Buffer<double> loss(2);
  finish(gpu::losses::clip_with_gradient<float>(dx.input(), dy.input(), options,
                                                {loss.data(), gx[0].view(), gy[0].view(), nullptr},
                                                scratch.scratch(), nullptr));
  finish(gpu::losses::clip_with_gradient<float>(
      dx.input(), dy.input(), options, {loss.data() + 1, gx[1].view(), gy[1].view(), nullptr},
      scratch.scratch(), nullptr, HostProducts{}));
  CHECK(loss.values()[0] == loss.values()[1]);
  const auto a = gx[0].values(), b = gx[1].values(), c = gy[0].values(), e = gy[1].values();
  CHECK(relative_error(a, b) <= 1e-6);
  CHECK(relative_error(c, e) <= 1e-6);
}
#endif
