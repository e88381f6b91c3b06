// exclude and row_weights of the losses that mix, against long double and against each other.
#include <string>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/l_mix.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/losses/v_mix.hpp"
#include "spheremix/losses/vl_mix.hpp"
#include "support/many_inputs.hpp"
#include "support/refusal.hpp"
#include "support/target_oracle.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

constexpr Index kRows = 9, kWidth = 4;

/// False negatives, not symmetric; the diagonal is among them and stays.
Eigen::MatrixXi left_out() {
  Eigen::MatrixXi out(kRows, kRows);
  for (Index i = 0; i < kRows; ++i)
    for (Index j = 0; j < kRows; ++j) out(i, j) = i == j || (3 * i + 5 * j) % 7 < 2;
  return out;
}
std::vector<double> weights() {
  std::vector<double> w;
  for (Index i = 0; i < kRows; ++i) w.push_back(i == 4 ? 0 : 1 + 0.5 * double(i % 4));
  return w;
}
Targets excluded() { return soft(RowMatrix<double>(left_out().cast<double>())); }

LongReal weighted_mean(const std::vector<LongReal>& of_rows) {
  LongReal sum = 0, all = 0;
  const auto w = weights();
  for (std::size_t i = 0; i < w.size(); ++i)
    sum += LongReal(w[i]) * of_rows[i], all += LongReal(w[i]);
  return sum / all;
}

LongReal both_directions(const LongMatrix& x, const LongMatrix& y, const LongMatrix& t,
                         LongReal tau) {
  const LongMatrix s = x * y.transpose();
  const auto w = weights();
  const std::vector<LongReal> wide(w.begin(), w.end());
  LongReal loss = 0;
  LongMatrix slopes = LongMatrix::Zero(kRows, kRows);  // by differences here, and not read
  TargetOracle::add_direction(s, {t, left_out(), 0, {}}, wide, tau, 0.5L, loss, slopes);
  TargetOracle::add_direction(s.transpose(), {t.transpose(), left_out().transpose(), 0, {}}, wide,
                              tau, 0.5L, loss, slopes);
  return loss;
}

LongReal m2(const LongBatches& in, LongReal lambda, LongReal tau, bool append) {
  const LongMatrix m = mix_rows_oracle(in[0], in[1], LongVector::Constant(kRows, lambda));
  LongReal loss = 0;
  for (const bool second : {false, true}) {
    const LongMatrix &a = in[second], &b = in[!second];
    const Eigen::MatrixXi kept = left_out(),
                          out = second ? Eigen::MatrixXi(kept.transpose()) : kept;
    std::vector<LongReal> rows;
    for (Index i = 0; i < kRows; ++i) {
      std::vector<LongReal> z{a.row(i).dot(b.row(i)) / tau};
      for (Index j = 0; j < kRows; ++j) {
        if (j == i || out(i, j)) continue;
        z.push_back(a.row(i).dot(m.row(j)) / tau);
        if (append) z.push_back(a.row(i).dot(b.row(j)) / tau);
      }
      rows.push_back(log_sum_exp(z) - z[0]);
    }
    loss += weighted_mean(rows);
  }
  return loss;
}

/// Row i and its partner n - 1 - i.
LongMatrix partners(LongReal own) {
  LongMatrix t = LongMatrix::Zero(kRows, kRows);
  for (Index i = 0; i < kRows; ++i) t(i, i) += own, t(i, kRows - 1 - i) += 1 - own;
  return t;
}
LongMatrix mixed(const LongMatrix& x, LongReal lambda) {
  return mix_rows_oracle(x, LongMatrix(x.colwise().reverse()), LongVector::Constant(kRows, lambda));
}

template <class G>
LongBatches gradients(const G& g) {
  return widened(g.x, g.y);
}

const RowMatrix<double> kX = unit_rows<double>(kRows, kWidth, 3),
                        kY = unit_rows<double>(kRows, kWidth, 4);
constexpr double kLambda = 0.3, kTau = 0.4;

}  // namespace

TEST_CASE("mixing losses: pairs left out and weights of rows, m2_mix") {
  for (const bool append : {false, true}) {
    const auto g =
        m2_mix_with_gradient(kX, kY, kLambda,
                             {.temperature = kTau,
                              .negatives = append ? Negatives::append : Negatives::replace,
                              .exclude = excluded(),
                              .row_weights = weights()});
    const auto at = [&](LongReal lambda, LongReal tau) {
      return m2(widened(kX, kY), lambda, tau, append);
    };
    check_loss_of_batches(
        "m2_mix",
        [&](const LongBatches& in) { return m2(in, LongReal(kLambda), LongReal(kTau), append); },
        widened(kX, kY), g.loss, gradients(g), 1e-10);
    check_slope_of_log(
        "m2_mix", [&](LongReal tau) { return at(LongReal(kLambda), tau); }, kTau, g.log_temperature,
        1e-10);
    const LongReal by_lambda =
        slope([&](LongReal h) { return at(LongReal(kLambda) + h, LongReal(kTau)); });
    CHECK(std::abs(g.lambda - double(by_lambda)) < 1e-10);
  }
}

TEST_CASE("mixing losses: pairs left out and weights of rows, v_mix, l_mix, vl_mix") {
  const LongReal lambda = LongReal(kLambda), tau = LongReal(kTau);
  const auto check = [&](const char* name, const auto& g, const auto& f) {
    check_loss_of_batches(
        name, [&](const LongBatches& in) { return f(in, lambda, tau); }, widened(kX, kY), g.loss,
        gradients(g), 1e-10);
    check_slope_of_log(
        name, [&](LongReal t) { return f(widened(kX, kY), lambda, t); }, kTau, g.log_temperature,
        1e-10);
    const LongReal by_lambda =
        slope([&](LongReal h) { return f(widened(kX, kY), lambda + h, tau); });
    CHECK(std::abs(g.lambda - double(by_lambda)) < 1e-10);
  };
  check("v_mix",
        v_mix_with_gradient(kX, kY, kLambda,
                            {.temperature = kTau, .exclude = excluded(), .row_weights = weights()}),
        [](const LongBatches& in, LongReal l, LongReal t) {
          return both_directions(mixed(in[0], l), in[1], partners(l), t);
        });
  check("l_mix",
        l_mix_with_gradient(kX, kY, kLambda,
                            {.temperature = kTau, .exclude = excluded(), .row_weights = weights()}),
        [](const LongBatches& in, LongReal l, LongReal t) {
          return both_directions(in[0], mixed(in[1], l), partners(l).transpose(), t);
        });
  check(
      "vl_mix",
      vl_mix_with_gradient(kX, kY, kLambda,
                           {.temperature = kTau, .exclude = excluded(), .row_weights = weights()}),
      [](const LongBatches& in, LongReal l, LongReal t) {
        return both_directions(mixed(in[0], l), mixed(in[1], l), LongMatrix::Identity(kRows, kRows),
                               t);
      });
}

TEST_CASE("mixing losses: clip_m2_mix and m3_mix are the sums of their parts") {
  const auto near = [](double got, double want) { CHECK(std::abs(got - want) <= 1e-13 * want); };
  const auto a = clip_with_gradient(
      kX, kY, {.temperature = 0.1, .exclude = excluded(), .row_weights = weights()});
  const auto b = m2_mix_with_gradient(
      kX, kY, kLambda, {.temperature = kTau, .exclude = excluded(), .row_weights = weights()});
  const auto both = clip_m2_mix_with_gradient(kX, kY, kLambda,
                                              {.temperature = 0.1,
                                               .mix_temperature = kTau,
                                               .weight = 0.7,
                                               .exclude = excluded(),
                                               .row_weights = weights()});
  near(both.loss, a.loss + 0.7 * b.loss);
  CHECK(matrix_error(both.x, RowMatrix<double>(a.x + 0.7 * b.x)) < 1e-13);
  CHECK(matrix_error(both.y, RowMatrix<double>(a.y + 0.7 * b.y)) < 1e-13);
  CHECK(both.log_temperature == doctest::Approx(a.log_temperature).epsilon(1e-12));
  near(clip_m2_mix(kX, kY, kLambda,
                   {.temperature = 0.1,
                    .mix_temperature = kTau,
                    .weight = 0.7,
                    .exclude = excluded(),
                    .row_weights = weights()}),
       both.loss);
  const VMixOptions o{.temperature = 0.1, .exclude = excluded(), .row_weights = weights()};
  const auto v = v_mix_with_gradient(kX, kY, 0.2, o);
  const auto l = l_mix_with_gradient(
      kX, kY, 0.4, {.temperature = 0.1, .exclude = excluded(), .row_weights = weights()});
  const auto vl = vl_mix_with_gradient(
      kX, kY, 0.6, {.temperature = 0.1, .exclude = excluded(), .row_weights = weights()});
  const auto all = m3_mix_with_gradient(kX, kY, MixLambdas{kLambda, 0.2, 0.4, 0.6},
                                        {.temperature = 0.1,
                                         .mix_temperature = kTau,
                                         .exclude = excluded(),
                                         .row_weights = weights()});
  near(all.loss, b.loss + v.loss + l.loss + vl.loss);
  CHECK(matrix_error(all.x, RowMatrix<double>(b.x + v.x + l.x + vl.x)) < 1e-13);
  CHECK(matrix_error(all.y, RowMatrix<double>(b.y + v.y + l.y + vl.y)) < 1e-13);
}

TEST_CASE("mixing losses: what leaves everything as it is, and what is refused") {
  std::vector<int> own;
  for (int i = 0; i < int(kRows); ++i) own.push_back(i);
  const std::vector<double> even(kRows, 7.0);
  const M2MixOptions plain{.temperature = kTau},
      same{.temperature = kTau, .exclude = ids(own, own), .row_weights = even};
  CHECK(m2_mix(kX, kY, kLambda, same) ==
        doctest::Approx(m2_mix(kX, kY, kLambda, plain)).epsilon(1e-15));
  // Every other pair left out: no negatives, no loss.
  const std::vector<int> one(kRows, 5);
  CHECK(m2_mix(kX, kY, kLambda, {.exclude = ids(one, one)}) == 0);
  CHECK(refusal([&] {
          (void)m2_mix(kX, kY, kLambda, {.exclude = ids(one, own), .row_weights = {1}});
        }) == "m2_mix: row_weights has 1 elements where 9 are needed");
  CHECK(refusal([&] {
          (void)v_mix(kX, kY, kLambda, {.exclude = ids(std::vector<int>{1}, own)});
        }) == "v_mix: exclude have 1 and 9 ids but X has 9 rows and Y has 9");
  CHECK(refusal([&] {
          (void)m3_mix(kX, kY, MixLambdas{0.1, 0.1, 0.1, 0.1},
                       {.row_weights = std::vector<double>(kRows, 0.0)});
        }) == "m3_mix: the row_weights add up to 0");
}
