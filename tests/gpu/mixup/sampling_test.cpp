// Random draws on the device: the CPU's integers, the CPU's numbers to rounding, and the same in
// every order.
#include "support/gpu.hpp"

#include <algorithm>
#include <numeric>

#include "spheremix/gpu/mixup/sampling.cuh"
#include "spheremix/gpu/sphere/sampling.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

TEST_CASE("random partners: the order of the Philox keys, for every n from 0 to 70 and 3000") {
  std::vector<Index> lengths(71);
  std::iota(lengths.begin(), lengths.end(), Index(0));
  lengths.push_back(3000);
  for (const Index n : lengths) {
    CAPTURE(n);
    const Buffer<Index> partners(static_cast<std::size_t>(n)), flipped(static_cast<std::size_t>(n));
    in_every_order([&] {
      core::Philox rng(42, 7);
      with_scratch(
          [&](gpu::Scratch s) { return gpu::mixup::random_partners(rng, partners.data(), n, s); });
      CHECK(rng.step() == 8);
      std::vector<Index> want(static_cast<std::size_t>(n));
      std::iota(want.begin(), want.end(), Index(0));
      std::stable_sort(want.begin(), want.end(), [](Index a, Index b) {
        return math::permutation_key(42, 7, std::uint64_t(a)) <
               math::permutation_key(42, 7, std::uint64_t(b));
      });
      CHECK(partners.values() == want);
      finish(gpu::mixup::flip_partners(flipped.data(), n));
      const auto f = flipped.values();
      for (Index i = 0; i < n; ++i) CHECK(f[std::size_t(i)] == n - 1 - i);
    });
  }
}

TEST_CASE("beta: draw i is the CPU's draw of (seed, step, i) to a few ulp") {
  for (const double a : {0.1, 0.5, 1.0, 8.0}) {
    const Index n = 1000;
    const Buffer<double> lambda(1000);
    const Buffer<float> single(1000);
    in_every_order([&] {
      core::Philox rng(3, 0);
      finish(gpu::mixup::beta(a, 2.0, rng, lambda.data(), n));
      finish(gpu::mixup::beta(a, 2.0, rng, single.data(), n));
      const auto got = lambda.values();
      const auto small = single.values();
      for (Index i = 0; i < n; ++i) {
        core::PhiloxStream stream(3, 0, std::uint64_t(i)), next(3, 1, std::uint64_t(i));
        const double want = math::beta_draw(a, 2.0, stream);
        CHECK(std::abs(got[std::size_t(i)] - want) <= 1e-13 * std::max(want, 1e-300));
        const float want_small = float(math::beta_draw(a, 2.0, next));
        CHECK(std::abs(small[std::size_t(i)] - want_small) <= 1.2e-7f * want_small);
      }
    });
  }
}

template <class T>
void check_points() {
  for (const Index d : {1, 2, 7, 64, 129, 600, 2050})
    for (const Layout layout : kLayouts) {
      const Index n = 5;
      CAPTURE(d);
      std::vector<double> direction = unit_rows<double>(1, d, 12);
      using A = gpu::Arithmetic<T>;
      const Buffer<A> mean(std::vector<A>(direction.begin(), direction.end()));
      in_every_order([&] {
        const Rows<T> out(n, d, layout), around(n, d, layout);
        core::Philox rng(5, 2);
        finish(gpu::sphere::sample_uniform(rng, out.view()));
        finish(gpu::sphere::sample_von_mises_fisher<T>(mean.data(), 50.0, rng, around.view()));
        const auto got = out.values(), close = around.values();
        for (Index i = 0; i < n; ++i) {
          std::vector<double> z(std::size_t(d), 0.0);
          double squares = 0, length = 0, cosine = 0;
          for (Index j = 0; j < d; ++j) {
            core::PhiloxStream stream(
                5, 2, math::normal_item(std::uint64_t(i), std::uint64_t(d), std::uint64_t(j / 2)));
            const math::NormalPair pair = math::normal_pair(stream);
            z[std::size_t(j)] = j % 2 ? pair.y : pair.x;
            squares += z[std::size_t(j)] * z[std::size_t(j)];
            const double c = close[std::size_t(i * d + j)];
            length += c * c;
            cosine += c * direction[std::size_t(j)];
          }
          const double eps = sizeof(T) == 8 ? 2e-15 : sizeof(T) == 4 ? 1e-6 : 1e-2;
          for (Index j = 0; j < d; ++j)
            CHECK(std::abs(got[std::size_t(i * d + j)] - z[std::size_t(j)] / std::sqrt(squares)) <=
                  eps * std::max(1.0, double(d) / 64));
          core::PhiloxStream stream(5, 3, std::uint64_t(i));
          const math::MeanAngle angle = math::von_mises_fisher_angle(double(d), 50.0, stream);
          CHECK(std::abs(length - 1) <= 4 * eps * std::max(1.0, double(d) / 64));
          CHECK(std::abs(cosine - angle.cosine) <= 4 * eps * std::max(1.0, double(d) / 64));
        }
      });
    }
}

TEST_CASE(
    "uniform and von Mises-Fisher points: the CPU's streams, unit rows, the drawn angle to the "
    "mean") {
  SUBCASE("float") { check_points<float>(); }
  SUBCASE("double") { check_points<double>(); }
  SUBCASE("bf16") { check_points<gpu::Bfloat16>(); }
}

TEST_CASE("gather_rows: any partner map, any layout") {
  const Index n = 9, m = 5;
  for (const Index d : {3, 64, 700})
    for (const Layout layout : kLayouts) {
      const std::vector<double> x = unit_rows<float>(m, d, 6);
      const std::vector<Index> map{4, 4, 0, 1, 2, 3, 0, 0, 1};
      const Rows<float> from(m, d, x, layout), to(n, d, layout);
      const Buffer<Index> partners(map);
      in_every_order([&] {
        finish(gpu::mixup::gather_rows(from.view(), partners.data(), to.view()));
        const auto got = to.values();
        for (Index i = 0; i < n; ++i)
          for (Index j = 0; j < d; ++j)
            CHECK(got[std::size_t(i * d + j)] == x[std::size_t(map[std::size_t(i)] * d + j)]);
      });
    }
}

TEST_CASE("wrong arguments of the samplers") {
  core::Philox rng(1);
  const Buffer<float> out(4);
  const Buffer<Index> partners(4);
  const auto wrong = [](gpu::Status s) { CHECK(s.code == cudaErrorInvalidValue); };
  wrong(gpu::mixup::beta(0.0, 1.0, rng, out.data(), 4));
  wrong(gpu::mixup::beta(1.0, INFINITY, rng, out.data(), 4));
  wrong(gpu::mixup::random_partners(rng, partners.data(), 4, {}));
  wrong(gpu::sphere::sample_uniform(rng, core::MatrixView<float>{out.data(), 4, 0, 0}));
  wrong(gpu::sphere::sample_von_mises_fisher<float>(out.data(), -1.0, rng,
                                                    core::MatrixView<float>{out.data(), 2, 2, 2}));
}
