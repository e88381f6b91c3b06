// clip_bf16 and info_nce_bf16: to f32's digits against long double on rounded rows, within the
// error of the rounding against long double on the rows themselves.
#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "spheremix/losses/clip_bf16.hpp"
#include "spheremix/losses/info_nce_bf16.hpp"
#include "support/loss_oracle.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

using Rows = RowMatrix<float>;
using Gradient = losses::ContrastiveGradient<Rows>;

Gradient run(bool both, const Rows& x, const Rows& y, double tau,
             std::size_t budget = std::size_t(1) << 30) {
  const double value =
      both ? losses::clip_bf16(x, y, {.temperature = tau, .memory_budget = budget})
           : losses::info_nce_bf16(x, y, {.temperature = tau, .memory_budget = budget});
  Gradient g =
      both ? losses::clip_bf16_with_gradient(x, y, {.temperature = tau, .memory_budget = budget})
           : losses::info_nce_bf16_with_gradient(x, y,
                                                 {.temperature = tau, .memory_budget = budget});
  CHECK((value == g.loss || (value != value && g.loss != g.loss)));
  return g;
}

LongMatrix rounded(const Rows& x) {
  return x.unaryExpr([](float v) { return pairwise::round_to_bf16(v); }).cast<LongReal>();
}

/// The loss and its weights of a table of cosines, from the formulas.
struct Exact {
  LongReal loss, log_temperature;
  LongMatrix g, positive;  ///< dL/dS, and the same without the -1 of the pairs that belong together

  Exact(const LongMatrix& s, LongReal tau, bool both)
      : positive(LongMatrix::Zero(s.rows(), s.cols())) {
    const Index n = s.rows();
    const LongMatrix own = LongMatrix::Identity(n, n);
    const LongReal weight = (both ? 0.5L : 1.0L) / (LongReal(n) * tau);
    loss = soft_cross_entropy(s / tau, own);
    if (both) loss = (loss + soft_cross_entropy(s.transpose() / tau, own)) / 2;
    for (Index i = 0; i < n; ++i) {
      const auto row = (s.row(i).array() / tau - s.row(i).maxCoeff() / tau).exp().eval();
      positive.row(i).array() += weight * row / row.sum();
      const auto col = (s.col(i).array() / tau - s.col(i).maxCoeff() / tau).exp().eval();
      if (both) positive.col(i).array() += weight * col / col.sum();
    }
    g = positive - (both ? 2 : 1) * weight * own;
    log_temperature = -(g.cwiseProduct(s)).sum();
  }
};

/// Largest |got - want| / bound.
double in_bounds(const Rows& got, const LongMatrix& want, const LongMatrix& bound) {
  return double(((got.cast<LongReal>() - want).array().abs() / bound.array()).maxCoeff());
}

struct Pairs {
  Rows x, y;
  explicit Pairs(Index n, Index d, float apart = 1) {
    x = unit_rows<float>(n, d, 1);
    y = x + apart * unit_rows<float>(n, d, 2);
    y.rowwise().normalize();
  }
};

}  // namespace

TEST_CASE("bf16 losses: f32's digits on rounded rows, weights rounded in the gradients alone") {
  for (const bool both : {true, false})
    for (const Index n : {2, 3, 97})
      for (const double tau : {0.07, 0.01}) {
        const Index d = 37;
        CAPTURE(both);
        CAPTURE(n);
        CAPTURE(tau);
        const Pairs p(n, d);
        const LongMatrix x = rounded(p.x), y = rounded(p.y);
        const Exact exact(x * y.transpose(), LongReal(tau), both);
        const Gradient got = run(both, p.x, p.y, tau);
        const double eps = double(core::epsilon<float>), logit = 1.02 / tau;
        CHECK(std::abs(got.loss - double(exact.loss)) <= 8 * eps * logit);
        CHECK(std::abs(got.log_temperature - double(exact.log_temperature)) <=
              8 * eps * logit * logit);
        // |bf16(g) - g| <= 2^-8 |g|; f32's errors are 8 eps of the largest logit on p itself
        const LongMatrix off = 0x1p-8L * exact.g.cwiseAbs() +
                               LongReal(16 * eps * logit) * (exact.positive + exact.g.cwiseAbs());
        const LongMatrix g = exact.g;
        CHECK(in_bounds(got.x, g * y, off * y.cwiseAbs()) <= 1);
        CHECK(in_bounds(got.y, g.transpose() * x, off.transpose() * x.cwiseAbs()) <= 1);
        // With the weights rounded here the rest is f32's error, and the few weights so near a tie
        // that it turned them.
        const LongMatrix coarse = rounded(g.cast<float>());
        CHECK(gradient_error(got.x, coarse * y) <= 0x1p-11);
        CHECK(gradient_error(got.y, coarse.transpose() * x) <= 0x1p-11);
      }
}

TEST_CASE("bf16 losses: within the error of the rounding of the rows' own loss and gradients") {
  for (const bool both : {true, false})
    for (const double tau : {0.07, 0.03}) {
      CAPTURE(both);
      CAPTURE(tau);
      const Index n = 90, d = 64;
      const Pairs p(n, d);
      const LongMatrix x = p.x.cast<LongReal>(), y = p.y.cast<LongReal>();
      const LongMatrix s = x * y.transpose();
      const Exact exact(s, LongReal(tau), both);
      const Gradient got = run(both, p.x, p.y, tau);
      // A cosine is off by the rounding of each term, a weight by e^(twice the largest of them / tau).
      const LongReal unit = 0x1p-7L + 0x1p-16L;
      const LongReal error = unit * (x.cwiseAbs() * y.cwiseAbs().transpose()).maxCoeff();
      CHECK(std::abs(got.loss - double(exact.loss)) <= double(2 * error / LongReal(tau)));
      const LongMatrix off = std::expm1(2 * error / LongReal(tau)) * exact.positive +
                             unit * (exact.positive + exact.g.cwiseAbs());
      CHECK(in_bounds(got.x, exact.g * y, off * y.cwiseAbs()) <= 1.01);
      CHECK(in_bounds(got.y, exact.g.transpose() * x, off.transpose() * x.cwiseAbs()) <= 1.01);
      // Errors of random signs: a cosine's is 2^-8 sqrt(2 / (3 d)) of the mean square of uniform
      // roundings at most, e; a weight's e / tau, and 2^-8 / sqrt(3) of each rounding. Twice that.
      const double one = 0x1p-8 / std::sqrt(3.0), e = one * std::sqrt(2.0 / double(d)) / tau;
      const double allowed = 2 * std::sqrt(2 * one * one + e * e);
      const LongMatrix dx = exact.g * y, dy = exact.g.transpose() * x;
      CHECK(gradient_error(got.x, dx) <= allowed);
      CHECK(gradient_error(got.y, dy) <= allowed);
      CHECK(gradient_error(got.x, dx) > 1e-5);  // it is bf16
      const auto cosine = [](const Rows& a, const LongMatrix& b) {
        return double(a.cast<LongReal>().cwiseProduct(b).sum() /
                      (a.cast<LongReal>().norm() * b.norm()));
      };
      CHECK(cosine(got.x, dx) >= std::sqrt(1 - allowed * allowed));
      CHECK(cosine(got.y, dy) >= std::sqrt(1 - allowed * allowed));
    }
}

TEST_CASE("bf16 losses: a saturated loss keeps its digits") {
  const Index n = 40, d = 48;
  const Pairs p(n, d, 0.1f);
  const LongMatrix x = rounded(p.x), y = rounded(p.y);
  const Exact exact(x * y.transpose(), 0.02L, true);
  const Gradient got = run(true, p.x, p.y, 0.02);
  CHECK(exact.loss < 1e-6L);
  CHECK(relative_error(got.loss, exact.loss) <= 8 * 50 * double(core::epsilon<float>));
}

TEST_CASE("bf16 losses: the same bits for any number of threads, kept or computed again") {
  for (const bool few : {false, true})
    for (const bool both : {true, false}) {
      const Pairs p(few ? 68 : 600, few ? 480 : 40);
      Gradient first;
      for (const std::size_t budget : {std::size_t(1) << 30, std::size_t(2400) << 10}) {
        Gradient one;
        {
          const Threads threads(1);
          one = run(both, p.x, p.y, 0.07, budget);
        }
        for (const int count : {2, 3, 8}) {
          const Threads threads(count);
          const Gradient many = run(both, p.x, p.y, 0.07, budget);
          CHECK(many.loss == one.loss);
          CHECK(many.log_temperature == one.log_temperature);
          CHECK(same_bits(many.x, one.x));
          CHECK(same_bits(many.y, one.y));
        }
        if (budget == std::size_t(1) << 30) first = one;
        CHECK(relative_error(one.loss, first.loss) <= 1e-6);
        CHECK(matrix_error(one.x, first.x) <= 1e-6);
        CHECK(matrix_error(one.y, first.y) <= 1e-6);
      }
    }
}

TEST_CASE("bf16 losses: one pair, NaN, another shape, no memory") {
  const Pairs one(1, 5), p(6, 5);
  for (const bool both : {true, false}) {
    const Gradient g = run(both, one.x, one.y, 0.07);
    CHECK(g.loss == 0);
    CHECK((g.x.array() == 0).all());
    Rows bad = p.x;
    bad(3, 2) = core::nan<float>;
    CHECK(std::isnan(run(both, bad, p.y, 0.07).loss));
  }
  CHECK_THROWS_AS((void)losses::clip_bf16(p.x, one.y), std::invalid_argument);
  try {
    (void)losses::clip_bf16_with_gradient(p.x, p.y, {.memory_budget = 1000});
    FAIL("no error");
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()).rfind("clip_bf16_with_gradient: ", 0) == 0);
  }
}
