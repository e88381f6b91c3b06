// Hubness on the device, with numbers whose products are exact in f32, so that ties are ties: the
// counts must be those of a plain sort, and of the CPU library.
#include "support/gpu.hpp"

#include <algorithm>
#include <numeric>

#include "spheremix/gpu/metrics/hubness.cuh"
#if !defined(__CUDACC__)
#include "spheremix/metrics/hubness.hpp"
#endif

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

/// Small integers: products of any length used here are exact, and many are equal.
std::vector<double> coarse(Index rows, Index cols, int most, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<double> x(std::size_t(rows * cols));
  for (double& v : x) v = double(int(engine() % unsigned(2 * most + 1)) - most);
  return x;
}

template <class T>
void check_hubness() {
  struct Case {
    Index n, m, d, k;
    int most;
  };
  std::vector<Case> cases{{1, 1, 3, 1, 2},   {5, 9, 2, 3, 1},       {70, 70, 5, 10, 3},
                          {3, 600, 2, 7, 1}, {65, 130, 17, 129, 2}, {4, 1100, 1, 301, 1},
                          {130, 4, 1, 4, 3}};
#if defined(__CUDACC__)
  if (!std::getenv("SPHEREMIX_SMALL")) cases.push_back({3000, 5000, 64, 10, 3});
#endif
  for (const Case& c : cases)
    for (const Layout& layout : {kLayouts[0], kLayouts[2]}) {
      const std::vector<double> x = coarse(c.n, c.d, c.most, 1), y = coarse(c.m, c.d, c.most, 2);
      const Rows<T> dx(c.n, c.d, x, layout), dy(c.m, c.d, y, layout);
      for (const bool within : {false, true}) {
        if (within && (c.k > c.n - 1)) continue;
        const Index m = within ? c.n : c.m;
        const std::vector<double>& other = within ? x : y;
        std::vector<int> want(static_cast<std::size_t>(m));
        for (Index i = 0; i < c.n; ++i) {
          std::vector<double> score(std::size_t(m), 0.0);
          std::vector<Index> order;
          for (Index j = 0; j < m; ++j) {
            for (Index q = 0; q < c.d; ++q)
              score[std::size_t(j)] +=
                  x[std::size_t(i * c.d + q)] * other[std::size_t(j * c.d + q)];
            if (!within || j != i) order.push_back(j);
          }
          std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
            return score[std::size_t(a)] > score[std::size_t(b)];
          });
          for (Index q = 0; q < c.k; ++q) ++want[std::size_t(order[std::size_t(q)])];
        }
        const Buffer<int> counts(std::size_t(m) + 0);
        const Buffer<double> skewness(1);
        in_every_order([&] {
          CAPTURE(c.n);
          CAPTURE(m);
          CAPTURE(c.k);
          CAPTURE(within);
          with_scratch([&](gpu::Scratch s) {
            return within ? gpu::metrics::hubness(dx.view(), {c.k},
                                                  {counts.data(), skewness.data()}, s)
                          : gpu::metrics::hubness(dx.view(), dy.view(), {c.k},
                                                  {counts.data(), skewness.data()}, s);
          });
          CHECK(counts.values() == want);
          double second = 0, third = 0;
          for (const int o : want) {
            const double away = double(o) - double(c.n) * double(c.k) / double(m);
            second += away * away / double(m);
            third += away * away * away / double(m);
          }
          const double expected = second > 0 ? third / std::pow(second, 1.5) : 0;
          CHECK(std::abs(skewness.values()[0] - expected) <= 1e-12 * (1 + std::abs(expected)));
#if !defined(__CUDACC__)
          using Host = RowMatrix<double>;
          const Host hx = Eigen::Map<const Host>(x.data(), c.n, c.d),
                     hy = Eigen::Map<const Host>(y.data(), c.m, c.d);
          const metrics::HubnessResult cpu =
              within ? metrics::hubness(hx, {c.k}) : metrics::hubness(hx, hy, {c.k});
          CHECK(std::equal(cpu.occurrences.begin(), cpu.occurrences.end(), want.begin()));
          CHECK(std::abs(skewness.values()[0] - cpu.skewness) <= 1e-12 * (1 + std::abs(expected)));
#endif
        });
      }
    }
}

}  // namespace

TEST_CASE(
    "hubness: counts equal to a sort's, ties to the lower row, and the CPU library's skewness") {
  SUBCASE("float") { check_hubness<float>(); }
  SUBCASE("double") { check_hubness<double>(); }
  SUBCASE("fp16") { check_hubness<gpu::Half>(); }
}

TEST_CASE("hubness in several strips; NaN belongs to nobody and shows in the skewness") {
  const Index n = 130, m = 70, d = 3;
  std::vector<double> x = coarse(n, d, 2, 5), y = coarse(m, d, 2, 6);
  y[std::size_t(7 * d)] = NAN;
  x[std::size_t(2 * d)] = NAN;
  const Rows<float> dx(n, d, x), dy(m, d, y);
  const Buffer<char> scratch(1 << 17);
  const Buffer<int> counts(std::size_t(m) + 0);
  const Buffer<double> skewness(1);
  in_every_order([&] {
    finish(gpu::metrics::hubness(dx.view(), dy.view(), {4}, {counts.data(), skewness.data()},
                                 scratch.scratch()));
    const auto got = counts.values();
    CHECK(got[7] == 0);
    CHECK(std::accumulate(got.begin(), got.end(), 0) == 4 * (n - 1));  // the NaN query has none
    CHECK(std::isnan(skewness.values()[0]));
    for (const bool within : {false, true}) {
      const Index others = within ? n : m;
      const auto rows = within ? dx.input() : dy.input();
      const Buffer<int> whole(std::size_t(others) + 0), pieces(std::size_t(others) + 0);
      for (const auto* to : {&whole, &pieces})  // one strip of 192 queries, then 64 at a time
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::detail::hubness<float>(dx.view(), rows, 4, within,
                                                      to == &whole ? 192 : 64,
                                                      {to->data(), skewness.data()}, s, {});
        });
      CHECK(whole.values() == pieces.values());
    }
  });
  CHECK(gpu::metrics::detail::hub_strip<float>(1 << 20, 1 << 20) == 64);
  CHECK(gpu::metrics::detail::hub_strip<float>(1 << 20, 1 << 16) == 256);
  CHECK(gpu::metrics::detail::hub_strip<float>(100, 100) == 128);
  const auto wrong = [](gpu::Status s) { CHECK(s.code == cudaErrorInvalidValue); };
  wrong(gpu::metrics::hubness(dx.view(), dy.view(), {0}, {counts.data(), skewness.data()},
                              scratch.scratch()));
  wrong(gpu::metrics::hubness(dx.view(), dy.view(), {m + 1}, {counts.data(), skewness.data()},
                              scratch.scratch()));
  wrong(gpu::metrics::hubness(dx.view(), {n}, {counts.data(), skewness.data()}, scratch.scratch()));
  wrong(gpu::metrics::hubness(dx.view(), dy.view(), {3}, {counts.data(), skewness.data()},
                              {scratch.data(), 512}));
}
