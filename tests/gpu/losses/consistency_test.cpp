// geometric_consistency, its augmented form and cyclip on the device against their definitions in
// long double; the augmented form in the emulator also against the CPU library.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/cyclip.cuh"
#if !defined(__CUDACC__)
#include "spheremix/losses/geometric_consistency.hpp"
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;

/// The N x N tables themselves, as printed in the paper.
Reference consistency(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                      Real c, Real w) {
  const Table xy = cosines(x, y, n, d), xx = cosines(x, x, n, d), yy = cosines(y, y, n, d);
  Reference out;
  std::vector<Real> dx(static_cast<std::size_t>(n * d)), dy(dx);
  for (std::size_t j = 0; j < std::size_t(n); ++j)
    for (std::size_t k = 0; k < std::size_t(n); ++k) {
      const Real a = xy[j][k] - xy[k][j], b = xx[j][k] - yy[j][k];
      out.loss += (c * a * a + w * b * b) / Real(n);
      for (std::size_t e = 0; e < std::size_t(d); ++e) {
        const Real xk = x[k * std::size_t(d) + e], yk = y[k * std::size_t(d) + e];
        dx[j * std::size_t(d) + e] += 4 / Real(n) * (c * a * yk + w * b * xk);
        dy[j * std::size_t(d) + e] -= 4 / Real(n) * (c * a * xk + w * b * yk);
      }
    }
  out.x.assign(dx.begin(), dx.end());
  out.y.assign(dy.begin(), dy.end());
  return out;
}

template <class T>
void check_consistency(Index n, Index d, double c, double w, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  const auto x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  const Reference want = consistency(x, y, n, d, c, w);
  const Rows<T> dx(n, d, x), dy(n, d, y);
  Rows<gpu::Arithmetic<T>> gx(n, d), gy(n, d);
  Buffer<double> loss(2);
  with_scratch([&](gpu::Scratch s) {
    return device::geometric_consistency_with_gradient<T>(
        dx.input(), dy.input(), {c, w}, {loss.data(), gx.view(), gy.view()}, s, nullptr);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::geometric_consistency<T>(dx.input(), dy.input(), {c, w}, loss.data() + 1, s,
                                            nullptr);
  });
  CHECK(std::abs(loss.values()[0] - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(loss.values()[1] == loss.values()[0]);
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(relative_error(gy.values(), want.y) <= tolerance);
}

/// x, y and their augmented views: the loss, and the four gradients.
struct Augmented {
  double loss = 0;
  std::vector<double> gradient[4];
};

Augmented augmented(const std::vector<double> (&in)[4], Index n, Index d, Real c, Real w) {
  Augmented out;
  Real loss = 0;
  for (const std::size_t s : {0u, 1u}) {
    const Reference part = consistency(in[s], in[s + 2], n, d, 0, w);
    loss += part.loss;
    out.gradient[s] = part.x;
    out.gradient[s + 2] = part.y;
  }
  for (std::size_t j = 0; j < std::size_t(n); ++j) {
    Real e = 0;
    for (std::size_t k = j * std::size_t(d); k < (j + 1) * std::size_t(d); ++k)
      e += Real(in[0][k]) * Real(in[1][k]) - Real(in[2][k]) * Real(in[3][k]);
    loss += c * e * e / Real(n);
    for (std::size_t k = j * std::size_t(d); k < (j + 1) * std::size_t(d); ++k)
      for (const std::size_t m : {0u, 1u, 2u, 3u})
        out.gradient[m][k] += double((m < 2 ? 2 : -2) * c / Real(n) * e * Real(in[m ^ 1u][k]));
  }
  out.loss = double(loss);
  return out;
}

template <class T>
void check_augmented(Index n, Index d, double c, double w, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  using A = gpu::Arithmetic<T>;
  std::vector<double> in[4];
  for (unsigned m = 0; m < 4; ++m) in[m] = unit_rows<T>(n, d, m + 1);
  const Augmented want = augmented(in, n, d, c, w);
  const Rows<T> x(n, d, in[0], kLayouts[2]), y(n, d, in[1]), xa(n, d, in[2]),
      ya(n, d, in[3], kLayouts[1]);
  const Rows<A> g[4] = {{n, d, kLayouts[2]}, {n, d}, {n, d, kLayouts[1]}, {n, d}};
  const Buffer<double> loss(2);
  with_scratch([&](gpu::Scratch s) {
    return device::augmented_geometric_consistency_with_gradient<T>(
        x.input(), y.input(), xa.input(), ya.input(), {c, w},
        {loss.data(), g[0].view(), g[1].view(), g[2].view(), g[3].view()}, s);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::augmented_geometric_consistency<T>(x.input(), y.input(), xa.input(), ya.input(),
                                                      {c, w}, loss.data() + 1, s);
  });
  CHECK(std::abs(loss.values()[0] - want.loss) <= tolerance * want.loss);
  CHECK(loss.values()[1] == loss.values()[0]);
  for (std::size_t m = 0; m < 4; ++m)
    CHECK(relative_error(g[m].values(), want.gradient[m]) <= tolerance);
#if !defined(__CUDACC__)
  RowMatrix<double> host[4];
  for (std::size_t m = 0; m < 4; ++m)
    host[m] = Eigen::Map<const RowMatrix<double>>(in[m].data(), n, d);
  const auto cpu = spheremix::losses::augmented_geometric_consistency_with_gradient(
      host[0], host[1], host[2], host[3], {c, w});
  CHECK(std::abs(loss.values()[0] - cpu.loss) <= tolerance * cpu.loss);
  const RowMatrix<double>* gradient[] = {&cpu.x, &cpu.y, &cpu.x_augmented, &cpu.y_augmented};
  for (std::size_t m = 0; m < 4; ++m)
    CHECK(relative_error(g[m].values(), {gradient[m]->data(), gradient[m]->data() + n * d}) <=
          tolerance);
#endif
}

}  // namespace

TEST_CASE("augmented_geometric_consistency is its sum over pairs, and the CPU library's") {
  in_every_order([] {
    for (const Index n : {2, 7, 70})
      for (const Index d : {3, 33}) {
        check_augmented<double>(n, d, 1, 1, 1e-12);
        check_augmented<double>(n, d, 0.3, 0.8, 1e-12);
        check_augmented<double>(n, d, 1, 0, 1e-12);
        check_augmented<double>(n, d, 0, 1, 1e-12);
      }
    check_augmented<float>(40, 24, 0.7, 0.4, 1e-5);
    check_augmented<gpu::Half>(40, 24, 0.7, 0.4, 1e-5);
  });
}

TEST_CASE("augmented_geometric_consistency: wrong weights are statuses") {
  const Rows<float> x(5, 6, unit_rows<float>(5, 6, 1));
  const Buffer<double> loss(1);
  const Buffer<char> memory(1 << 20);
  const auto runs = [&](const device::GeometricConsistencyOptions& o) {
    return device::augmented_geometric_consistency<float>(
               x.input(), x.input(), x.input(), x.input(), o, loss.data(), memory.scratch())
        .ok();
  };
  CHECK(runs({}));
  CHECK(!runs({-1, 1}));
  CHECK(!runs({1, std::nan("")}));
}

TEST_CASE("geometric_consistency by D x D products is the sum over pairs") {
  in_every_order([] {
    for (const Index n : {2, 5, 70})
      for (const Index d : {3, 16, 65}) {
        check_consistency<double>(n, d, 1, 1, 1e-12);
        check_consistency<double>(n, d, 0.3, 0.8, 1e-12);
      }
    check_consistency<float>(70, 40, 0.25, 0.25, 1e-5);
    check_consistency<gpu::Half>(70, 40, 1, 0.5, 1e-5);
  });
}

TEST_CASE("cyclip is clip and the consistency") {
  const Index n = 70, d = 12;
  const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2);
  const Reference one = contrastive(x, y, n, d, 0.07L, 0.5L / n, 0.5L / n),
                  two = consistency(x, y, n, d, 0.25L, 0.25L);
  const Rows<double> dx(n, d, x), dy(n, d, y);
  Rows<double> gx(n, d), gy(n, d);
  Buffer<double> out(2);
  with_scratch([&](gpu::Scratch s) {
    return device::cyclip_with_gradient<double>(
        dx.input(), dy.input(), {}, {out.data(), gx.view(), gy.view(), out.data() + 1}, s, nullptr);
  });
  CHECK(std::abs(out.values()[0] - double(one.loss + two.loss)) <= 1e-12);
  CHECK(std::abs(out.values()[1] - double(one.log_temperature)) <= 1e-11);
  std::vector<double> want_x = one.x, want_y = one.y;
  for (std::size_t k = 0; k < want_x.size(); ++k) want_x[k] += two.x[k], want_y[k] += two.y[k];
  CHECK(relative_error(gx.values(), want_x) <= 1e-12);
  CHECK(relative_error(gy.values(), want_y) <= 1e-12);
}
