// The device's schedule (ranges, sweeps, merges) with Eigen for its BLAS in the place of the product
// kernels, against the CPU engine in f64. In the emulator only: nvcc does not see Eigen.
#if !defined(__CUDACC__)
#include "support/gpu.hpp"

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/gpu/pairwise/gemm.cuh"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = spheremix::gpu::losses;
using gpu::pairwise::HalfTile;
using gpu::pairwise::ProductSide;

/// A BLAS policy: 16-bit products as the column-major GEMMs that cuBLASLt is given (gemm.cuh), f64
/// products as they are.
struct EigenProducts {
  static void side(const ProductSide<HalfTile>& s) {
    if (s.out.rows == 0) return;
    const gpu::pairwise::Gemm g = gpu::pairwise::gemm_of(s);
    const auto load = [](const gpu::Half* from, Index rows, Index cols, Index leading) {
      return Eigen::MatrixXd::NullaryExpr(
          rows, cols, [=](Index i, Index j) { return double(gpu::widen(from[i + j * leading])); });
    };
    const Eigen::MatrixXd a = load(g.a, g.m, g.k, g.lda);
    const Eigen::MatrixXd b = g.transpose_b
                                  ? Eigen::MatrixXd(load(g.b, g.n, g.k, g.ldb).transpose())
                                  : Eigen::MatrixXd(load(g.b, g.k, g.n, g.ldb));
    Eigen::Map<Eigen::MatrixXf, 0, Eigen::OuterStride<>> c(g.c, g.m, g.n,
                                                           Eigen::OuterStride<>(g.ldc));
    const Eigen::MatrixXf product = (double(g.alpha) * a * b).cast<float>();
    if (g.beta == 0)
      c = product;
    else
      c += product;
  }

  template <class Tile>
  static void side(const ProductSide<Tile>& s) {
    using T = typename Tile::Sum;
    using Strided = Eigen::OuterStride<>;
    if (s.out.rows == 0) return;
    const Index depth = s.b.rows;
    const Eigen::Map<const RowMatrix<T>, 0, Strided> g(s.weights, s.transposed ? depth : s.out.rows,
                                                       s.transposed ? s.out.rows : depth,
                                                       Strided(s.stride));
    const RowMatrix<T> b = RowMatrix<T>::NullaryExpr(
        depth, s.out.cols, [&](Index i, Index j) { return T(gpu::widen(s.b(i, j))); });
    Eigen::Map<RowMatrix<T>, 0, Strided> out(s.out.data, s.out.rows, s.out.cols,
                                             Strided(s.out.stride));
    const RowMatrix<T> product =
        s.alpha * (s.transposed ? RowMatrix<T>(g.transpose() * b) : RowMatrix<T>(g * b));
    if (s.accumulate)
      out += product;
    else
      out = product;
  }

  template <class Tile>
  gpu::Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                         cudaStream_t) const {
    side(first);
    side(second);
    return {};
  }
};

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

template <class T>
void all_losses(Index n, Index d, Index block, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  constexpr auto precision =
      std::is_same_v<T, double> ? gpu::Precision::exact : gpu::Precision::fast;
  Pair<T> p(n, d);
  const auto x = p.device_x.input(), y = p.device_y.input();
  double* const to = p.numbers.data();
  {
    const device::ClipOptions options{0.05, precision, block};
    Buffer<char> scratch(device::clip_bytes<T>(x, y, options));
    finish(device::clip_with_gradient<T>(x, y, options, {to, p.dx.view(), p.dy.view(), to + 1},
                                         scratch.scratch(), nullptr, EigenProducts{}));
    const auto want = losses::clip_with_gradient(p.host_x, p.host_y, {.temperature = 0.05});
    p.check(want.loss, want.x, want.y, tolerance);
    CHECK(std::abs(p.numbers.values()[1] - want.log_temperature) <= tolerance);
  }
  for (const bool shared : {true, false}) {
    device::ClipM2MixOptions options;
    options.temperature = 0.05;
    options.mix_temperature = 0.1;
    options.precision = precision;
    options.block = block;
    options.shared = shared;
    Buffer<char> scratch(device::clip_m2_mix_bytes<T>(x, y, options));
    finish(device::clip_m2_mix_with_gradient<T>(
        x, y, 0.3, options, {to, p.dx.view(), p.dy.view(), to + 1, to + 2, to + 3},
        scratch.scratch(), nullptr, EigenProducts{}));
    const auto want = losses::clip_m2_mix_with_gradient(
        p.host_x, p.host_y, 0.3, {.temperature = 0.05, .mix_temperature = 0.1});
    p.check(want.loss, want.x, want.y, 2 * tolerance);
    CHECK(std::abs(p.numbers.values()[1] - want.lambda) <= 3 * tolerance * std::abs(want.lambda));
    CHECK(std::abs(p.numbers.values()[2] - want.log_temperature) <= tolerance);
    CHECK(std::abs(p.numbers.values()[3] - want.log_mix_temperature) <= tolerance);
  }
  {
    device::SiglipOptions options;
    options.precision = precision;
    options.block = block;
    Buffer<char> scratch(device::siglip_bytes<T>(x, y, options));
    finish(device::siglip_with_gradient<T>(x, y, options,
                                           {to, p.dx.view(), p.dy.view(), to + 1, to + 2},
                                           scratch.scratch(), nullptr, EigenProducts{}));
    const auto want = losses::siglip_with_gradient(
        p.host_x, p.host_y, {.temperature = options.temperature, .bias = options.bias});
    p.check(want.loss, want.x, want.y, tolerance);
  }
  {
    const gpu::metrics::UniformityOptions options{2, precision, block};
    Buffer<char> scratch(gpu::metrics::uniformity_bytes<T>(x, options));
    finish(gpu::metrics::uniformity_with_gradient<T>(x, options, {to, p.dx.view()},
                                                     scratch.scratch(), nullptr, EigenProducts{}));
    const auto want = metrics::uniformity_with_gradient(p.host_x, {.t = 2});
    p.check(want.value, want.x, {}, tolerance);
  }
}

}  // namespace

TEST_CASE("the schedule over a BLAS, f64: the CPU engine's results at any size") {
  for (const Index n : {2, 61, 131, 203}) all_losses<double>(n, 37, 64, 1e-10);
  all_losses<double>(131, 5, 0, 1e-10);
}

TEST_CASE("the schedule over a BLAS, 16-bit operands and weights") {
  all_losses<float>(300, 36, 128, 2e-3);
  all_losses<gpu::Half>(131, 40, 0, 2e-3);
}
#endif
