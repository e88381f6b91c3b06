// Matryoshka widths: the sum of the losses of the normalised first columns, and its gradients.
#include "spheremix/losses/matryoshka.hpp"

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

const MatryoshkaOptions kWidths{.widths = {6, 2, 5}, .weights = {1, 0.25, 2}};

LongReal nested_clip(const LongMatrix& x, const LongMatrix& y, LongReal tau) {
  LongReal sum = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    const auto unit = [&](const LongMatrix& m) {
      LongMatrix part = m.leftCols(kWidths.widths[k]);
      part.rowwise().normalize();
      return part;
    };
    sum += LongReal(kWidths.weights[k]) * clip_oracle(unit(x), unit(y), tau);
  }
  return sum;
}

}  // namespace

TEST_CASE_TEMPLATE("matryoshka is the weighed sum over widths, with gradients", T, float, double) {
  const double within = sizeof(T) == 8 ? 1e-9 : 2e-5;
  const RowMatrix<T> x = gaussian_rows<T>(7, 6, 1), y = gaussian_rows<T>(7, 6, 2);
  const auto loss = [](const auto& a, const auto& b) { return clip(a, b, {.temperature = 0.3}); };
  const auto gradient = [](const auto& a, const auto& b) {
    return clip_with_gradient(a, b, {.temperature = 0.3});
  };
  const auto got = matryoshka_with_gradient(x, y, kWidths, gradient);
  const LongBatches in = widened(x, y);
  check_loss_of_batches(
      "matryoshka", [](const LongBatches& b) { return nested_clip(b[0], b[1], LongReal(0.3)); }, in,
      got.loss, widened(got.x, got.y), within);
  check_slope_of_log(
      "tau", [&](LongReal t) { return nested_clip(in[0], in[1], t); }, 0.3, got.log_temperature,
      within);
  CHECK(relative_error(matryoshka(x, y, kWidths, loss), got.loss) < 1e-14);
  REQUIRE(got.losses.size() == 3);
  CHECK(relative_error(got.losses[0] + 0.25 * got.losses[1] + 2 * got.losses[2], got.loss) < 1e-14);
  // One batch: the two views stacked, by their labels.
  const std::vector<int> labels{0, 1, 0, 2, 1, 0, 2};
  const auto classes = [&](const auto& a) { return sup_con_with_gradient(a, labels); };
  const auto one = matryoshka_with_gradient(x, {.widths = {4}}, classes);
  const RowMatrix<T> part = x.leftCols(4);
  const auto alone = classes(sphere::normalize_rows(part));
  CHECK(one.loss == alone.loss);
  CHECK(matrix_error(one.x.leftCols(4), sphere::normalize_rows_vjp(part, alone.x)) < 1e-15);
  CHECK(one.x.rightCols(2).isZero(0));
  CHECK(matryoshka(x, {.widths = {4}}, [&](const auto& a) { return sup_con(a, labels); }) ==
        one.loss);
  for (const MatryoshkaOptions& wrong : {MatryoshkaOptions{},
                                         MatryoshkaOptions{{0}, {}},
                                         {{7}, {}},
                                         {{2, 3, 2}, {}},
                                         {{2, 3}, {1}},
                                         {{2}, {-1}}}) {
    CHECK_THROWS_AS((void)matryoshka(x, y, wrong, loss), std::invalid_argument);
    CHECK_THROWS_AS((void)matryoshka_with_gradient(x, wrong, classes), std::invalid_argument);
  }
  CHECK_THROWS_AS((void)matryoshka(x, y.topRows(3), kWidths, loss), std::invalid_argument);
  RowMatrix<T> zero = y;
  zero.row(3).head(2).setZero();
  CHECK_THROWS_WITH_AS((void)matryoshka(x, zero, kWidths, loss),
                       "matryoshka: row 3 of Y is zero in its first 2 columns: it has no direction",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      (void)matryoshka_with_gradient(zero, x, kWidths, gradient),
      "matryoshka_with_gradient: row 3 of X is zero in its first 2 columns: it has no direction",
      std::invalid_argument);
}
