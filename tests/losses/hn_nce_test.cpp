// HN-NCE against its formula, and CLIP where it is CLIP.
#include "spheremix/losses/hn_nce.hpp"

#include "spheremix/losses/clip.hpp"
#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

LongReal hn_nce_oracle(const LongMatrix& x, const LongMatrix& y, LongReal tau,
                       const HnNceOptions& o) {
  const Index n = x.rows();
  const LongReal count = LongReal(n - 1), beta = LongReal(o.beta), plus = LongReal(o.tau_plus);
  const LongMatrix table = x * y.transpose() / tau;
  LongReal loss = 0;
  for (const bool columns : {false, true}) {
    const LongMatrix z = columns ? LongMatrix(table.transpose()) : table;
    for (Index i = 0; n > 1 && i < n; ++i) {
      std::vector<LongReal> hard, soft;
      for (Index j = 0; j < n; ++j) {
        if (j == i) continue;
        hard.push_back((1 + beta) * z(i, j));
        soft.push_back(beta * z(i, j));
      }
      const LongReal r = count * std::exp(log_sum_exp(hard) - log_sum_exp(soft) - z(i, i));
      const LongReal v =
          std::max((r - plus * count) / (1 - plus), count * std::exp(-1 / tau - z(i, i)));
      loss += std::log1p(v) / LongReal(2 * n);
    }
  }
  return loss;
}

}  // namespace

TEST_CASE_TEMPLATE("hn_nce equals its formula with gradients", T, float, double) {
  const double within = sizeof(T) == 8 ? 1e-9 : 2e-5;
  for (const auto& size : {std::pair<Index, Index>{7, 4}, {2, 3}, {1, 3}})
    for (const HnNceOptions& o : {HnNceOptions{}, HnNceOptions{0.5, 1, 0.1},
                                  HnNceOptions{0.2, 0, 0.3}, HnNceOptions{0.1, 2, 0}}) {
      const Index n = size.first, d = size.second;
      CAPTURE(n);
      CAPTURE(o.beta);
      const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
      const auto got = hn_nce_with_gradient(x, y, o);
      const LongBatches in = widened(x, y);
      check_loss_of_batches(
          "hn_nce",
          [&](const LongBatches& b) {
            return hn_nce_oracle(b[0], b[1], LongReal(o.temperature), o);
          },
          in, got.loss, widened(got.x, got.y), within);
      check_slope_of_log(
          "tau", [&](LongReal t) { return hn_nce_oracle(in[0], in[1], t, o); }, o.temperature,
          got.log_temperature, within);
      CHECK(hn_nce(x, y, o) == got.loss);
    }
}

TEST_CASE_TEMPLATE("hn_nce: CLIP at beta 0, saturated rows, both modalities alike, errors", T,
                   float, double) {
  const double close = sizeof(T) == 8 ? 1e-12 : 1e-5;
  const RowMatrix<T> x = unit_rows<T>(70, 9, 1), noise = unit_rows<T>(70, 9, 2);
  RowMatrix<T> y = T(0.7) * x + T(0.3) * noise;
  y.rowwise().normalize();
  const auto plain = clip_with_gradient(x, y, {.temperature = 0.1});
  const auto soft = hn_nce_with_gradient(x, y, {.temperature = 0.1, .beta = 0});
  CHECK(relative_error(soft.loss, plain.loss) < close);
  CHECK(matrix_error(soft.x, plain.x) < close);
  CHECK(matrix_error(soft.y, plain.y) < close);
  CHECK(relative_error(soft.log_temperature, plain.log_temperature) < close);
  CHECK(hn_nce(x, y, {.temperature = 0.1}) > plain.loss);  // harder negatives weigh more
  CHECK(relative_error(hn_nce(x, y), hn_nce(y, x)) < close);
  const HnNceOptions sharp{.temperature = 1e-3, .beta = 1};
  const LongReal want = hn_nce_oracle(x.template cast<LongReal>(), y.template cast<LongReal>(),
                                      LongReal(1e-3), sharp);
  CHECK(std::abs(hn_nce(x, y, sharp) - double(want)) <
        16 * double(core::epsilon<T>) * 1e3 * (1 + std::abs(double(want))));
  CHECK_THROWS_AS((void)hn_nce(x, y.topRows(3)), std::invalid_argument);
  CHECK_THROWS_AS((void)hn_nce(x, y, {.temperature = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)hn_nce(x, y, {.beta = -1}), std::invalid_argument);
  CHECK_THROWS_AS((void)hn_nce(x, y, {.tau_plus = 1}), std::invalid_argument);
  y(1, 1) = core::nan<T>;
  CHECK(std::isnan(hn_nce(x, y)));
}
