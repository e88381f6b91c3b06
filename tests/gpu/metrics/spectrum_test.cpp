// The spectrum on the device against the CPU library in double, from exact eigenvalues where they
// are known, and where nothing is defined.
#include "support/gpu.hpp"

#include "gpu/sphere/row_reference.hpp"
#include "spheremix/gpu/metrics/spectrum.cuh"
#if !defined(__CUDACC__)
#include "spheremix/metrics/spectrum.hpp"
#endif

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

/// Eigenvalues of the d x d matrix with 2 on the diagonal and -1 beside it.
double second_difference(Index k, Index d) {
  return 2 - 2 * std::cos(double(k + 1) * core::pi<double> / double(d + 1));
}

}  // namespace

TEST_CASE("eigenvalues: the second difference matrix, turned by a reflection, and a diagonal one") {
  for (const Index d : {1, 2, 3, 5, 33, 70}) {
    std::vector<double> turned(std::size_t(d * d)), diagonal(std::size_t(d * d)),
        u = unit_rows<double>(1, d, 4);
    const auto entry = [](Index i, Index j) {
      return i == j ? 2.0 : std::abs(i - j) == 1 ? -1.0 : 0.0;
    };
    for (Index i = 0; i < d; ++i)
      for (Index j = 0; j < d; ++j) {  // H A H, H = I - 2 u u^T
        double left = 0, right = 0, both = 0;
        for (Index k = 0; k < d; ++k) {
          left += u[std::size_t(k)] * entry(k, j);
          right += entry(i, k) * u[std::size_t(k)];
          for (Index l = 0; l < d; ++l) both += u[std::size_t(k)] * entry(k, l) * u[std::size_t(l)];
        }
        turned[std::size_t(i * d + j)] = entry(i, j) - 2 * u[std::size_t(i)] * left -
                                         2 * right * u[std::size_t(j)] +
                                         4 * u[std::size_t(i)] * both * u[std::size_t(j)];
        diagonal[std::size_t(i * d + j)] = i == j ? double(d - i) - 3 : 0.0;
      }
    in_every_order([&] {
      const Buffer<double> a(turned), b(diagonal), values(std::size_t(d) + 0);
      with_scratch([&](gpu::Scratch s) {
        return gpu::enqueue(s, nullptr, [&](gpu::Work& work) {
          gpu::metrics::detail::eigenvalues(work, a.data(), d, values.data());
        });
      });
      CAPTURE(d);
      auto got = values.values();
      for (Index k = 0; k < d; ++k)
        CHECK(std::abs(got[std::size_t(k)] - second_difference(k, d)) <= 4e-16 * double(d + 4) * 4);
      with_scratch([&](gpu::Scratch s) {
        return gpu::enqueue(s, nullptr, [&](gpu::Work& work) {
          gpu::metrics::detail::eigenvalues(work, b.data(), d, values.data());
        });
      });
      got = values.values();
      for (Index k = 0; k < d; ++k)
        CHECK(std::abs(got[std::size_t(k)] - (double(k) - 2)) <= 1e-15 * double(d + 2));
    });
  }
}

namespace {

template <class T>
void check_spectrum() {
  std::vector<Size> sizes{{2, 2}, {3, 5}, {70, 17}, {40, 65}, {200, 8}};
#if defined(__CUDACC__)
  if (!std::getenv("SPHEREMIX_SMALL")) sizes.insert(sizes.end(), {{5000, 129}, {700, 512}});
#endif
  for (const Size& size : sizes)
    for (const Layout& layout : {kLayouts[0], kLayouts[2]}) {
      if (layout.offset > 0 && size.cols > 20) continue;
      const Index n = size.rows, d = size.cols, count = std::min(n, d);
      std::vector<double> x = unit_rows<T>(n, d, 3);
      for (Index i = 0; i < n; ++i)  // an anisotropic batch
        for (Index j = 0; j < d; ++j)
          x[std::size_t(i * d + j)] =
              stored<T>(x[std::size_t(i * d + j)] / double(1 + j) + (j == 1 ? 0.25 : 0.0));
      const Rows<T> on_device(n, d, x, layout);
      Column all(std::size_t(d), 0);  // sum over i != j of cosines = |sum of unit rows|^2 - n
      for (Index i = 0; i < n; ++i) all = combine(1, all, 1, unit(row_of(x, d, i)));
      const double along = double((dot(all, all) - Real(n)) / (Real(n) * Real(n - 1)));
      in_every_order([&] {
        CAPTURE(n);
        CAPTURE(d);
        for (const bool centred : {false, true}) {
          const Buffer<double> sigma(std::size_t(count) + 0), value(1);
          with_scratch([&](gpu::Scratch s) {
            return gpu::metrics::singular_values(on_device.view(), {centred}, sigma.data(), s);
          });
          with_scratch([&](gpu::Scratch s) {
            return gpu::metrics::effective_rank(on_device.view(), {1e-7, centred}, value.data(), s);
          });
          const auto got = sigma.values();
          double squares = 0, trace = 0, sum = 0, entropy = 0;
          std::vector<double> mean(std::size_t(d), 0.0);
          for (std::size_t k = 0; k < x.size(); ++k)
            if (centred) mean[k % std::size_t(d)] += x[k] / double(n);
          for (std::size_t k = 0; k < x.size(); ++k)
            trace += std::pow(x[k] - mean[k % std::size_t(d)], 2);
          for (std::size_t k = 0; k < got.size(); ++k) {
            CHECK((k == 0 || got[k] <= got[k - 1]));
            squares += got[k] * got[k];
            sum += got[k];
          }
          CHECK(std::abs(squares - trace) <= 1e-13 * trace);
          for (const double s : got) {
            const double p = s / sum + 1e-7;
            entropy -= p * std::log(p);
          }
          CHECK(std::abs(value.values()[0] - std::exp(entropy)) <= 1e-12 * std::exp(entropy));
#if !defined(__CUDACC__)
          const RowMatrix<double> host = Eigen::Map<const RowMatrix<double>>(x.data(), n, d);
          const std::vector<double> want = metrics::singular_values(host, {centred});
          for (std::size_t k = 0; k < got.size(); ++k)
            CHECK(std::abs(got[k] * got[k] - want[k] * want[k]) <=
                  1e-15 * double(d + 8) * want[0] * want[0]);
#endif
        }
        const Buffer<double> even(1), cosine(1);
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::isotropy(on_device.view(), even.data(), s);
        });
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::anisotropy(on_device.view(), cosine.data(), s);
        });
        CHECK(std::abs(cosine.values()[0] - along) <= 8 * arithmetic_eps<T> * double(n));
#if !defined(__CUDACC__)
        const RowMatrix<double> host = Eigen::Map<const RowMatrix<double>>(x.data(), n, d);
        CHECK(std::abs(even.values()[0] - metrics::isotropy(host)) <= 1e-12);
#endif
      });
    }
}

}  // namespace

TEST_CASE("singular values, effective rank, isotropy, anisotropy against the CPU in double") {
  SUBCASE("float") { check_spectrum<float>(); }
  SUBCASE("double") { check_spectrum<double>(); }
  SUBCASE("bf16") { check_spectrum<gpu::Bfloat16>(); }
}

TEST_CASE("second moments: several stretches of rows add up in their order") {
  const Index n = 1030, d = 70;
  CHECK(gpu::metrics::detail::gram_stretches(n, d) > 1);
  const std::vector<double> x = gaussian(n, d, 9);
  const Rows<double> rows(n, d, x);
  in_every_order([&] {
    const Buffer<double> gram(std::size_t(d * d));
    with_scratch([&](gpu::Scratch s) {
      return gpu::enqueue(s, nullptr, [&](gpu::Work& work) {
        gpu::metrics::detail::second_moments<double>(work, rows.view(), nullptr, gram.data());
      });
    });
    const auto got = gram.values();
    for (const Index i : {0, 5, 63, 64, 69})
      for (Index j = 0; j < d; ++j) {
        Real want = 0;
        for (Index r = 0; r < n; ++r)
          want += Real(x[std::size_t(r * d + i)]) * Real(x[std::size_t(r * d + j)]);
        CHECK(std::abs(double(Real(got[std::size_t(i * d + j)]) - want)) < 1e-12 * double(n) / 8);
        CHECK(got[std::size_t(i * d + j)] == got[std::size_t(j * d + i)]);
      }
  });
}

TEST_CASE("spectrum: one dimension, equal variances, zeros, NaN, too small a scratch") {
  const Index n = 8, d = 4;
  std::vector<double> line(32), even(32), zeros(32), bad = unit_rows<double>(n, d, 2);
  for (Index i = 0; i < n; ++i) {
    line[std::size_t(i * d + 2)] = i % 2 ? 1.0 : -1.0;
    even[std::size_t(i * d + i / 2)] = i % 2 ? 1.0 : -1.0;
  }
  bad[5] = NAN;
  const Rows<double> a(n, d, line), b(n, d, even), c(n, d, zeros), e(n, d, bad);
  const Buffer<char> scratch(1 << 20);
  const Buffer<double> value(1), sigma(4);
  in_every_order([&] {
    const auto rank = [&](const Rows<double>& x) {
      finish(gpu::metrics::effective_rank(x.view(), {}, value.data(), scratch.scratch()));
      return value.values()[0];
    };
    const auto isotropy = [&](const Rows<double>& x) {
      finish(gpu::metrics::isotropy(x.view(), value.data(), scratch.scratch()));
      return value.values()[0];
    };
    CHECK(std::abs(rank(a) - 1) < 1e-12);
    CHECK(std::abs(rank(b) - 4) < 1e-12);
    CHECK(std::abs(isotropy(a)) < 1e-12);
    CHECK(std::abs(isotropy(b) - 1) < 1e-12);
    for (const Rows<double>* x : {&c, &e}) {
      CHECK(std::isnan(rank(*x)));
      CHECK(std::isnan(isotropy(*x)));
    }
    finish(gpu::metrics::singular_values(e.view(), {}, sigma.data(), scratch.scratch()));
    for (const double s : sigma.values()) CHECK(std::isnan(s));
    finish(gpu::metrics::anisotropy(e.view(), value.data(), scratch.scratch()));
    CHECK(std::isnan(value.values()[0]));
  });
  const auto wrong = [](gpu::Status s) { CHECK(s.code == cudaErrorInvalidValue); };
  wrong(gpu::metrics::effective_rank(a.view(), {}, value.data(), {scratch.data(), 64}));
  wrong(gpu::metrics::effective_rank(a.view(), {-1.0, false}, value.data(), scratch.scratch()));
  wrong(gpu::metrics::singular_values(a.view(), {}, nullptr, scratch.scratch()));
  wrong(gpu::metrics::isotropy(a.view().middle_rows(0, 1), value.data(), scratch.scratch()));
  wrong(gpu::metrics::anisotropy(a.view().middle_rows(0, 1), value.data(), scratch.scratch()));
}

TEST_CASE_TEMPLATE("spectrum: equal rows have none, whatever their number", T, double, float) {
  const Buffer<char> scratch(1 << 20);
  const Buffer<double> value(1);
  for (const double away : {0.0, 1000.0 / 3}) {  // rows far from the origin, too
    auto row = unit_rows<T>(1, 3, 2);
    for (double& v : row) v = double(T(v + away));
    for (const Index n : {2, 3, 5, 6, 7, 11, 33}) {
      std::vector<double> rows;
      for (Index i = 0; i < n; ++i) rows.insert(rows.end(), row.begin(), row.end());
      const Rows<T> x(n, 3, rows);
      finish(gpu::metrics::effective_rank(x.view(), {0, true}, value.data(), scratch.scratch()));
      CHECK(std::isnan(value.values()[0]));
      finish(gpu::metrics::isotropy(x.view(), value.data(), scratch.scratch()));
      CHECK(std::isnan(value.values()[0]));
    }
  }
}
