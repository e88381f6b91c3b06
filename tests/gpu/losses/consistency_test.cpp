// geometric_consistency and cyclip on the device against their definitions in long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/cyclip.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace losses = gpu::losses;

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
  Buffer<char> scratch(losses::geometric_consistency_bytes<T>(dx.input(), dy.input()));
  finish(losses::geometric_consistency_with_gradient<T>(dx.input(), dy.input(), {c, w},
                                                        {loss.data(), gx.view(), gy.view()},
                                                        scratch.scratch(), nullptr));
  finish(losses::geometric_consistency<T>(dx.input(), dy.input(), {c, w}, loss.data() + 1,
                                          scratch.scratch(), nullptr));
  CHECK(std::abs(loss.values()[0] - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(loss.values()[1] == loss.values()[0]);
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(relative_error(gy.values(), want.y) <= tolerance);
}

}  // namespace

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
  Buffer<char> scratch(losses::cyclip_bytes<double>(dx.input(), dy.input()));
  finish(losses::cyclip_with_gradient<double>(dx.input(), dy.input(), {},
                                              {out.data(), gx.view(), gy.view(), out.data() + 1},
                                              scratch.scratch(), nullptr));
  CHECK(std::abs(out.values()[0] - double(one.loss + two.loss)) <= 1e-12);
  CHECK(std::abs(out.values()[1] - double(one.log_temperature)) <= 1e-11);
  std::vector<double> want_x = one.x, want_y = one.y;
  for (std::size_t k = 0; k < want_x.size(); ++k) want_x[k] += two.x[k], want_y[k] += two.y[k];
  CHECK(relative_error(gx.values(), want_x) <= 1e-12);
  CHECK(relative_error(gy.values(), want_y) <= 1e-12);
}
