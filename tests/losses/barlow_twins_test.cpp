// Barlow Twins against its formula and what it must be where the answer is known.
#include "spheremix/losses/barlow_twins.hpp"

#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

LongReal barlow_oracle(const LongBatches& in, const BarlowTwinsOptions& o) {
  const Index n = in[0].rows(), d = in[0].cols();
  LongMatrix z[2];
  for (const std::size_t s : {std::size_t(0), std::size_t(1)}) {
    z[s] = in[s].rowwise() - in[s].colwise().mean();
    for (Index k = 0; k < d; ++k)
      z[s].col(k) /= std::sqrt(z[s].col(k).squaredNorm() / LongReal(n) + LongReal(o.epsilon));
  }
  const LongMatrix c = z[0].transpose() * z[1] / LongReal(n);
  LongReal loss = 0;
  for (Index k = 0; k < d; ++k)
    for (Index l = 0; l < d; ++l)
      loss += k == l ? (1 - c(k, k)) * (1 - c(k, k))
                     : LongReal(o.off_diagonal_weight) * c(k, l) * c(k, l);
  return loss;
}

}  // namespace

TEST_CASE_TEMPLATE("barlow_twins equals its formula with gradients", T, float, double) {
  const double close = sizeof(T) == 8 ? 1e-10 : 1e-5;
  for (const auto& size : {std::pair<Index, Index>{7, 4}, {2, 3}, {4, 6}, {5, 1}, {40, 19}}) {
    const Index n = size.first, d = size.second;
    CAPTURE(n);
    const RowMatrix<T> x = gaussian_rows<T>(n, d, 1), y = x + gaussian_rows<T>(n, d, 2);
    for (const BarlowTwinsOptions& o : {BarlowTwinsOptions{}, BarlowTwinsOptions{0.7, 1e-2}}) {
      const auto got = barlow_twins_with_gradient(x, y, o);
      check_loss_of_batches(
          "barlow_twins", [&](const LongBatches& in) { return barlow_oracle(in, o); },
          widened(x, y), got.loss, widened(got.x, got.y), close);
      CHECK(barlow_twins(x, y, o) == got.loss);
    }
  }
}

TEST_CASE_TEMPLATE("barlow_twins: what a view's shift and scale do, collapse, errors", T, float,
                   double) {
  const double close = sizeof(T) == 8 ? 1e-9 : 1e-4;
  const RowMatrix<T> x = gaussian_rows<T>(30, 5, 1), y = x + gaussian_rows<T>(30, 5, 2);
  const BarlowTwinsOptions o{.epsilon = 1e-12};
  const double loss = barlow_twins(x, y, o);
  RowMatrix<T> moved = y * T(8);
  moved.rowwise() += Eigen::Matrix<T, 1, 5>::Constant(T(64));
  CHECK(relative_error(barlow_twins(x, moved, o), loss) < close);
  CHECK(relative_error(barlow_twins(y, x, o), loss) < 1e-13);
  const auto g = barlow_twins_with_gradient(x, y, o);  // so its gradients are orthogonal to both
  for (Index k = 0; k < 5; ++k) {
    CHECK(std::abs(double(g.x.col(k).sum())) < close * double(g.x.norm()));
    CHECK(std::abs(double(g.x.col(k).dot(x.col(k)))) < close * double(g.x.norm() * x.norm()));
  }
  CHECK(barlow_twins(x, x, {.off_diagonal_weight = 0, .epsilon = 1e-12}) < 1e-18);
  const RowMatrix<T> same = RowMatrix<T>::Constant(4, 3, T(0.1));  // collapsed: C = 0
  CHECK(barlow_twins(same, same) == 3);
  // Wherever it lies; and squares that overflow are no collapse.
  const RowMatrix<T> far = RowMatrix<T>::Constant(7, 3, T(1e15 + 0.3));
  CHECK(barlow_twins(far, far) == 3);
  if constexpr (sizeof(T) == 8) {
    const RowMatrix<T> huge = x * 1e200;
    const auto of_huge = barlow_twins_with_gradient(huge, y);
    CHECK(std::isnan(of_huge.loss));
    CHECK(std::isnan(of_huge.x(0, 0)));
    CHECK(std::isnan(barlow_twins(y, huge)));
  }
  CHECK_THROWS_AS((void)barlow_twins(same.topRows(1), same.topRows(1)), std::invalid_argument);
  CHECK_THROWS_AS((void)barlow_twins(same, same.leftCols(2)), std::invalid_argument);
  CHECK_THROWS_AS((void)barlow_twins(same, same, {.epsilon = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)barlow_twins(same, same, {.off_diagonal_weight = -1}),
                  std::invalid_argument);
  RowMatrix<T> bad = same;
  bad(1, 1) = core::nan<T>;
  CHECK(std::isnan(barlow_twins(bad, same)));
  bad(1, 1) = core::infinity<T>;
  const auto of_bad = barlow_twins_with_gradient(same, bad);
  CHECK(std::isnan(of_bad.loss));
}
