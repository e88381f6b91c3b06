// sup_remix on the device: against its definition in long double, and in the emulator next to the
// CPU library in double (nvcc does not see it).
#include "support/gpu.hpp"

#include "labelled.hpp"
#include "spheremix/gpu/losses/sup_remix.cuh"
#if !defined(__CUDACC__)
#include "spheremix/losses/sup_remix.hpp"
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
namespace device = gpu::losses;

enum class Lambda { number, matrix, drawn };

/// What the tests take as a matrix of lambdas.
template <class T>
std::vector<double> matrix_of(Index n) {
  std::vector<double> each;
  for (Index k = 0; k < n * n; ++k)
    each.push_back(stored<gpu::Arithmetic<T>>(double(k * 37 % 101) / 100));
  return each;
}

template <class T>
void run(const std::vector<double>& x, const std::vector<double>& labels, const Case& c,
         const Reference& want, Index skipped, device::SupRemixOptions o, Lambda kind) {
  CAPTURE(o.detach);
  CAPTURE(int(kind));
  using A = gpu::Arithmetic<T>;
  const gpu::pairwise::KernelProducts how{c.precision, c.block};
  const Rows<A> each(c.n, c.n, matrix_of<T>(c.n), c.layout);
  const auto lambda = [&](core::Philox rng) {
    return kind == Lambda::number   ? device::RemixLambda<A>(0.25)
           : kind == Lambda::matrix ? device::RemixLambda<A>(each.view())
                                    : device::RemixLambda<A>(rng);
  };
  const Buffer<double> y(labels);
  compare_labelled<T>(x, c, want, skipped, 1, [&](auto a, const auto& out, double* alone) {
    with_scratch([&](gpu::Scratch s) {
      return device::sup_remix_with_gradient<T>(a, y.data(), lambda(core::Philox(7)), o, out, s,
                                                nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::sup_remix<T>(a, y.data(), lambda(core::Philox(7)), o, alone, s, nullptr, how);
    });
  });
}

/// `count` different numbers `step` apart, in no order.
std::vector<double> numbers(Index n, Index count, double step) {
  std::vector<double> y;
  for (Index i = 0; i < n; ++i) y.push_back(step * double(i * 31 % n % count) - 3);
  return y;
}

#if !defined(__CUDACC__)
template <class T>
void check(const std::vector<double>& x, const std::vector<double>& labels, const Case& c,
           const device::SupRemixOptions& o, Lambda kind = Lambda::number) {
  const Eigen::Map<const Vector<double>> y(labels.data(), c.n);
  const auto each = matrix_of<T>(c.n);
  const Eigen::Map<const RowMatrix<double>> rows(x.data(), c.n, c.d), matrix(each.data(), c.n, c.n);
  core::Philox rng(7);
  const auto want = kind == Lambda::number   ? losses::sup_remix_with_gradient(rows, y, 0.25, o)
                    : kind == Lambda::matrix ? losses::sup_remix_with_gradient(rows, y, matrix, o)
                                             : losses::sup_remix_with_gradient(rows, y, rng, o);
  run<T>(x, labels, c,
         {Real(want.loss),
          Real(want.log_temperature),
          {want.x.data(), want.x.data() + want.x.size()},
          {}},
         want.skipped, o, kind);
}
#endif

/// sup_remix from its definition, with the matrix of lambdas and w(d) = 1 + |d|.
template <class T>
Reference defined(const std::vector<double>& x, const std::vector<double>& labels, Index n, Index d,
                  const device::SupRemixOptions& o, Index* skipped) {
  const auto lambda = matrix_of<T>(n);
  const auto y = [&](Index i) { return Real(labels[std::size_t(i)]); };
  const auto term = [&](Index i, const std::vector<Real>& s, const std::vector<Real>& mixed,
                        Real tau, Real* positives) {
    Real all = 0, wanted = 0, count = 0;
    const auto positive = [&](Real z) {
      all += std::exp(z);
      wanted += z;
      ++count;
    };
    for (Index k = 0; k < n; ++k) {
      const Real away = y(i) - y(k), l = lambda[std::size_t(i * n + k)];
      if (k != i && away == 0) positive(s[std::size_t(k)] / tau);
      if (away == 0) continue;
      all += (1 + std::abs(away)) * std::exp(s[std::size_t(k)] / tau);
      all += (1 + std::abs((1 - l) * away)) *
             std::exp((l * mixed[std::size_t(i)] + (1 - l) * mixed[std::size_t(k)]) / tau);
      if (!(y(k) > y(i) && y(k) < y(i) + Real(o.window))) continue;
      for (Index j = 0; j < n; ++j)
        if (y(j) > y(i) - Real(o.window) && y(j) < y(i)) {
          const Real share = (y(k) - y(i)) / (y(k) - y(j));
          positive((share * mixed[std::size_t(j)] + (1 - share) * mixed[std::size_t(k)]) / tau);
        }
    }
    *positives = count;
    return count > 0 ? std::log(all) - wanted / count : Real(0);
  };
  *skipped = 0;
  const std::vector<Real> nothing(std::size_t(n), Real(0));
  for (Index i = 0; i < n; ++i) {
    Real count;
    term(i, nothing, nothing, 1, &count);
    *skipped += count == 0;
  }
  return by_rows(
      x, n, d, o.temperature, !o.detach,
      [&](Index i, const std::vector<Real>& s, const std::vector<Real>& mixed, Real tau) {
        Real count;
        return term(i, s, mixed, tau, &count) / Real(n - *skipped);
      });
}

}  // namespace

TEST_CASE("sup_remix is its definition, mixtures attached and detached") {
  const Index n = 66, d = 5;
  const auto y = numbers(n, 40, 0.5);
  const auto x = unit_rows<double>(n, d, 1), xf = unit_rows<float>(n, d, 1);
  for (const bool detach : {true, false}) {
    const device::SupRemixOptions o{.temperature = 0.3, .window = 1.2, .detach = detach};
    Index skipped = 0;
    const Reference want = defined<double>(x, y, n, d, o, &skipped),
                    fast = defined<float>(xf, y, n, d, o, &skipped);
    in_every_order([&] {
      run<double>(x, y, {n, d, Precision::exact, 64, 1e-9}, want, skipped, o, Lambda::matrix);
      run<float>(xf, y, {n, d, Precision::fast, 0, 5e-4}, fast, skipped, o, Lambda::matrix);
    });
  }
}

TEST_CASE("sup_remix: the memory promised") {
  const Buffer<double> y(numbers(4, 4, 0.25));
  const device::SupRemixOptions options{.temperature = 0.3};
  const Buffer<double> loss(1);
  for (const Index rows : {1, 1000, 65536, 1 << 20})
    CHECK(counted([&](gpu::Scratch s) {
            return device::sup_remix_with_gradient<float>(
                untouched<const float>(rows, 64), y.data(), 0.25, options,
                {loss.data(), untouched<float>(rows, 64), loss.data(), nullptr}, s);
          }) <= std::max<std::size_t>(std::size_t(65) << 20, std::size_t(128 * 12 * (rows + 128))) +
                    std::size_t(rows) * (76 + 2 * 64));
}

#if !defined(__CUDACC__)
TEST_CASE("sup_remix is the CPU's, every switch") {
  in_every_order([] {
    const Index n = 37, d = 6;
    const auto x = unit_rows<double>(n, d, 1);
    const Case c{n, d, Precision::exact, 64, 1e-11};
    for (const bool negatives : {true, false})
      for (const bool positives : {true, false})
        for (const bool detach : {true, false}) {
          device::SupRemixOptions o{.temperature = 0.3, .window = 1.3};
          o.mix_negatives = negatives;
          o.mix_positives = positives;
          o.detach = detach;
          check<double>(x, numbers(n, 11, 0.4), c, o);
        }
    for (const auto weighting : {device::RemixWeighting::squared, device::RemixWeighting::none})
      check<double>(x, numbers(n, 11, 0.4), c,
                    {.temperature = 0.3, .window = 0.9, .weighting = weighting}, Lambda::matrix);
    for (const auto kind : {Lambda::matrix, Lambda::drawn})
      check<double>(x, numbers(n, 5, 1), c, {.temperature = 0.2, .window = 2}, kind);
  });
}

TEST_CASE("sup_remix at ragged sizes, whatever the labels") {
  in_every_order([] {
    for (const Index n : {1, 2, 3, 65, 130}) {
      const auto x = unit_rows<double>(n, 5, 2);
      for (const Index count : {Index(1), n / 3 + 1, n})
        check<double>(x, numbers(n, count, 0.5), {n, 5, Precision::exact, 64, 1e-11},
                      {.temperature = 0.3, .window = 1.6, .label_tolerance = n == 65 ? 0.5 : 0});
    }
  });
}

TEST_CASE("sup_remix in fp16, bf16 and f32") {
  const Index n = 140, d = 24;
  const auto y = numbers(n, 40, 0.25);
  const device::SupRemixOptions o{.temperature = 0.2, .window = 1};
  in_every_order([&] {
    const auto x = unit_rows<float>(n, d, 1);
    check<float>(x, y, {n, d, Precision::exact, 64, 1e-5, kLayouts[2]}, o, Lambda::matrix);
    check<float>(x, y, {n, d, Precision::fast, 128, 5e-4, kLayouts[1]}, o, Lambda::drawn);
  });
  check<gpu::Half>(unit_rows<gpu::Half>(n, d, 2), y, {n, d, Precision::fast, 0, 5e-4}, o);
  check<gpu::Bfloat16>(unit_rows<gpu::Bfloat16>(n, d, 2), y, {n, d, Precision::fast, 128, 5e-4}, o);
}

TEST_CASE("sup_remix at a temperature where only differences from the largest logit fit") {
  // Logits up to 10000 nats apart: a row against its opposite, and Mix-neg near the anchor itself.
  const std::vector<double> x{1, 0, -1, 0, -0.96, 0.28, 0, 1}, y{0, 0, 5, 5};
  for (const bool negatives : {true, false}) {
    device::SupRemixOptions o{.temperature = 2e-4};
    o.mix_negatives = negatives;
    check<double>(x, y, {4, 2, Precision::exact, 64, 1e-11}, o, Lambda::matrix);
  }
}
#endif

TEST_CASE("sup_remix: no anchors, NaN, infinity, labels that are not finite, what is refused") {
  const Index n = 40, d = 8;
  const auto good = unit_rows<float>(n, d, 1);
  const Rows<float> rows(n, d, good);
  Rows<float> gx(n, d);
  Buffer<double> loss(2);
  const device::SupRemixOptions options{.temperature = 0.2, .window = 1};
  const gpu::pairwise::KernelProducts how{Precision::fast, 64};
  Buffer<char> scratch(1 << 20);
  const auto loss_of = [&](const Rows<float>& x, const std::vector<double>& labels,
                           const device::RemixLambda<float>& lambda) {
    const Buffer<double> y(labels);
    finish(device::sup_remix_with_gradient<float>(
        x.input(), y.data(), lambda, options, {loss.data(), gx.view(), loss.data() + 1, nullptr},
        scratch.scratch(), nullptr, how));
    return loss.values()[0];
  };
  const std::vector<double> few = numbers(n, 4, 0.5), far = numbers(n, n, 2);
  CHECK(loss_of(rows, far, 0.5) == 0);
  CHECK(loss.values()[1] == 0);
  for (const double g : gx.values()) CHECK(g == 0);
  for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY)}) {
    auto values = good;
    values[std::size_t(36 * d + 3)] = bad;
    const Rows<float> x(n, d, values);
    CHECK(!std::isfinite(loss_of(x, few, 0.5)));
    CHECK(!std::isfinite(loss_of(x, far, 0.5)));
    auto labels = few;
    labels[36] = bad;
    CHECK(std::isnan(loss_of(rows, labels, 0.5)));
    CHECK(std::isnan(loss.values()[1]));
    for (const double g : gx.values()) CHECK(std::isnan(g));
  }
  std::vector<double> outside(std::size_t(n * n), 0.5);
  outside[std::size_t(3 * n + 4)] = 1.25;
  const Rows<float> lambda(n, n, outside), half(n / 2, n, std::vector<double>(outside.size() / 2));
  CHECK(std::isnan(loss_of(rows, few, lambda.view())));

  const Buffer<double> y(few);
  const auto refused = [&](const device::SupRemixOptions& o,
                           const device::RemixLambda<float>& with = 0.5) {
    return !device::sup_remix<float>(rows.input(), y.data(), with, o, loss.data(),
                                     scratch.scratch())
                .ok();
  };
  CHECK(!refused(options));
  CHECK(refused({.temperature = 0}));
  CHECK(refused({.window = 0}));
  CHECK(refused({.label_tolerance = -1}));
  CHECK(refused({.renormalise = true}));
  CHECK(refused(options, 1.5));
  CHECK(refused(options, half.view()));
  core::Philox rng(1);
  CHECK(refused({.beta_a = 0}, rng));
  CHECK(!device::sup_remix<float>(rows.input(), y.data(), 0.5, options, loss.data(),
                                  {scratch.data(), 64})
             .ok());
}
