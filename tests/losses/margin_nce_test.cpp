// margin_nce against its formula in long double.
#include "spheremix/losses/margin_nce.hpp"

#include "spheremix/losses/info_nce.hpp"
#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

/// As the formula stands, for logits that long double can hold.
LongReal oracle(const LongBatches& in, LongReal tau, LongReal margin) {
  LongReal loss = 0;
  const Index n = in[0].rows();
  for (Index i = 0; i < n; ++i) {
    LongReal others = 0;
    for (Index j = 0; j < n; ++j)
      if (j != i) others += std::exp(in[0].row(i).dot(in[1].row(j)) / tau);
    const LongReal own = std::exp((in[0].row(i).dot(in[1].row(i)) - margin) / tau);
    loss -= std::log(own / (own + others));
  }
  return loss / LongReal(n);
}

/// The same with gradients, each row relative to its positive: every digit of a small loss.
struct Whole {
  LongReal loss = 0, log_temperature = 0, margin = 0;
  LongMatrix x, y;

  Whole(const LongMatrix& a, const LongMatrix& b, LongReal tau, LongReal m) {
    const Index n = a.rows();
    const LongMatrix s = a * b.transpose();
    LongMatrix g(n, n);
    for (Index i = 0; i < n; ++i) {
      LongReal others = 0;
      for (Index j = 0; j < n; ++j) {
        g(i, j) = j == i ? 0 : std::exp((s(i, j) - s(i, i) + m) / tau);
        others += g(i, j);
      }
      loss += std::log1p(others) / LongReal(n);
      g(i, i) = -others;
      g.row(i) /= (1 + others) * LongReal(n) * tau;
      margin -= g(i, i);
      // Relative to the positive, as the entries of a row of G add up to 0.
      for (Index j = 0; j < n; ++j) log_temperature -= g(i, j) * (s(i, j) - s(i, i) + m);
    }
    // The row's own term had s_ii - s_ii + m in place of 0.
    for (Index i = 0; i < n; ++i) log_temperature += g(i, i) * m;
    x = g * b;
    y = g.transpose() * a;
  }
};

template <class T>
void check_whole(const RowMatrix<T>& x, const RowMatrix<T>& y, double tau, double margin,
                 double within) {
  CAPTURE(tau);
  CAPTURE(margin);
  const auto got = margin_nce_with_gradient(x, y, {.temperature = tau, .margin = margin});
  const LongBatches in = widened(x, y);
  const Whole want(in[0], in[1], LongReal(tau), LongReal(margin));
  CHECK(relative_error(got.loss, want.loss) <= within);
  CHECK(margin_nce(x, y, {.temperature = tau, .margin = margin}) == got.loss);
  if (double(want.margin) < 1e-30) return;  // gradients that f32 cannot hold
  CHECK(matrix_error(got.x, want.x) <= within);
  CHECK(matrix_error(got.y, want.y) <= within);
  CHECK(relative_error(got.margin, want.margin) <= within);
  // Terms of this size are added up, up to 1 + margin times those of dL/dm.
  CHECK(std::abs(got.log_temperature - double(want.log_temperature)) <=
        within * (1 + margin) * double(want.margin));
}

}  // namespace

TEST_CASE_TEMPLATE("margin_nce equals its formula, gradients its differences", T, float, double) {
  for (const double tau : {1.0, 0.2, 0.07})
    for (const double margin : {0.0, 0.2, 1.0})
      for (const auto& shape : {std::pair<Index, Index>{2, 3}, {6, 4}, {5, 1}, {1, 3}}) {
        const Index n = shape.first, d = shape.second;
        CAPTURE(n);
        CAPTURE(d);
        CAPTURE(margin);
        const RowMatrix<T> x = unit_rows<T>(n, d, 3);
        const RowMatrix<T> y = d > 1 ? rows_at_angle<T>(x, 0.9L, 4) : unit_rows<T>(n, d, 5);
        const LongBatches in = widened(x, y);
        const double within = (sizeof(T) == 8 ? 1e-9 : 64 * double(core::epsilon<T>)) / tau;
        const auto got = margin_nce_with_gradient(x, y, {.temperature = tau, .margin = margin});
        check_loss_of_batches(
            "margin_nce",
            [&](const LongBatches& b) { return oracle(b, LongReal(tau), LongReal(margin)); }, in,
            got.loss, widened(got.x, got.y), within);
        check_slope_of_log(
            "margin_nce", [&](LongReal t) { return oracle(in, t, LongReal(margin)); }, tau,
            got.log_temperature, within);
        const LongReal by_margin =
            slope([&](LongReal h) { return oracle(in, LongReal(tau), LongReal(margin) + h); });
        CHECK(std::abs(got.margin - double(by_margin)) <=
              within * std::max(1.0, std::abs(double(by_margin))));
      }
}

TEST_CASE_TEMPLATE("margin_nce keeps its digits at nasty points", T, float, double) {
  const double eps = 32 * double(core::epsilon<T>);
  for (const Index n : {2, 40}) {
    CAPTURE(n);
    const RowMatrix<T> x = unit_rows<T>(n, 8, 3), y = rows_at_angle<T>(x, 0.5L, 4);
    for (const double tau : {0.07, 0.01, 0.001})
      for (const double margin : {0.0, 0.2, 0.9, 2.0}) {
        check_whole<T>(x, y, tau, margin, eps * (1 + margin) / tau);
        check_whole<T>(x, RowMatrix<T>(-x), tau, margin, eps * (1 + margin) / tau);
      }
    // The loss of pairs that beat their margin by far: e^-20 and less.
    RowMatrix<T> apart = RowMatrix<T>::Identity(n, n);
    for (const double tau : {0.04, 0.02}) check_whole<T>(apart, apart, tau, 0.2, eps / tau);
    // A margin far beyond any cosine.
    check_whole<T>(x, y, 0.07, 500.0, eps * 500 / 0.07);
  }
  // Equal rows: log1p((n - 1) e^(m / tau)), and no direction.
  const Index n = 5;
  RowMatrix<T> same(n, 3);
  for (Index i = 0; i < n; ++i) same.row(i) = unit_rows<T>(1, 3, 7).row(0);
  const auto got = margin_nce_with_gradient(same, same, {.temperature = 0.1, .margin = 0.3});
  const double e = 4 * std::exp(3.0);
  CHECK(relative_error(got.loss, std::log1p(e)) <= eps);
  CHECK(relative_error(got.margin, e / (1 + e) / 0.1) <= eps);
  CHECK(relative_error(got.log_temperature, -3 * e / (1 + e)) <= eps * 10);
  CHECK(double(got.x.norm()) <= eps * 10);
}

TEST_CASE_TEMPLATE("margin_nce: identities", T, float, double) {
  const Index n = 50;
  const RowMatrix<T> x = unit_rows<T>(n, 8, 3), y = rows_at_angle<T>(x, 0.5L, 4);
  const double eps = 64 * double(core::epsilon<T>);
  for (const double tau : {1.0, 0.07, 0.001}) {
    CAPTURE(tau);
    // No margin: info_nce, bit for bit.
    const auto none = margin_nce_with_gradient(x, y, {.temperature = tau, .margin = 0});
    const auto plain = info_nce_with_gradient(x, y, {.temperature = tau});
    CHECK(none.loss == plain.loss);
    CHECK(none.log_temperature == plain.log_temperature);
    CHECK(same_bits(none.x, plain.x));
    CHECK(same_bits(none.y, plain.y));
    // A margin makes it harder; the loss gains at most m / tau.
    const auto got = margin_nce_with_gradient(x, y, {.temperature = tau});
    CHECK(got.loss > plain.loss);
    CHECK(got.loss < plain.loss + 0.2 / tau * (1 + eps));
    CHECK(got.margin > 0);
    CHECK(got.margin <= (1 + eps) / tau);
    // X, tau and m times two: the same loss, exactly. So x . dX + dL/d ln tau + m dL/dm = 0.
    const RowMatrix<T> twice = 2 * x;
    CHECK(margin_nce(twice, y, {.temperature = 2 * tau, .margin = 0.4}) == got.loss);
    const double along =
        x.template cast<double>().cwiseProduct(got.x.template cast<double>()).sum();
    CHECK(std::abs(along + got.log_temperature + double(T(0.2)) * got.margin) <=
          eps * 2 * got.margin);
  }
  // One pair: nothing to tell apart.
  const auto single =
      margin_nce_with_gradient(RowMatrix<T>(x.topRows(1)), RowMatrix<T>(y.topRows(1)));
  CHECK(single.loss == 0);
  CHECK(single.margin == 0);
  CHECK(single.log_temperature == 0);
  CHECK(single.x.isZero(0));
  CHECK(single.y.isZero(0));
}

TEST_CASE_TEMPLATE("margin_nce: what is refused, and NaN", T, float, double) {
  RowMatrix<T> x = unit_rows<T>(6, 4, 3);
  const RowMatrix<T> y = unit_rows<T>(6, 4, 4);
  const double most = double(core::largest<T>);
  for (const double margin :
       {-1e-9, core::nan<double>, core::infinity<double>, most / 2, most / 16})
    CHECK_THROWS_AS((void)margin_nce(x, y, {.margin = margin}), std::invalid_argument);
  for (const double tau : {0.0, -1.0, core::nan<double>})
    CHECK_THROWS_WITH_AS((void)margin_nce(x, y, {.temperature = tau}),
                         doctest::Contains("temperature"), std::invalid_argument);
  CHECK_THROWS_AS((void)margin_nce(x, y.topRows(3)), std::invalid_argument);
  CHECK_THROWS_AS((void)margin_nce(x, y, {.memory_budget = 10}), std::invalid_argument);
  CHECK(std::isfinite(margin_nce(x, y, {.margin = most / 1024})));
  for (const T bad : {core::nan<T>, core::infinity<T>}) {
    x(2, 1) = bad;
    const auto got = margin_nce_with_gradient(x, y);
    CHECK(std::isnan(margin_nce(x, y)));
    CHECK(std::isnan(got.loss));
    CHECK(std::isnan(got.margin));
    CHECK(std::isnan(got.log_temperature));
    CHECK(got.x.array().isNaN().all());
    CHECK(got.y.array().isNaN().all());
  }
}
