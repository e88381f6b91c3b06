// clip_m2_mix on the device, from shared tiles and one loss after the other, against the formulas in
// long double.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::losses::ClipM2MixOptions;
using gpu::losses::Negatives;
using gpu::losses::Reduction;
using gpu::pairwise::KernelProducts;

struct Batch {
  Index n, d;
  std::vector<double> x, y, lambda;
};

template <class T>
Batch batch(Index n, Index d) {
  return {n, d, unit_rows<T>(n, d, 1), unit_rows<T>(n, d, 2), mix_lambdas(n)};
}

struct Result {
  double loss, log_temperature, log_mix_temperature;
  std::vector<double> x, y, lambda;
};

/// One lambda for all where there is only one; then lambda's gradient is one number too.
template <class T, class Products>
Result run(const Batch& b, const ClipM2MixOptions& options, const Products& how,
           Layout layout = {}) {
  using A = gpu::Arithmetic<T>;
  const bool one = b.lambda.size() == 1;
  const Rows<T> x(b.n, b.d, b.x, layout), y(b.n, b.d, b.y);
  Rows<A> gx(b.n, b.d), gy(b.n, b.d, layout);
  Buffer<double> out(4), gl(b.lambda.size());
  const Buffer<A> each(as<A>(b.lambda));
  const gpu::RowScalar<A> lambda =
      one ? gpu::RowScalar<A>(b.lambda[0]) : gpu::RowScalar<A>(each.data());
  double* const to = out.data();
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::clip_m2_mix_with_gradient<T>(
        x.input(), y.input(), lambda, options,
        {to, gx.view(), gy.view(), gl.data(), to + 1, to + 2}, s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::clip_m2_mix<T>(x.input(), y.input(), lambda, options, to + 3, s, nullptr,
                                       how);
  });
  const auto v = out.values();
  CHECK((v[3] == v[0] || (std::isnan(v[3]) && std::isnan(v[0]))));
  return {v[0], v[1], v[2], gx.values(), gy.values(), gl.values()};
}

/// The formulas. The pullback is that of unit rows, however the rows were rounded.
Result wanted(const Batch& b, const ClipM2MixOptions& options) {
  const Real n = Real(b.n),
             weight = options.weight * (options.reduction == Reduction::sum ? 1 : .5);
  std::vector<double> lambda = b.lambda;
  lambda.resize(std::size_t(b.n), b.lambda[0]);
  const Reference one = contrastive(b.x, b.y, b.n, b.d, options.temperature, 0.5L / n, 0.5L / n);
  const MixReference two = m2_mix(b.x, b.y, lambda, b.n, b.d, options.mix_temperature, weight,
                                  options.negatives == Negatives::append);
  Result all{double(one.loss + two.loss),
             double(one.log_temperature),
             double(two.log_temperature),
             one.x,
             one.y,
             two.lambda};
  for (std::size_t k = 0; k < all.x.size(); ++k) all.x[k] += two.x[k], all.y[k] += two.y[k];
  if (b.lambda.size() == 1) {
    all.lambda = {0};
    for (const double v : two.lambda) all.lambda[0] += v;
  }
  return all;
}

void check(const Result& got, const Result& want, double tolerance) {
  CHECK(std::abs(got.loss - want.loss) <= tolerance * want.loss);
  CHECK(relative_error(got.x, want.x) <= tolerance);
  CHECK(relative_error(got.y, want.y) <= tolerance);
  CHECK(relative_error(got.lambda, want.lambda) <= 3 * tolerance);
  CHECK(std::abs(got.log_temperature - want.log_temperature) <=
        tolerance * (1 + std::abs(want.log_temperature)));
  CHECK(std::abs(got.log_mix_temperature - want.log_mix_temperature) <=
        tolerance * (1 + std::abs(want.log_mix_temperature)));
}

/// Exact, in several ranges.
const KernelProducts kSmall{Precision::exact, 64};

ClipM2MixOptions options() {
  ClipM2MixOptions o;
  o.temperature = 0.05;
  o.mix_temperature = 0.1;
  o.weight = 0.7;
  return o;
}

}  // namespace

TEST_CASE("clip_m2_mix: ragged sizes, ranges, types, one lambda and one a row, shared and not") {
  in_every_order([] {
    for (const Index n : {2, 7, 8, 9, 31, 33, 65, 130})
      for (const bool shared : {true, false}) {
        CAPTURE(n);
        CAPTURE(shared);
        ClipM2MixOptions o = options();
        o.shared = shared;
        const Batch b = batch<double>(n, n % 2 ? 3 : 17);
        check(run<double>(b, o, kSmall, Layout{3, 1}), wanted(b, o), 1e-9);
      }
    Batch b = batch<double>(90, 12);
    b.lambda = {0.3};
    ClipM2MixOptions o = options();
    o.reduction = Reduction::mean;
    o.weight = -0.2;
    check(run<double>(b, o, KernelProducts{}), wanted(b, o), 1e-9);
    o.negatives = Negatives::append;
    o.weight = 0.4;
    check(run<double>(b, o, KernelProducts{}), wanted(b, o), 1e-9);
    b = batch<float>(150, 40);
    o = options();
    check(run<float>(b, o, kSmall), wanted(b, o), 2e-5);
    for (const Index block : {0, 128})
      check(run<float>(b, o, KernelProducts{Precision::fast, block}, kLayouts[2]), wanted(b, o),
            1e-3);
    const KernelProducts fast{Precision::fast, 128};
    b = batch<gpu::Half>(140, 24);
    check(run<gpu::Half>(b, o, fast), wanted(b, o), 2e-3);
    b = batch<gpu::Bfloat16>(129, 24);
    check(run<gpu::Bfloat16>(b, o, fast), wanted(b, o), 1e-2);
  });
}

TEST_CASE("clip_m2_mix from shared tiles: rows far below their tile's largest logit lose nothing") {
  // Half of the pairs lie in one cone, the others nearly orthogonal to everything; tau = 0.004 puts
  // their logits 2^-300 apart.
  const Index n = 100, d = 40;
  Batch b = batch<double>(n, d);
  for (Index i = 0; i < n; ++i) {
    for (auto* m : {&b.x, &b.y}) {
      double sum = 0;
      for (Index k = 0; k < d; ++k) {
        double& v = (*m)[std::size_t(i * d + k)];
        if (i % 3) v = 0.05 * v + (k == 0);
        sum += v * v;
      }
      for (Index k = 0; k < d; ++k) (*m)[std::size_t(i * d + k)] /= std::sqrt(sum);
    }
  }
  ClipM2MixOptions o = options();
  o.temperature = 0.004;
  o.mix_temperature = 0.01;
  check(run<double>(b, o, kSmall), wanted(b, o), 1e-9);
  for (auto* m : {&b.x, &b.y})
    for (double& v : *m) v = stored<float>(v);
  check(run<float>(b, o, kSmall), wanted(b, o), 1e-4);
}

TEST_CASE("clip_m2_mix: lambda 0 and 1, equal and nearly equal rows, rows that are not unit") {
  Batch b = batch<double>(70, 8);
  b.lambda[3] = 0, b.lambda[4] = 1;
  for (Index k = 0; k < b.d; ++k) {
    b.y[std::size_t(5 * b.d + k)] = b.x[std::size_t(5 * b.d + k)];
    b.y[std::size_t(6 * b.d + k)] =
        b.x[std::size_t(6 * b.d + k)] + 1e-9 * b.y[std::size_t(6 * b.d + k)];
  }
  for (const double length : {1.0, 1.001}) {
    for (double& v : b.x) v *= length;
    ClipM2MixOptions o = options();
    const Result got = run<double>(b, o, kSmall);
    o.shared = false;
    const Result other = run<double>(b, o, kSmall);  // has a test of its own for each of these
    CHECK(std::abs(got.loss - other.loss) <= 1e-12 * other.loss);
    check(got, other, length == 1 ? 1e-9 : 2e-3);
    for (const double v : got.x) CHECK(std::isfinite(v));
  }
}

TEST_CASE("clip_m2_mix from shared tiles: what is undefined gives NaN") {
  for (const Precision precision : {Precision::fast, Precision::exact}) {
    const ClipM2MixOptions o = options();
    const KernelProducts how{precision};
    const Batch good = batch<float>(80, 16);
    REQUIRE(std::isfinite(run<float>(good, o, how).loss));
    Batch b = good;
    b.lambda[7] = 1.5;
    CHECK(std::isnan(run<float>(b, o, how).loss));
    b = good;
    for (Index k = 0; k < b.d; ++k) b.y[std::size_t(9 * b.d + k)] = -b.x[std::size_t(9 * b.d + k)];
    CHECK(std::isnan(run<float>(b, o, how).loss));
    for (const double bad : {std::nan(""), double(INFINITY)}) {
      b = good;
      b.x[std::size_t(70 * b.d + 3)] = bad;
      CHECK(!std::isfinite(run<float>(b, o, how).loss));
    }
  }
}

TEST_CASE("clip_m2_mix from shared tiles: one pair; the same bits from run to run") {
  const ClipM2MixOptions o = options();
  const KernelProducts how{Precision::fast, 128};
  const Result alone = run<float>(batch<float>(1, 12), o, how);
  CHECK(alone.loss == 0);
  for (const double v : alone.x) CHECK(v == 0);
  const Batch b = batch<float>(300, 16);
  const Result once = run<float>(b, o, how);
  for (int k = 0; k < 2; ++k) {
    const Result again = run<float>(b, o, how);
    CHECK(again.loss == once.loss);
    CHECK(again.x == once.x);
    CHECK(again.y == once.y);
    CHECK(again.lambda == once.lambda);
  }
}

TEST_CASE(
    "clip_m2_mix: scratch stays within 64 MiB + 16 N bytes, and 4 N D where rows are not fp16") {
  for (const bool shared : {true, false})
    for (const Index n : {1, 1000, 32768, 262144})
      for (const Index d : {64, 512, 4096}) {
        CAPTURE(n);
        CAPTURE(d);
        const std::size_t most = (std::size_t(64) << 20) + 16 * std::size_t(n);
        const auto needed = [&]<class T>(T) {
          const auto x = untouched<const T>(n, d);
          const auto gx = untouched<float>(n, d), gy = untouched<float>(n, d, 1);
          double number = 0;
          return counted([&](gpu::Scratch s) {
            return gpu::losses::clip_m2_mix_with_gradient<T>(
                x, x, 0.5f, {.shared = shared}, {&number, gx, gy, &number, &number, &number}, s);
          });
        };
        CHECK(needed(gpu::Half()) > 0);
        CHECK(needed(gpu::Half()) <= most);
        CHECK(needed(float()) <= most + 4 * std::size_t(n * d));
      }
}
