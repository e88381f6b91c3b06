// Feature separation on the device: its formula in long double with the gradient by central
// differences, and in the emulator the CPU library's numbers.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/feature_separation.cuh"
#if !defined(__CUDACC__)
#include "spheremix/losses/feature_separation.hpp"
#endif

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::pairwise::KernelProducts;
namespace device = gpu::losses;
using device::Denominator;
using device::UniformityReading;

namespace {

/// X, Y, Xi, Yi, Xa, Ya.
using Batches = std::vector<std::vector<double>>;

template <class T>
Batches make_batches(Index n, Index d) {
  Batches in;
  for (unsigned m = 0; m < 6; ++m) in.push_back(unit_rows<T>(n, d, m + 1));
  for (std::size_t m = 4; m < 6; ++m)  // a view looks like its original
    for (std::size_t k = 0; k < in[m].size(); ++k)
      in[m][k] = stored<T>(0.7 * in[m - 2][k] + 0.3 * in[m][k]);
  return in;
}

Real formula(const std::vector<std::vector<Real>>& in, Index n, Index d, Real log_tau,
             const device::FeatureSeparationOptions& o) {
  const auto dot = [&](const std::vector<Real>& a, Index i, const std::vector<Real>& b, Index j) {
    Real sum = 0;
    for (Index k = 0; k < d; ++k) sum += a[std::size_t(i * d + k)] * b[std::size_t(j * d + k)];
    return sum;
  };
  Real loss = 0, spread[2] = {0, 0};
  const Real tau = std::exp(log_tau);
  for (std::size_t s = 0; s < 2; ++s) {
    const auto &x = in[s], &own = in[s + 2], &view = in[s + 4];
    for (Index i = 0; i < n; ++i) {
      const Real c = dot(x, i, own, i), positive = dot(own, i, view, i) / tau;
      Real below = 0;
      for (Index k = 0; k < n; ++k) {
        below += std::exp(dot(own, i, o.denominator == Denominator::printed ? own : view, k) / tau -
                          positive);
        spread[s] +=
            std::exp(-2 * (dot(own, i, own, i) + dot(own, k, own, k) - 2 * dot(own, i, own, k))) /
            Real(n);
      }
      loss += (Real(o.ortho_weight) * c * c + Real(o.contrast_weight) * std::log(below)) / Real(n);
    }
  }
  return loss + Real(o.uniformity_weight) * (o.uniformity == UniformityReading::joint
                                                 ? std::log(spread[0] + spread[1])
                                                 : std::log(spread[0]) + std::log(spread[1]));
}

struct Answer {
  double loss = 0, log_temperature = 0;
  std::vector<double> gradient[6];
};

Answer expected(const Batches& in, Index n, Index d, const device::FeatureSeparationOptions& o) {
  std::vector<std::vector<Real>> at;
  for (const auto& m : in) at.emplace_back(m.begin(), m.end());
  const Real log_tau = std::log(Real(o.temperature)), h = 1e-6L;
  Answer out;
  out.loss = double(formula(at, n, d, log_tau, o));
  out.log_temperature =
      double((formula(at, n, d, log_tau + h, o) - formula(at, n, d, log_tau - h, o)) / (2 * h));
  for (std::size_t m = 0; m < 6; ++m)
    for (Real& v : at[m]) {
      const Real was = v;
      v = was + h;
      const Real up = formula(at, n, d, log_tau, o);
      v = was - h;
      out.gradient[m].push_back(double((up - formula(at, n, d, log_tau, o)) / (2 * h)));
      v = was;
    }
  return out;
}

template <class T>
Answer computed(const Batches& in, Index n, Index d, const device::FeatureSeparationOptions& o,
                Layout layout, const KernelProducts& how = {}) {
  using A = gpu::Arithmetic<T>;
  const Rows<T> x(n, d, in[0], layout), y(n, d, in[1]), xi(n, d, in[2], layout), yi(n, d, in[3]),
      xa(n, d, in[4]), ya(n, d, in[5], layout);
  const Rows<A> dx(n, d, layout), dy(n, d), dxi(n, d), dyi(n, d, layout), dxa(n, d), dya(n, d);
  const Buffer<double> numbers(3);
  with_scratch([&](gpu::Scratch s) {
    return device::feature_separation_with_gradient<T>(
        x.input(), y.input(), xi.input(), yi.input(), xa.input(), ya.input(), o,
        {numbers.data(), dx.view(), dy.view(), dxi.view(), dyi.view(), dxa.view(), dya.view(),
         numbers.data() + 1},
        s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::feature_separation<T>(x.input(), y.input(), xi.input(), yi.input(), xa.input(),
                                         ya.input(), o, numbers.data() + 2, s, nullptr, how);
  });
  const auto values = numbers.values();
  CHECK((values[2] == values[0] || std::isnan(values[0])));
  return {values[0],
          values[1],
          {dx.values(), dy.values(), dxi.values(), dyi.values(), dxa.values(), dya.values()}};
}

#if !defined(__CUDACC__)
Answer on_cpu(const Batches& in, Index n, Index d, const device::FeatureSeparationOptions& o) {
  std::vector<RowMatrix<double>> m;
  for (const auto& b : in) m.push_back(Eigen::Map<const RowMatrix<double>>(b.data(), n, d));
  const auto g = losses::feature_separation_with_gradient(
      m[0], m[1], m[2], m[3], m[4], m[5],
      {o.temperature, o.ortho_weight, o.contrast_weight, o.uniformity_weight,
       losses::Denominator(int(o.denominator)), losses::UniformityReading(int(o.uniformity))});
  const auto flat = [](const RowMatrix<double>& v) {
    return std::vector<double>(v.data(), v.data() + v.size());
  };
  return {g.loss,
          g.log_temperature,
          {flat(g.x), flat(g.y), flat(g.x_independent), flat(g.y_independent), flat(g.x_augmented),
           flat(g.y_augmented)}};
}
#endif

void compare(const Answer& got, const Answer& want, double tolerance) {
  CHECK(std::abs(got.loss - want.loss) <= tolerance * (1 + std::abs(want.loss)));
  CHECK(std::abs(got.log_temperature - want.log_temperature) <=
        tolerance * (1 + std::abs(want.log_temperature)));
  for (std::size_t m = 0; m < 6; ++m) {
    CAPTURE(m);
    CHECK(relative_error(got.gradient[m], want.gradient[m]) <= tolerance);
  }
}

template <class T>
void check(Index n, Index d, const device::FeatureSeparationOptions& o, double tolerance,
           Layout layout = {}, bool differences = false, const KernelProducts& how = {}) {
  CAPTURE(n);
  CAPTURE(d);
  CAPTURE(int(o.denominator) * 10 + int(o.uniformity));
  const Batches in = make_batches<T>(n, d);
  const Answer formula = differences ? expected(in, n, d, o) : Answer{};
  in_every_order([&] {
    const Answer got = computed<T>(in, n, d, o, layout, how);
    if (differences) compare(got, formula, std::max(tolerance, 1e-9));
#if !defined(__CUDACC__)
    compare(got, on_cpu(in, n, d, o), tolerance);
#endif
  });
}

}  // namespace

TEST_CASE("feature_separation: every reading and every part alone") {
  for (const Denominator denominator : {Denominator::printed, Denominator::augmented})
    for (const UniformityReading reading : {UniformityReading::joint, UniformityReading::separate})
      for (int part = 0; part < 4; ++part) {
        const bool printed = denominator == Denominator::printed,
                   joint = reading == UniformityReading::joint;
        if ((part == 1 && !printed) || (part < 3 && part > 0 && !joint) || (part == 3 && !printed))
          continue;  // the part does not know the difference
        device::FeatureSeparationOptions o{
            .temperature = 0.2, .denominator = denominator, .uniformity = reading};
        o.ortho_weight = part == 0 ? 0.8 : part == 1;
        o.contrast_weight = part == 0 ? 0.6 : part == 2;
        o.uniformity_weight = part == 0 ? 1.3 : part == 3;
        check<double>(7, 4, o, 1e-12, kLayouts[2], true);
      }
}

TEST_CASE("feature_separation: every size, type and precision") {
  for (const Denominator denominator : {Denominator::printed, Denominator::augmented}) {
    const device::FeatureSeparationOptions o{.denominator = denominator};
    for (const Index n : {1, 2, 65}) check<double>(n, n == 65 ? 33 : 5, o, 1e-11);
    const KernelProducts small{.block = 64}, exact{gpu::Precision::exact, 64};  // several ranges
    check<double>(100, 7, o, 1e-11, {}, false, small);
    check<float>(denominator == Denominator::printed ? 130 : 40, 12, o, 2e-3, kLayouts[2], false,
                 small);
    check<float>(40, 24, o, 2e-5, kLayouts[2], false, exact);
    check<gpu::Half>(20, 16, o, 2e-5, {}, false, exact);
  }
}

TEST_CASE("feature_separation: wrong options are statuses") {
  const Index n = 4, d = 8;
  const Rows<float> x(n, d, unit_rows<float>(n, d, 1));
  const Buffer<double> loss(1);
  const Buffer<char> memory(1 << 20);
  const auto runs = [&](const device::FeatureSeparationOptions& o) {
    return device::feature_separation<float>(x.input(), x.input(), x.input(), x.input(), x.input(),
                                             x.input(), o, loss.data(), memory.scratch())
        .ok();
  };
  CHECK(runs({}));
  CHECK(!runs({.temperature = 0}));
  CHECK(!runs({.ortho_weight = -1}));
  CHECK(!runs({.uniformity_weight = core::nan<double>}));
}
