// NT-Xent, SigLIP, HCL, DCL and align-uniform against slow references.
#include "spheremix/losses/align_uniform.hpp"
#include "spheremix/losses/decoupled_contrastive.hpp"
#include "spheremix/losses/hard_negative.hpp"
#include "spheremix/losses/nt_xent.hpp"
#include "spheremix/losses/siglip.hpp"
#include "support/many_inputs.hpp"
#include "support/threads.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

LongMatrix stack(const LongBatches& in) {
  LongMatrix z(2 * in[0].rows(), in[0].cols());
  z << in[0], in[1];
  return z;
}

LongReal nt_xent_oracle(const LongBatches& in, LongReal tau) {
  const LongMatrix z = stack(in);
  const Index n = in[0].rows(), m = 2 * n;
  LongReal loss = 0;
  for (Index i = 0; i < m; ++i) {
    LongReal below = 0;
    for (Index j = 0; j < m; ++j)
      if (j != i) below += std::exp(z.row(i).dot(z.row(j)) / tau);
    loss += std::log(below) - z.row(i).dot(z.row((i + n) % m)) / tau;
  }
  return loss / LongReal(m);
}

LongReal siglip_oracle(const LongBatches& in, LongReal tau, LongReal bias) {
  LongReal loss = 0;
  const Index n = in[0].rows();
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      const LongReal u = (i == j ? -1 : 1) * (in[0].row(i).dot(in[1].row(j)) / tau + bias);
      loss += std::max<LongReal>(u, 0) + std::log1p(std::exp(-std::abs(u)));
    }
  return loss / LongReal(n);
}

LongReal hard_oracle(const LongBatches& in, LongReal tau, const HardNegativeOptions& o) {
  const LongMatrix z = stack(in);
  const Index n = in[0].rows(), m = 2 * n;
  const LongReal count = LongReal(m - 2), beta = o.beta, plus = o.tau_plus;
  LongReal loss = 0;
  for (Index i = 0; i < m; ++i) {
    const LongReal positive = std::exp(z.row(i).dot(z.row((i + n) % m)) / tau);
    LongReal hard = 0, weights = 0;
    for (Index j = 0; j < m; ++j) {
      if (j == i || j == (i + n) % m) continue;
      const LongReal e = std::exp(z.row(i).dot(z.row(j)) / tau);
      hard += std::pow(e, beta) * e;
      weights += std::pow(e, beta);
    }
    const LongReal value = (count * hard / weights - plus * count * positive) / (1 - plus);
    loss += std::log(1 + std::max(value, count * std::exp(-1 / tau)) / positive);
  }
  return loss / LongReal(m);
}

LongReal dcl_oracle(const LongBatches& in, LongReal tau, LongReal sigma) {
  const LongMatrix z = stack(in);
  const Index n = in[0].rows(), m = 2 * n;
  LongReal all = 0;
  for (Index i = 0; i < n; ++i) all += std::exp(in[0].row(i).dot(in[1].row(i)) / sigma);
  LongReal loss = 0;
  for (Index i = 0; i < m; ++i) {
    const LongReal c = z.row(i).dot(z.row((i + n) % m));
    LongReal below = 0;
    for (Index j = 0; j < m; ++j)
      if (j != i && j != (i + n) % m) below += std::exp(z.row(i).dot(z.row(j)) / tau);
    const LongReal w = sigma > 0 ? 2 - LongReal(n) * std::exp(c / sigma) / all : 1;
    loss += std::log(below) - w * c / tau;
  }
  return loss / LongReal(m);
}

template <class T>
double within(double tau) {
  return sizeof(T) == 8 ? 2e-10 / tau : 64 * double(core::epsilon<T>) / tau;
}

}  // namespace

TEST_CASE_TEMPLATE("losses of two views equal their references with gradients", T, float, double) {
  for (const double tau : {1.0, 0.2})
    for (const auto& shape : {std::pair<Index, Index>{2, 3}, {6, 4}, {5, 1}}) {
      const Index n = shape.first, d = shape.second;  // clang++ 14 captures no structured bindings
      CAPTURE(n);
      CAPTURE(tau);
      const RowMatrix<T> x = unit_rows<T>(n, d, 3);
      const RowMatrix<T> y = d > 1 ? rows_at_angle<T>(x, 0.9L, 4) : unit_rows<T>(n, d, 5);
      const LongBatches in = widened(x, y);
      const double close = within<T>(tau);
      const auto check = [&](const char* name, const auto& got, double value,
                             const std::function<LongReal(const LongBatches&, LongReal)>& f) {
        check_loss_of_batches(
            name, [&](const LongBatches& b) { return f(b, LongReal(tau)); }, in, got.loss,
            widened(got.x, got.y), close);
        check_slope_of_log(
            name, [&](LongReal t) { return f(in, t); }, tau, got.log_temperature, close);
        CHECK(value == got.loss);
      };
      check("nt_xent", nt_xent_with_gradient(x, y, {.temperature = tau}),
            nt_xent(x, y, {.temperature = tau}), nt_xent_oracle);
      for (const double bias : {0.0, -2.0}) {
        const SiglipOptions o{.temperature = tau, .bias = bias};
        const auto got = siglip_with_gradient(x, y, o);
        check("siglip", got, siglip(x, y, o), [&](const LongBatches& b, LongReal t) {
          return siglip_oracle(b, t, LongReal(bias));
        });
        const LongReal slope_of_bias =
            slope([&](LongReal h) { return siglip_oracle(in, LongReal(tau), LongReal(bias) + h); });
        CHECK(std::abs(got.bias - double(slope_of_bias)) <=
              close * std::max(1.0, std::abs(double(slope_of_bias))));
      }
      for (const double beta : {0.0, 1.0, 0.5})
        for (const double plus : {0.0, 0.1, 0.6}) {
          const HardNegativeOptions o{.temperature = tau, .beta = beta, .tau_plus = plus};
          CAPTURE(beta);
          CAPTURE(plus);
          // In one dimension with tau_plus the corrected sum may sit exactly on its floor.
          if (d == 1 && plus > 0) continue;
          check("hard_negative", hard_negative_with_gradient(x, y, o), hard_negative(x, y, o),
                [&](const LongBatches& b, LongReal t) { return hard_oracle(b, t, o); });
        }
      for (const bool weighted : {false, true}) {
        const DecoupledContrastiveOptions o{
            .temperature = tau,
            .sigma = 0.5,
            .weighting = weighted ? DclWeighting::von_mises_fisher : DclWeighting::none};
        check("dcl", decoupled_contrastive_with_gradient(x, y, o), decoupled_contrastive(x, y, o),
              [&](const LongBatches& b, LongReal t) {
                return dcl_oracle(b, t, weighted ? 0.5L : 0.0L);
              });
      }
    }
}

TEST_CASE_TEMPLATE("losses of two views: identities", T, float, double) {
  const Index n = 50;
  const RowMatrix<T> x = unit_rows<T>(n, 8, 3), y = rows_at_angle<T>(x, 0.5L, 4);
  const double eps = 64 * double(core::epsilon<T>);
  // beta = tau_plus = 0: NT-Xent.
  const auto nt = nt_xent_with_gradient(x, y, {.temperature = 0.3});
  const auto hcl =
      hard_negative_with_gradient(x, y, {.temperature = 0.3, .beta = 0, .tau_plus = 0});
  CHECK(relative_error(hcl.loss, nt.loss) < eps);
  CHECK(matrix_error(hcl.x, nt.x) < eps);
  // DCL is NT-Xent with the positive taken out of the denominator, so it lies below; both views may
  // change places.
  const double dcl = decoupled_contrastive(x, y, {.temperature = 0.3});
  CHECK(dcl < nt.loss);
  CHECK(relative_error(decoupled_contrastive(y, x, {.temperature = 0.3}), dcl) < eps);
  CHECK(relative_error(nt_xent(y, x, {.temperature = 0.3}), nt.loss) < eps);
  // One pair: nothing to tell apart.
  const RowMatrix<T> a = x.topRows(1), b = y.topRows(1);
  CHECK(nt_xent(a, b) == 0);
  const auto single = hard_negative_with_gradient(a, b);
  CHECK(single.loss == 0);
  CHECK(single.x.isZero(0));
  CHECK_THROWS_AS((void)decoupled_contrastive(a, b), std::invalid_argument);
  // Zero scale of the cosines is not needed to see SigLIP's: orthogonal pairs have n log 2 at bias
  // 0.
  RowMatrix<T> e = RowMatrix<T>::Zero(3, 6), f = e;
  e.leftCols(3).setIdentity();
  f.rightCols(3).setIdentity();
  CHECK(relative_error(siglip(e, f, {.bias = 0}), 3 * std::log(2.0)) < eps);
  // Extreme logits stay finite, and small terms keep their size.
  CHECK(std::isfinite(siglip(x, y, {.temperature = 1e-3, .bias = 700})));
  CHECK(relative_error(siglip(e, f, {.bias = -80}), (80 + 2 * std::exp(-80.0))) < eps);
  const RowMatrix<T> minus = -x;
  CHECK(relative_error(double(siglip_with_gradient(e, f, {.bias = -60}).bias),
                       -1 + 3 * std::exp(-60.0)) < eps);
  for (const double tau : {0.01, 0.001}) {
    CHECK(std::isfinite(nt_xent_with_gradient(x, minus, {.temperature = tau}).loss));
    const HardNegativeOptions o{.temperature = tau};
    const auto h = hard_negative_with_gradient(x, minus, o);
    CHECK(relative_error(h.loss, hard_oracle(widened(x, minus), LongReal(tau), o)) < eps);
    CHECK(h.x.allFinite());
    CHECK(std::isfinite(decoupled_contrastive_with_gradient(x, minus, {.temperature = tau}).loss));
  }
}

TEST_CASE_TEMPLATE("decoupled_contrastive: weights of a sigma as small as you like", T, float,
                   double) {
  // Three equal pairs are the largest: q is 1/3 each, every other pair's is 0.
  RowMatrix<T> x = RowMatrix<T>::Constant(5, 3, T(0.2));
  x.bottomRows(2).setConstant(T(0.05));
  const auto of = [&](double sigma) {
    return decoupled_contrastive_with_gradient(
        x, x, {.temperature = 0.5, .sigma = sigma, .weighting = DclWeighting::von_mises_fisher});
  };
  const auto want = of(1e-3);
  CHECK(want.x.allFinite());
  for (const double sigma : {1e-12, 1e-20, 1e-310, 5e-324}) {
    const auto got = of(sigma);
    CHECK(got.loss == want.loss);
    CHECK(got.x == want.x);
    CHECK(got.log_temperature == want.log_temperature);
  }
}

TEST_CASE("losses of two views: strips and threads give one result, errors, NaN") {
  const Index n = 600;
  const RowMatrix<float> x = unit_rows<float>(n, 40, 3), y = rows_at_angle<float>(x, 0.5L, 4);
  const auto run = [&](std::size_t budget) {
    std::vector<std::pair<double, RowMatrix<float>>> all;
    const auto put = [&](const auto& g) { all.push_back({g.loss, g.x}), all.push_back({0, g.y}); };
    put(nt_xent_with_gradient(x, y, {.memory_budget = budget}));
    put(siglip_with_gradient(x, y, {.memory_budget = budget}));
    put(hard_negative_with_gradient(x, y, {.memory_budget = budget}));
    put(decoupled_contrastive_with_gradient(x, y, {.memory_budget = budget}));
    return all;
  };
  const auto wide = run(std::size_t(1) << 30), narrow = run(std::size_t(12) << 20);
#if defined(_OPENMP)
  const Threads keep(omp_get_max_threads());  // its number comes back at the end
  omp_set_num_threads(1);
  const auto one = run(std::size_t(1) << 30);
  omp_set_num_threads(3);
  const auto three = run(std::size_t(1) << 30);
#else
  const auto one = wide, three = wide;
#endif
  for (std::size_t k = 0; k < wide.size(); ++k) {
    CAPTURE(k);
    CHECK(one[k].first == three[k].first);
    CHECK(same_bits(one[k].second, three[k].second));
    CHECK(same_bits(wide[k].second, one[k].second));
    CHECK(relative_error(wide[k].first, narrow[k].first) < 1e-6);
    CHECK(matrix_error(wide[k].second, narrow[k].second) < 1e-5);
  }
  CHECK_THROWS_AS((void)siglip(x, y.topRows(3)), std::invalid_argument);
  CHECK_THROWS_AS((void)nt_xent(x, y, {.temperature = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)nt_xent(x, y, {.memory_budget = 1000}), std::invalid_argument);
  CHECK_THROWS_AS((void)hard_negative(x, y, {.tau_plus = 1}), std::invalid_argument);
  CHECK_THROWS_AS((void)hard_negative(x, y, {.beta = -1}), std::invalid_argument);
  CHECK_THROWS_AS((void)siglip(x, y, {.bias = core::nan<double>}), std::invalid_argument);
  RowMatrix<float> bad = x;
  bad(7, 3) = core::nan<float>;
  CHECK(std::isnan(nt_xent(bad, y)));
  CHECK(std::isnan(siglip(bad, y)));
  CHECK(std::isnan(siglip_with_gradient(bad, y).bias));
  CHECK(std::isnan(hard_negative(bad, y)));
  CHECK(std::isnan(decoupled_contrastive(bad, y)));
}

TEST_CASE_TEMPLATE("align_uniform is the sum of its parts, with gradients", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(7, 4, 3), y = rows_at_angle<T>(x, 0.9L, 4);
  const AlignUniformOptions o{.alpha = 2, .t = 1.5, .align_weight = 0.7, .uniform_weight = 0.4};
  const auto got = align_uniform_with_gradient(x, y, o);
  check_loss_of_batches(
      "align_uniform",
      [&](const LongBatches& in) {
        LongReal loss = 0.7L * (in[0] - in[1]).rowwise().squaredNorm().mean();
        for (const auto& z : in) {
          LongReal sum = 0;
          for (Index i = 0; i < 7; ++i)
            for (Index j = 0; j < i; ++j)
              sum += std::exp(-1.5L * (z.row(i) - z.row(j)).squaredNorm());
          loss += 0.2L * std::log(sum / 21);
        }
        return loss;
      },
      widened(x, y), got.loss, widened(got.x, got.y), sizeof(T) == 8 ? 1e-10 : 1e-5);
  CHECK(relative_error(align_uniform(x, y, o), got.loss) < 1e-6);
  CHECK_THROWS_AS((void)align_uniform(x, y, {.align_weight = -1}), std::invalid_argument);
}
