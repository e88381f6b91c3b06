// Calibration and average precision on the device: against plain loops, and the CPU library in the
// emulator.
#include "support/gpu.hpp"

#include <algorithm>

#include "spheremix/gpu/metrics/average_precision.cuh"
#include "spheremix/gpu/metrics/calibration.cuh"
#if !defined(__CUDACC__)
#include "spheremix/metrics/average_precision.hpp"
#include "spheremix/metrics/calibration.hpp"
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::metrics;

/// Small integers: products are exact in f32, and many are equal.
std::vector<double> coarse(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<double> x(std::size_t(rows * cols));
  for (double& v : x) v = double(int(engine() % 7) - 3);
  return x;
}

/// By its definition: relevant rows one by one, the others of an equal product before them.
double precision_of(const std::vector<double>& x, const std::vector<double>& y, Index n, Index m,
                    Index d, const std::vector<std::int64_t>& label_x,
                    const std::vector<std::int64_t>& label_y, bool within, Index& skipped) {
  long double sum = 0;
  skipped = 0;
  for (Index i = 0; i < n; ++i) {
    std::vector<std::pair<double, bool>> list;  // product, relevant
    Index all = 0;
    for (Index j = 0; j < m; ++j) {
      if (within && j == i) continue;
      double s = 0;
      for (Index k = 0; k < d; ++k) s += x[std::size_t(i * d + k)] * y[std::size_t(j * d + k)];
      list.push_back({s, label_y[std::size_t(j)] == label_x[std::size_t(i)]});
      all += list.back().second;
    }
    if (all == 0) {
      ++skipped;
      continue;
    }
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    long double own = 0;
    Index found = 0;
    for (std::size_t r = 0; r < list.size(); ++r)
      if (list[r].second) own += (long double)(++found) / (long double)(r + 1);
    sum += own / (long double)(all);
  }
  return n > skipped ? double(sum / (long double)(n - skipped)) : 0;
}

template <class T>
void check_precision() {
  struct Case {
    Index n, m, d;
    int classes;
  };
  for (const Case& c : {Case{1, 1, 3, 1}, Case{5, 9, 2, 3}, Case{70, 70, 5, 4}, Case{3, 600, 2, 2},
                        Case{65, 130, 17, 40}, Case{66, 40, 1, 100}})
    for (const Layout& layout : {kLayouts[0], kLayouts[2]}) {
      const auto x = coarse(c.n, c.d, 1), y = coarse(c.m, c.d, 2);
      std::vector<std::int64_t> label_x, label_y;  // apart from each other only above 2^53
      for (Index i = 0; i < c.n; ++i)
        label_x.push_back((std::int64_t(1) << 60) + (i * 7 + 3) % c.classes);
      for (Index j = 0; j < c.m; ++j)
        label_y.push_back((std::int64_t(1) << 60) + (j * 5 + 1) % c.classes);
      const Rows<T> dx(c.n, c.d, x, layout), dy(c.m, c.d, y, layout);
      const Buffer<std::int64_t> lx(label_x), ly(label_y);
      for (const bool within : {false, true}) {
        Index skipped = 0;
        const double want =
            within ? precision_of(x, x, c.n, c.n, c.d, label_x, label_x, true, skipped)
                   : precision_of(x, y, c.n, c.m, c.d, label_x, label_y, false, skipped);
        const Buffer<double> value(1);
        const Buffer<Index> left_out(1);
        in_every_order([&] {
          CAPTURE(c.n);
          CAPTURE(c.m);
          CAPTURE(within);
          with_scratch([&](gpu::Scratch s) {
            const device::AveragePrecision out{value.data(), left_out.data()};
            return within ? device::mean_average_precision(dx.view(), lx.data(), out, s)
                          : device::mean_average_precision(dx.view(), dy.view(), lx.data(),
                                                           ly.data(), out, s);
          });
          CHECK(std::abs(value.values()[0] - want) <= 1e-14);
          CHECK(left_out.values()[0] == skipped);
        });
#if !defined(__CUDACC__)
        using Host = RowMatrix<double>;
        const Host hx = Eigen::Map<const Host>(x.data(), c.n, c.d),
                   hy = Eigen::Map<const Host>(y.data(), c.m, c.d);
        const auto cpu = within ? metrics::mean_average_precision(hx, label_x)
                                : metrics::mean_average_precision(hx, hy, label_x, label_y);
        CHECK(std::abs(cpu.value - want) <= 1e-14);
        CHECK(cpu.skipped == skipped);
#endif
      }
    }
}

}  // namespace

TEST_CASE(
    "mean_average_precision: ties count against, queries without a relevant row are left out") {
  check_precision<float>();
  check_precision<double>();
  check_precision<gpu::Half>();
}

TEST_CASE("mean_average_precision: strips of queries give the same") {
  const Index n = 150, d = 6;
  const auto x = coarse(n, d, 3);
  std::vector<int> labels;
  for (Index i = 0; i < n; ++i) labels.push_back(int(i * i % 11));
  const Rows<float> rows(n, d, x);
  const Buffer<int> label(labels);
  const Buffer<double> value(2);
  for (const Index strip : {64, 192})
    with_scratch([&](gpu::Scratch s) {
      return device::detail::average_precision<float>(
          rows.input(), rows.input(), label.data(), label.data(), true, strip,
          {value.data() + (strip > 64), nullptr}, s, nullptr);
    });
  CHECK(value.values()[0] > 0.05);
  CHECK(value.values()[0] == value.values()[1]);
}

TEST_CASE("mean_average_precision: what is not finite, and what is refused") {
  auto x = coarse(6, 3, 4);
  const std::vector<double> labels{0, INFINITY, std::nan(""), 0, INFINITY, std::nan("")};
  const Rows<double> good(6, 3, x);
  x[4] = INFINITY;
  const Rows<double> bad(6, 3, x);
  const Buffer<double> label(labels), value(1);
  const Buffer<Index> skipped(1);
  const auto run = [&](const Rows<double>& rows) {
    with_scratch([&](gpu::Scratch s) {
      return device::mean_average_precision(rows.view(), label.data(),
                                            {value.data(), skipped.data()}, s);
    });
    return value.values()[0];
  };
  CHECK(run(good) > 0);
  CHECK(skipped.values()[0] == 2);  // NaN equals nothing
  CHECK(std::isnan(run(bad)));
  const Buffer<char> memory(1 << 16);
  const Rows<double> narrow(6, 2);
  CHECK(!device::mean_average_precision(good.view(), narrow.view(), label.data(), label.data(),
                                        {value.data()}, memory.scratch())
             .ok());
  CHECK(!device::mean_average_precision(good.view(), label.data(), {}, memory.scratch()).ok());
  const double* const none = nullptr;
  CHECK(!device::mean_average_precision(good.view(), none, {value.data()}, memory.scratch()).ok());
}

TEST_CASE_TEMPLATE("calibration: bins and error by their definition, edges in the lower bin", T,
                   float, double) {
  for (const Index n : {1, 300, 70000})
    for (const Index bins : {1, 10, 15, 300}) {
      if (n > 300 && bins > 15) continue;
      std::mt19937 engine(unsigned(n + bins));
      std::vector<T> stated;
      std::vector<unsigned char> right;
      for (Index i = 0; i < n; ++i) {
        const auto part = Index(engine() % unsigned(bins + 1));
        // Edges of bins, and draws in between.
        stated.push_back(i % 2 ? T(double(part) / double(bins))
                               : T(double(engine()) / 4294967296.0));
        right.push_back((unsigned char)(engine() % 3));
      }
      struct Bin {
        Index count = 0, right = 0;
        long double sum = 0;
      };
      std::vector<Bin> want(static_cast<std::size_t>(bins));
      for (std::size_t i = 0; i < stated.size(); ++i) {
        std::size_t b = 0;  // the first bin whose upper edge is not below
        while (stated[i] > T(double(b + 1) / double(bins))) ++b;
        ++want[b].count;
        want[b].right += right[i] != 0;
        want[b].sum += (long double)(stated[i]);
      }
      long double error = 0;
      for (const Bin& b : want)
        error += std::abs((long double)(b.right) - b.sum) / (long double)(n);
      const Buffer<T> p(stated);
      const Buffer<unsigned char> c(right);
      const Buffer<device::CalibrationBin> out(std::size_t(bins) + 0);
      const Buffer<double> value(1);
      in_every_order([&] {
        CAPTURE(n);
        CAPTURE(bins);
        with_scratch([&](gpu::Scratch s) {
          return device::calibration_bins(p.data(), c.data(), n, {bins}, out.data(), s);
        });
        with_scratch([&](gpu::Scratch s) {
          return device::expected_calibration_error(p.data(), c.data(), n, {bins}, value.data(), s);
        });
        const auto got = out.values();
        for (std::size_t b = 0; b < want.size(); ++b) {
          const double count = double(std::max<Index>(1, want[b].count));
          CHECK(got[b].count == want[b].count);
          CHECK(std::abs(got[b].accuracy - double(want[b].right) / count) <= 1e-15);
          CHECK(std::abs(got[b].confidence - double(want[b].sum) / count) <= 1e-14);
        }
        CHECK(std::abs(value.values()[0] - double(error)) <= 1e-13);
      });
#if !defined(__CUDACC__)
      const Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>> host(stated.data(), n);
      const Eigen::Map<const Eigen::Array<unsigned char, Eigen::Dynamic, 1>> host_right(
          right.data(), n);
      CHECK(std::abs(metrics::expected_calibration_error(host, host_right, {bins}) -
                     value.values()[0]) <= 1e-13);
#endif
    }
}

TEST_CASE("calibration: a confidence outside [0, 1] gives NaN, wrong sizes a status") {
  const Buffer<double> value(1);
  for (const double wrong : {-0.1, 1.1, std::nan("")}) {
    const Buffer<double> p(std::vector<double>{0.95, wrong, 0.9}), c(std::vector<double>{1, 1, 0});
    with_scratch([&](gpu::Scratch s) {
      return device::expected_calibration_error(p.data(), c.data(), 3, {}, value.data(), s);
    });
    CHECK(std::isnan(value.values()[0]));
  }
  const Buffer<char> memory(1 << 16);
  const auto runs = [&](Index n, Index bins, double* to) {
    return device::expected_calibration_error(value.data(), value.data(), n, {bins}, to,
                                              memory.scratch())
        .ok();
  };
  const Buffer<double> to(1);
  CHECK(runs(1, 1, to.data()));
  CHECK(!runs(0, 1, to.data()));
  CHECK(!runs(1, 0, to.data()));
  CHECK(!runs(1, 1, nullptr));
}
