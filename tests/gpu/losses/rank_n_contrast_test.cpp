// rank_n_contrast on the device against its definition in long double.
#include "support/gpu.hpp"

#include "row_reference.hpp"
#include "spheremix/gpu/losses/rank_n_contrast.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;

/// Labels in whole steps.
Reference defined(const std::vector<double>& x, const std::vector<int>& labels, Index n, Index d,
                  Real tau, bool cosine) {
  const auto row = [&](Index i, Index k) { return Real(x[std::size_t(i * d + k)]); };
  const std::size_t size(static_cast<std::size_t>(n));
  Reference out;
  std::vector<Real> dx(std::size_t(n * d));
  for (std::size_t i = 0; i < size; ++i) {
    const auto away = [&](std::size_t j) { return std::abs(labels[i] - labels[j]); };
    std::vector<Real> length(size), z(size), g(size);
    for (std::size_t j = 0; j < size; ++j) {
      for (Index k = 0; k < d; ++k)
        length[j] += cosine ? row(Index(i), k) * row(Index(j), k)
                            : std::pow(row(Index(i), k) - row(Index(j), k), 2);
      if (!cosine) length[j] = std::sqrt(length[j]);
      z[j] = (cosine ? length[j] : -length[j]) / tau;
    }
    for (std::size_t j = 0; j < size; ++j) {
      if (j == i) continue;
      Real sum = 0;
      for (std::size_t k = 0; k < size; ++k)
        if (k != i && away(k) >= away(j)) sum += std::exp(z[k] - z[j]);
      const Real each = 1 / Real(n * (n - 1));
      out.loss += each * std::log(sum);
      for (std::size_t k = 0; k < size; ++k)
        if (k != i && away(k) >= away(j)) g[k] += each * std::exp(z[k] - z[j]) / sum;
      g[j] -= each;
    }
    for (std::size_t j = 0; j < size; ++j) {
      if (j == i) continue;
      out.log_temperature -= g[j] * z[j];
      for (Index k = 0; k < d; ++k) {
        const Real a = row(Index(i), k), b = row(Index(j), k), h = g[j] / tau;
        const auto at = [&](std::size_t r) { return r * std::size_t(d) + std::size_t(k); };
        dx[at(i)] += cosine ? h * b : length[j] > 0 ? -h * (a - b) / length[j] : 0;
        dx[at(j)] += cosine ? h * a : length[j] > 0 ? h * (a - b) / length[j] : 0;
      }
    }
  }
  out.x.assign(dx.begin(), dx.end());
  return out;
}

template <class T>
void check(Index n, Index d, double temperature, device::RankSimilarity similarity,
           double tolerance, Layout layout = {}) {
  CAPTURE(n);
  CAPTURE(d);
  auto x = unit_rows<T>(n, d, 1);
  for (Index k = 0; n > 3 && k < d; ++k)  // equal rows, and near ones
    x[std::size_t(2 * d + k)] = x[std::size_t(k)],
                          x[std::size_t(3 * d + k)] = stored<T>(x[std::size_t(d + k)] * 1.01);
  std::vector<int> labels;
  std::vector<double> tenths;
  for (Index i = 0; i < n; ++i) {
    labels.push_back(int((7 * i) % 11));
    tenths.push_back(labels.back() / 10.0);
  }
  const Reference want =
      defined(x, labels, n, d, temperature, similarity == device::RankSimilarity::cosine);
  const device::RankNContrastOptions o{.temperature = temperature, .similarity = similarity};
  const Rows<T> dx(n, d, x, layout);
  const Rows<gpu::Arithmetic<T>> gx(n, d, layout);
  const Buffer<double> numbers(3), fractions(tenths);
  const Buffer<int> whole(labels);
  const Buffer<Index> skipped(1);
  const gpu::pairwise::KernelProducts how{gpu::Precision::exact, n == 130 ? 48 : 0};  // strips
  with_scratch([&](gpu::Scratch s) {
    return device::rank_n_contrast_with_gradient<T>(
        dx.input(), whole.data(), o,
        {numbers.data(), gx.view(), numbers.data() + 1, skipped.data()}, s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::rank_n_contrast<T>(dx.input(), fractions.data(), o, numbers.data() + 2, s,
                                      nullptr, how);
  });
  const auto got = numbers.values();
  CHECK(std::abs(got[0] - double(want.loss)) <= tolerance * std::max(1.0, double(want.loss)));
  CHECK(got[2] == got[0]);  // the same labels in steps of .1, whose distances are rounded
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(std::abs(got[1] - double(want.log_temperature)) <=
        tolerance * std::max(1.0, std::abs(double(want.log_temperature))));
  CHECK(skipped.values()[0] == (n == 1));
}

}  // namespace

TEST_CASE("rank_n_contrast is its definition at ragged sizes, equal and near rows among them") {
  using device::RankSimilarity;
  in_every_order([] {
    for (const Index n : {1, 2, 9, 130})
      for (const auto similarity : {RankSimilarity::negative_distance, RankSimilarity::cosine})
        check<double>(n, 5, n == 9 ? 0.05 : 2, similarity, 1e-10);
    check<float>(70, 20, 0.5, RankSimilarity::negative_distance, 2e-5, kLayouts[2]);
    check<gpu::Bfloat16>(40, 9, 2, RankSimilarity::cosine, 2e-5);
  });
}

TEST_CASE("rank_n_contrast: rows so short that their products underflow") {
  auto x = unit_rows<float>(9, 5, 1);
  for (double& v : x) v = std::ldexp(v, -80);
  const Rows<float> narrow(9, 5, x), g(9, 5);
  const Rows<double> wide(9, 5, x), want(9, 5);
  const Buffer<int> labels(std::vector<int>{3, 1, 4, 1, 5, 9, 2, 6, 5});
  const Buffer<double> numbers(4);
  double* const to = numbers.data();
  with_scratch([&](gpu::Scratch s) {
    return device::rank_n_contrast_with_gradient<float>(narrow.input(), labels.data(), {},
                                                        {to, g.view(), to + 1, nullptr}, s);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::rank_n_contrast_with_gradient<double>(wide.input(), labels.data(), {},
                                                         {to + 2, want.view(), to + 3, nullptr}, s);
  });
  const auto got = numbers.values();
  CHECK(std::abs(got[1] - got[3]) <= 1e-5 * std::abs(got[3]));
  CHECK(relative_error(g.values(), want.values()) <= 1e-5);
}

TEST_CASE("rank_n_contrast: strips, the memory promised, a bad label, what is refused") {
  for (const Index rows : {1, 1000, 65536}) {
    const auto many = untouched<const float>(rows, 64);
    const auto gx = untouched<float>(rows, 64);
    const int label = 0;
    double number = 0;
    CHECK(counted([&](gpu::Scratch s) {
            return device::rank_n_contrast_with_gradient<float>(many, &label, {},
                                                                {&number, gx, &number, nullptr}, s);
          }) <= std::max(std::size_t(33) << 20, std::size_t(64 * 44 * rows)) +
                    std::size_t(rows) * (16 * 64 + 96) + 8192);
  }
  const Rows<float> x(4, 3, unit_rows<float>(4, 3, 1));
  const Buffer<double> loss(1), bad(std::vector<double>{1, 2, std::nan(""), 3});
  with_scratch([&](gpu::Scratch s) {
    return device::rank_n_contrast<float>(x.input(), bad.data(), {}, loss.data(), s);
  });
  CHECK(std::isnan(loss.values()[0]));
  const auto refused = [&](const device::RankNContrastOptions& o) {
    return !device::rank_n_contrast<float>(x.input(), bad.data(), o, loss.data(), {}).ok();
  };
  CHECK(refused({.temperature = 0}));
  CHECK(refused({.label_tolerance = -1}));
}
