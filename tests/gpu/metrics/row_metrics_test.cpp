// Alignment, gap, centring, Frechet mean, retrieval and relative alignment on the device, against
// plain double loops.
#include "support/gpu.hpp"

#include <algorithm>

#include "gpu/sphere/row_reference.hpp"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/modality_gap.cuh"
#include "spheremix/gpu/metrics/retrieval.cuh"
#include "spheremix/gpu/sphere/frechet_mean.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

std::vector<Size> few_sizes() {
  std::vector<Size> s{{1, 3},   {2, 64},   {7, 33},   {70, 17}, {65, 129},
                      {9, 513}, {5, 1030}, {3, 2500}, {300, 8}};
#if defined(__CUDACC__)
  if (!std::getenv("SPHEREMIX_SMALL")) s.insert(s.end(), {{5000, 100}, {46341, 3}, {4097, 512}});
#endif
  return s;
}

/// `most`: columns at most in the emulator, for what visits them in short pieces of one length.
template <class Body>
void for_few(Body body, [[maybe_unused]] Index most = 2500) {
  for (const Size& size : few_sizes()) {
#if defined(SPHEREMIX_EMULATOR)
    if (size.cols > most) continue;
#endif
    for (const Layout& layout : {kLayouts[0], kLayouts[2]}) {
      CAPTURE(size.rows);
      CAPTURE(size.cols);
      CAPTURE(layout.offset);
      in_every_order([&] { body(size.rows, size.cols, layout); });
    }
  }
}

template <class T>
void check_alignment() {
  for_few([](Index n, Index d, Layout layout) {
    const std::vector<double> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
    const Rows<T> dx(n, d, x, layout), dy(n, d, y, layout), gx(n, d, layout), gy(n, d, layout);
    const Buffer<double> value(1), again(1);
    for (const double alpha : {2.0, 1.0, 3.5}) {
      with_scratch([&](gpu::Scratch s) {
        return gpu::metrics::alignment(dx.view(), dy.view(), {alpha}, value.data(), s);
      });
      with_scratch([&](gpu::Scratch s) {
        return gpu::metrics::alignment_with_gradient<T>(dx.view(), dy.view(), {alpha},
                                                        {again.data(), gx.view(), gy.view()}, s);
      });
      double want = 0;
      const auto hx = gx.values(), hy = gy.values();
      for (Index i = 0; i < n; ++i) {
        const Column diff = combine(1, row_of(x, d, i), -1, row_of(y, d, i));
        const Real r = std::sqrt(dot(diff, diff)),
                   c = alpha / Real(n) * std::pow(r, Real(alpha - 2));
        want += double(std::pow(r, Real(alpha)) / Real(n));
        CHECK(off(hx, d, i, combine(c, diff, 0, diff)) <= allowed<T>(4, double(c * r), 1));
        CHECK(off(hy, d, i, combine(-c, diff, 0, diff)) <= allowed<T>(4, double(c * r), 1));
      }
      CHECK(std::abs(value.values()[0] - want) <= 1e-14 * std::max(1.0, double(n) / 64) * want);
      CHECK(value.values()[0] == again.values()[0]);
    }
  });
}

template <class T>
void check_gap() {
  for_few([](Index n, Index d, Layout layout) {
    const Index m = n + 3;
    const std::vector<double> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(m, d, 2);
    const Rows<T> dx(n, d, x, layout), dy(m, d, y, layout), centred(n, d, layout);
    const Buffer<double> gap(1), vector(std::size_t(d) + 0), mean(std::size_t(d) + 0);
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::modality_gap(dx.view(), dy.view(), gap.data(), vector.data(), s);
    });
    with_scratch(
        [&](gpu::Scratch s) { return gpu::metrics::column_means(dx.view(), mean.data(), s); });
    finish(gpu::metrics::center_rows(dx.view(), mean.data(), centred.view()));
    std::vector<double> mean_x(std::size_t(d), 0.0), want(std::size_t(d), 0.0);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < d; ++j) mean_x[std::size_t(j)] += x[std::size_t(i * d + j)] / double(n);
    want = mean_x;
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < d; ++j) want[std::size_t(j)] -= y[std::size_t(i * d + j)] / double(m);
    double squares = 0;
    const auto got = vector.values();
    for (Index j = 0; j < d; ++j) {
      CHECK(std::abs(got[std::size_t(j)] - want[std::size_t(j)]) <= 1e-14);
      squares += want[std::size_t(j)] * want[std::size_t(j)];
    }
    CHECK(std::abs(gap.values()[0] - std::sqrt(squares)) <= 1e-14);
    const auto c = centred.values();
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < d; ++j)
        CHECK(std::abs(c[std::size_t(i * d + j)] -
                       (x[std::size_t(i * d + j)] - mean_x[std::size_t(j)])) <=
              storage_eps<T> + 1e-15);
  });
}

template <class T>
void check_frechet() {
  for_few([](Index n, Index d, Layout layout) {
    if (n > 100 || d == 64 || d == 513 || d == 2500) return;
    std::vector<double> x = unit_rows<T>(n, d, 3);
    for (Index i = 0; i < n; ++i) {  // a cone around e_0
      Column row = row_of(x, d, i);
      row[0] += 2;
      row = unit(row);
      for (Index j = 0; j < d; ++j)
        x[std::size_t(i * d + j)] = stored<T>(double(row[std::size_t(j)]));
    }
    std::vector<double> w(static_cast<std::size_t>(n));
    for (Index i = 0; i < n; ++i) w[std::size_t(i)] = double(1 + i % 3) - (i % 3 == 2 ? 3.0 : 0.0);
    for (const bool weighted : {false, true}) {
      using A = gpu::Arithmetic<T>;
      const Rows<T> dx(n, d, x, layout);
      const Buffer<double> weights(w);
      const Buffer<A> mean(std::size_t(d) + 0);
      const Buffer<gpu::sphere::FrechetMeanReport> report(1);
      const double tolerance = sizeof(A) == 4 ? 2e-6 : 1e-14;
      with_scratch([&](gpu::Scratch s) {
        return gpu::sphere::frechet_mean(dx.view(), weighted ? weights.data() : nullptr,
                                         {tolerance, 25}, mean.data(), report.data(), s);
      });
      const auto found = report.values()[0];
      const auto got = mean.values();
      CHECK(found.done == 1);
      CHECK(found.residual <= tolerance);
      // the defining property, in long double: sum w log_m(x) = 0
      const Column m(got.begin(), got.end());
      CHECK(std::abs(double(dot(m, m)) - 1) < 1e-6);
      Column sum(std::size_t(d), 0);
      Real total = 0;
      for (Index i = 0; i < n; ++i) {
        const Real wi = weighted ? Real(w[std::size_t(i)]) : Real(1);
        total += wi;
        const Column row = unit(row_of(x, d, i)), mu = unit(m);
        const Real theta = angle(mu, row);
        if (theta > 1e-12L) sum = combine(1, sum, wi * theta, unit(tangent_part(mu, row)));
      }
      CHECK(std::sqrt(double(dot(sum, sum))) / double(total) <=
            4 * tolerance + 3e-7 * double(sizeof(A) == 4));
    }
  });
}

template <class T>
void check_ranks() {
  for_few(
      [](Index n, Index d, Layout layout) {
        if (n > 5000) return;
        const Index m = n + 5;
        std::vector<double> x = unit_rows<T>(n, d, 4), y = unit_rows<T>(m, d, 5);
        for (Index i = 0; i < n;
             ++i)  // answers somewhat like their queries; row 1's answer appears twice
          for (Index j = 0; j < d; ++j)
            y[std::size_t(i * d + j)] =
                stored<T>(0.3 * x[std::size_t(i * d + j)] + 0.7 * y[std::size_t(i * d + j)]);
        if (n > 1)
          for (Index j = 0; j < d; ++j) y[std::size_t((m - 1) * d + j)] = y[std::size_t(d + j)];
        std::vector<Column> xs, ys;
        for (Index i = 0; i < n; ++i) xs.push_back(row_of(x, d, i));
        for (Index j = 0; j < m; ++j) ys.push_back(row_of(y, d, j));
        const Rows<T> dx(n, d, x, layout), dy(m, d, y, layout);
        const Buffer<int> ranks(std::size_t(n) + 0);
        const Buffer<gpu::metrics::Retrieval> summary(1);
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::retrieval_ranks(dx.view(), dy.view(), ranks.data(), s);
        });
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::retrieval(dx.view(), dy.view(), {{1, 3, 20}}, summary.data(), s);
        });
        const auto got = ranks.values();
        std::vector<int> sorted = got;
        std::sort(sorted.begin(), sorted.end());
        double recall[3] = {0, 0, 0}, mrr = 0;
        for (Index i = 0; i < n; ++i) {
          const Column& q = xs[std::size_t(i)];
          const Real own = dot(q, ys[std::size_t(i)]),
                     slack = Real(arithmetic_eps<T>) * std::max<Real>(8, Real(d) / 8);
          int least = 1,
              most = 1;  // scores within rounding of the answer's may fall on either side
          for (Index j = 0; j < m; ++j) {
            if (j == i) continue;
            const Real s = dot(q, ys[std::size_t(j)]);
            const bool same = n > 1 && i == 1 && j == m - 1;
            least += same || s >= own + slack;
            most += same || s >= own - slack;
          }
          const int r = got[std::size_t(i)];
          CHECK((least <= r && r <= most));
          recall[0] += r <= 1;
          recall[1] += r <= 3;
          recall[2] += r <= 20;
          mrr += 1.0 / r;
        }
        const auto all = summary.values()[0];
        for (int c = 0; c < 3; ++c) CHECK(std::abs(all.recall[c] - recall[c] / double(n)) < 1e-14);
        CHECK(std::abs(all.mrr - mrr / double(n)) < 1e-14);
        CHECK(all.median_rank ==
              (sorted[std::size_t((n - 1) / 2)] + sorted[std::size_t(n / 2)]) / 2.0);
        if (n < 2) return;
        const Buffer<double> value(1);
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::relative_alignment(dx.view(), dy.view().middle_rows(0, n),
                                                  value.data(), s);
        });
        double want = 0;
        for (Index i = 0; i < n; ++i) {
          Real own = 0, nearest = INFINITY;
          for (Index j = 0; j < n; ++j) {
            Real squares = 0;
            for (std::size_t k = 0; k < std::size_t(d); ++k)
              squares += std::pow(xs[std::size_t(i)][k] - ys[std::size_t(j)][k], 2);
            if (j == i)
              own = squares;
            else
              nearest = std::min(nearest, squares);
          }
          want += double(own - nearest) / double(n);
        }
        CHECK(std::abs(value.values()[0] - want) <=
              16 * arithmetic_eps<T> * std::max(1.0, double(d) / 16));
      },
      129);
}

}  // namespace

#define SPHEREMIX_FOR_TYPES(check)        \
  SUBCASE("float") { check<float>(); }    \
  SUBCASE("double") { check<double>(); }  \
  SUBCASE("fp16") { check<gpu::Half>(); } \
  SUBCASE("bf16") { check<gpu::Bfloat16>(); }

TEST_CASE("alignment and its gradient"){
    SPHEREMIX_FOR_TYPES(check_alignment)} TEST_CASE("modality gap, column means, centring"){
    SPHEREMIX_FOR_TYPES(
        check_gap)} TEST_CASE("Frechet mean: the logarithms at the mean sum to zero"){
    SPHEREMIX_FOR_TYPES(
        check_frechet)} TEST_CASE("retrieval ranks, their summary, relative alignment"){
    SPHEREMIX_FOR_TYPES(check_ranks)}

TEST_CASE("collapsed embeddings: every candidate ties, every rank is the last") {
  const Index n = 130;
  const Rows<float> x(n, 24, std::vector<double>(std::size_t(n * 24), 0.2));
  const Buffer<int> ranks(130);
  in_every_order([&] {
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::retrieval_ranks(x.view(), x.view(), ranks.data(), s);
    });
    for (int r : ranks.values()) CHECK(r == 130);
  });
}

TEST_CASE(
    "NaN: a NaN pair makes the alignment NaN, a NaN query ranks last, a NaN candidate counts "
    "against all") {
  const Index n = 70, d = 20;
  std::vector<double> x = unit_rows<float>(n, d, 1);
  const std::vector<double> clean = x;
  x[std::size_t(3 * d)] = NAN;
  const Rows<float> bad(n, d, x), good(n, d, clean), gx(n, d), gy(n, d);
  const Buffer<int> ranks(70);
  const Buffer<double> value(1);
  in_every_order([&] {
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::retrieval_ranks(bad.view(), good.view(), ranks.data(), s);
    });
    CHECK(ranks.values()[3] == 70);
    CHECK(ranks.values()[4] == 1);
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::retrieval_ranks(good.view(), bad.view(), ranks.data(), s);
    });
    CHECK(ranks.values()[4] == 2);
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::alignment_with_gradient<float>(bad.view(), good.view(), {},
                                                          {value.data(), gx.view(), gy.view()}, s);
    });
    CHECK(std::isnan(value.values()[0]));
    const auto g = gx.values();
    for (Index k = 0; k < n * d; ++k) CHECK(std::isnan(g[std::size_t(k)]) == (k == 3 * d));
  });
}

TEST_CASE("wrong arguments of metrics: statuses, also for a scratch that is too small") {
  const Rows<float> x(4, 8, unit_rows<float>(4, 8, 1)), y(3, 8, unit_rows<float>(3, 8, 2));
  const core::MatrixView<float> none{nullptr, 0, 8, 8};
  const Buffer<char> scratch(1 << 16);
  const Buffer<double> value(1);
  const Buffer<int> ranks(4);
  const auto wrong = [](gpu::Status s) { CHECK(s.code == cudaErrorInvalidValue); };
  wrong(gpu::metrics::alignment(x.view(), y.view(), {}, value.data(), scratch.scratch()));
  wrong(gpu::metrics::alignment(none, none, {}, value.data(), scratch.scratch()));
  wrong(gpu::metrics::alignment(x.view(), x.view(), {0.0}, value.data(), scratch.scratch()));
  wrong(gpu::metrics::alignment(x.view(), x.view(), {}, value.data(), {scratch.data(), 8}));
  wrong(gpu::metrics::modality_gap(none, x.view(), value.data(), nullptr, scratch.scratch()));
  wrong(
      gpu::metrics::modality_gap(x.view(), x.view(), value.data(), nullptr, {scratch.data(), 64}));
  wrong(gpu::metrics::retrieval_ranks(x.view(), y.view(), ranks.data(), scratch.scratch()));
  wrong(gpu::metrics::retrieval_ranks(x.view(), x.view(), ranks.data(), {scratch.data(), 16}));
  wrong(gpu::metrics::relative_alignment(x.view(), y.view(), value.data(), scratch.scratch()));
}
