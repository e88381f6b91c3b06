// nt_xent and decoupled_contrastive on the device against the whole 2N x 2N table in long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/decoupled_contrastive.cuh"
#include "spheremix/gpu/losses/nt_xent.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
namespace device = gpu::losses;

Reference stacked(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                  Real tau, bool decoupled) {
  std::vector<double> z = x;
  z.insert(z.end(), y.begin(), y.end());
  const Table s = cosines(z, z, 2 * n, d);
  Table g = zero_table(2 * n);
  Reference out;
  const Real each = 1 / (2 * Real(n));
  for (std::size_t i = 0; i < std::size_t(2 * n); ++i) {
    const std::size_t p = (i + std::size_t(n)) % std::size_t(2 * n);
    Real others = 0;
    for (std::size_t j = 0; j < std::size_t(2 * n); ++j)
      if (j != i && j != p) others += std::exp((s[i][j] - s[i][p]) / tau);
    const Real all = decoupled ? others : 1 + others;
    out.loss += each * (decoupled ? std::log(others) : std::log1p(others));
    for (std::size_t j = 0; j < std::size_t(2 * n); ++j) {
      if (j == i) continue;
      g[i][j] =
          each / tau *
          (j == p ? (decoupled ? -1 : -others / all) : std::exp((s[i][j] - s[i][p]) / tau) / all);
      out.log_temperature -= g[i][j] * s[i][j];
    }
  }
  Reference both;
  pull(g, z, z, 2 * n, d, both);
  for (std::size_t k = 0; k < both.x.size(); ++k)
    (k < x.size() ? out.x : out.y).push_back(both.x[k] + both.y[k]);
  return out;
}

template <class T>
void check(Index n, Index d, double tau, bool decoupled, Precision precision, Index block,
           double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  CAPTURE(decoupled);
  const auto x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  const Reference want = stacked(x, y, n, d, tau, decoupled);
  const Rows<T> dx(n, d, x), dy(n, d, y);
  Rows<gpu::Arithmetic<T>> gx(n, d), gy(n, d);
  Buffer<double> loss(3);
  const device::ContrastiveGradient<T> out{loss.data(), gx.view(), gy.view(), loss.data() + 1};
  const gpu::pairwise::KernelProducts how{precision, block};
  if (decoupled) {
    const device::DecoupledContrastiveOptions options{.temperature = tau};
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_contrastive_with_gradient<T>(dx.input(), dy.input(), options, out, s,
                                                            nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_contrastive<T>(dx.input(), dy.input(), options, loss.data() + 2, s,
                                              nullptr, how);
    });
  } else {
    const device::NtXentOptions options{tau};
    with_scratch([&](gpu::Scratch s) {
      return device::nt_xent_with_gradient<T>(dx.input(), dy.input(), options, out, s, nullptr,
                                              how);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::nt_xent<T>(dx.input(), dy.input(), options, loss.data() + 2, s, nullptr, how);
    });
  }
  const auto got = loss.values();
  CHECK(std::abs(got[0] - double(want.loss)) <=
        tolerance * std::max(1.0, std::abs(double(want.loss))));
  CHECK(got[2] == got[0]);
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(relative_error(gy.values(), want.y) <= tolerance);
  CHECK(std::abs(got[1] - double(want.log_temperature)) <=
        3 * tolerance * std::max(1.0, std::abs(double(want.log_temperature))));
}

}  // namespace

TEST_CASE("nt_xent and decoupled_contrastive at ragged sizes") {
  in_every_order([] {
    for (const bool decoupled : {false, true}) {
      for (const Index n : {1, 2, 31, 32, 33, 64, 65})
        for (const Index d : {2, 17})
          if (n > 1 || !decoupled) check<double>(n, d, 0.1, decoupled, Precision::exact, 64, 1e-12);
      check<float>(70, 20, 0.1, decoupled, Precision::exact, 64, 1e-5);
      check<float>(150, 40, 0.1, decoupled, Precision::fast, 128, 5e-4);
      check<gpu::Half>(64, 24, 0.1, decoupled, Precision::fast, 0, 5e-4);
    }
  });
}

TEST_CASE("decoupled_contrastive: weights of a sigma as small as you like") {
  const Rows<double> x(4, 2, {1, 0, 1, 0, 1, 0, 0.25, 0.5});  // three pairs are the largest
  const Rows<double> gx(4, 2), gy(4, 2);
  const Buffer<double> numbers(2);
  const auto of = [&](double sigma) {
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_contrastive_with_gradient<double>(
          x.input(), x.input(),
          {.sigma = sigma, .weighting = device::DclWeighting::von_mises_fisher},
          {numbers.data(), gx.view(), gy.view(), numbers.data() + 1}, s);
    });
    auto all = gx.values();
    for (const double v : numbers.values()) all.push_back(v);
    return all;
  };
  const auto want = of(1e-3);
  for (const double sigma : {1e-20, 1e-310, 5e-324}) CHECK(of(sigma) == want);
}

TEST_CASE("one pair alone has no negatives") {
  const Rows<float> x(1, 4, unit_rows<float>(1, 4, 1));
  Buffer<double> loss(1);
  Buffer<char> scratch(1 << 20);
  CHECK(!device::decoupled_contrastive<float>(x.input(), x.input(), {}, loss.data(),
                                              scratch.scratch())
             .ok());
}
