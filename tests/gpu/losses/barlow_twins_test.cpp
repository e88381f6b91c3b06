// barlow_twins on the device against its definition in long double, gradients by the formula with C
// written out.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/barlow_twins.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;

/// Column k of a batch, its mean taken off and over r; r.
std::vector<Real> standard(const std::vector<double>& x, Index n, Index d, Index k, Real epsilon,
                           Real& r) {
  std::vector<Real> out;
  Real mean = 0, variance = 0;
  for (Index i = 0; i < n; ++i) out.push_back(x[std::size_t(i * d + k)]);
  for (const Real v : out) mean += v / Real(n);
  for (Real& v : out) variance += (v - mean) * (v - mean) / Real(n);
  r = std::sqrt(variance + epsilon);
  for (Real& v : out) v = (v - mean) / r;
  return out;
}

Reference barlow(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                 Real weight, Real epsilon) {
  const std::size_t size(static_cast<std::size_t>(d));
  std::vector<std::vector<Real>> xs(size), ys(size);
  std::vector<Real> rx(size), ry(size), ax(size), ay(size);
  for (std::size_t k = 0; k < size; ++k) {
    xs[k] = standard(x, n, d, Index(k), epsilon, rx[k]);
    ys[k] = standard(y, n, d, Index(k), epsilon, ry[k]);
  }
  Reference out;
  std::vector<Real> dx(std::size_t(n * d)), dy(dx);
  for (std::size_t k = 0; k < size; ++k)
    for (std::size_t l = 0; l < size; ++l) {
      Real c = 0;
      for (std::size_t i = 0; i < std::size_t(n); ++i) c += xs[k][i] * ys[l][i] / Real(n);
      const Real e = k == l ? 1 - c : c, w = k == l ? 1 : weight;
      out.loss += w * e * e;
      const Real m = k == l ? -2 * e : 2 * w * e;
      for (std::size_t i = 0; i < std::size_t(n); ++i) {
        dx[i * size + k] += m / Real(n) / rx[k] * (ys[l][i] - c * xs[k][i]);
        dy[i * size + l] += m / Real(n) / ry[l] * (xs[k][i] - c * ys[l][i]);
      }
    }
  out.x.assign(dx.begin(), dx.end());
  out.y.assign(dy.begin(), dy.end());
  return out;
}

template <class T>
void check(Index n, Index d, double weight, double epsilon, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  const auto x = unit_rows<T>(n, d, 1);
  auto y = unit_rows<T>(n, d, 2);
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = stored<T>(0.6 * x[k] + 0.4 * y[k] + 0.5);
  const Reference want = barlow(x, y, n, d, weight, epsilon);
  const Rows<T> dx(n, d, x, kLayouts[2]), dy(n, d, y);
  const Rows<gpu::Arithmetic<T>> gx(n, d), gy(n, d, kLayouts[1]);
  const Buffer<double> loss(2);
  with_scratch([&](gpu::Scratch s) {
    return device::barlow_twins_with_gradient<T>(dx.input(), dy.input(), {weight, epsilon},
                                                 {loss.data(), gx.view(), gy.view()}, s);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::barlow_twins<T>(dx.input(), dy.input(), {weight, epsilon}, loss.data() + 1, s);
  });
  CHECK(std::abs(loss.values()[0] - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(loss.values()[1] == loss.values()[0]);
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(relative_error(gy.values(), want.y) <= tolerance);
}

}  // namespace

TEST_CASE("barlow_twins: ragged sizes in f64, f32 and bf16 rows") {
  in_every_order([] {
    for (const Index n : {2, 7, 65})
      for (const Index d : {1, 5, 66}) check<double>(n, d, 0.3, 1e-2, 1e-11);
    check<float>(70, 20, 0.005, 1e-5, 1e-5);
    check<gpu::Bfloat16>(40, 33, 0.005, 1e-5, 1e-5);
  });
}

TEST_CASE("barlow_twins: squares that overflow are NaN, not a collapsed column") {
  auto x = unit_rows<double>(5, 3, 1);
  const Rows<double> dy(5, 3, x);
  for (double& v : x) v *= 1e200;
  const Rows<double> dx(5, 3, x), gx(5, 3), gy(5, 3);
  const Buffer<double> loss(1);
  with_scratch([&](gpu::Scratch s) {
    return device::barlow_twins_with_gradient<double>(dx.input(), dy.input(), {},
                                                      {loss.data(), gx.view(), gy.view()}, s);
  });
  CHECK(std::isnan(loss.values()[0]));
  CHECK(std::isnan(gx.values()[0]));
}

TEST_CASE("barlow_twins: what is refused") {
  const auto x = untouched<const float>(4, 3, 0), y = untouched<const float>(4, 3, 1);
  double loss;
  const auto refused = [&](core::MatrixView<const float> a, core::MatrixView<const float> b,
                           device::BarlowTwinsOptions o) {
    return !device::barlow_twins<float>(a, b, o, &loss, {}).ok();
  };
  std::size_t bytes = 0;
  gpu::Scratch counts;
  counts.needed = &bytes;
  CHECK(device::barlow_twins<float>(x, y, {}, &loss, counts).ok());
  CHECK(bytes > 0);
  CHECK(refused(x.middle_rows(0, 1), y.middle_rows(0, 1), {}));
  CHECK(refused(x, y, {-1, 1e-5}));
  CHECK(refused(x, y, {0.1, 0}));
}
