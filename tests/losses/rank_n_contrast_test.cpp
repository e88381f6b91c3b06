// Rank-N-Contrast against its formula, pair by pair.
#include "spheremix/losses/rank_n_contrast.hpp"

#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

/// apart(i, j): of labels, exact.
template <class Apart>
LongReal rank_oracle(const LongMatrix& x, const Apart& apart, LongReal tau, bool cosine) {
  const Index n = x.rows();
  LongReal loss = 0;
  for (Index i = 0; i < n; ++i) {
    const auto z = [&](Index j) {
      return cosine ? x.row(i).dot(x.row(j)) / tau : -(x.row(i) - x.row(j)).norm() / tau;
    };
    for (Index j = 0; j < n; ++j) {
      if (j == i) continue;
      std::vector<LongReal> set;
      for (Index k = 0; k < n; ++k)
        if (k != i && apart(i, k) >= apart(i, j)) set.push_back(z(k));
      loss += (log_sum_exp(set) - z(j)) / LongReal(n * (n - 1));
    }
  }
  return loss;
}

const std::vector<double> kTenths{0.3, 0.1, 0.7, 0.2, 0.3, 0.5, 0.4, 0.1, 0.6};

Index apart_in_tenths(Index i, Index j) {
  const auto whole = [](Index k) { return std::lround(10 * kTenths[std::size_t(k)]); };
  return std::abs(whole(i) - whole(j));
}

}  // namespace

TEST_CASE_TEMPLATE("rank_n_contrast equals its formula with gradients, ties and all", T, float,
                   double) {
  const double within = sizeof(T) == 8 ? 1e-9 : 2e-5;
  const RowMatrix<T> x = unit_rows<T>(9, 5, 3);
  for (const auto similarity : {RankSimilarity::negative_distance, RankSimilarity::cosine})
    for (const double tau : {2.0, 0.1}) {
      CAPTURE(tau);
      const RankNContrastOptions o{.temperature = tau, .similarity = similarity};
      const bool cosine = similarity == RankSimilarity::cosine;
      const auto f = [&](const LongMatrix& in, LongReal t) {
        return rank_oracle(in, apart_in_tenths, t, cosine);
      };
      const auto got = rank_n_contrast_with_gradient(x, kTenths, o);
      check_loss_of_batches(
          "rank_n_contrast", [&](const LongBatches& in) { return f(in[0], LongReal(tau)); },
          widened(x), got.loss, widened(got.x), within);
      check_slope_of_log(
          "tau", [&](LongReal t) { return f(x.template cast<LongReal>(), t); }, tau,
          got.log_temperature, within);
      CHECK(rank_n_contrast(x, kTenths, o) == got.loss);
      CHECK(got.skipped == 0);
      // A table of the same distances, and labels of two dimensions.
      const Eigen::Map<const Eigen::VectorXd> y(kTenths.data(), 9);
      const auto table = label_distances(y, [](const auto& a, const auto& b) {
        return double(std::abs(std::lround(10 * a(0)) - std::lround(10 * b(0))));
      });
      const auto by_table = rank_n_contrast_with_gradient(x, table, o);
      CHECK(relative_error(by_table.loss, got.loss) < 1e-14);
      CHECK(matrix_error(by_table.x, got.x) < (sizeof(T) == 8 ? 1e-13 : 1e-5));
      const Eigen::MatrixX2d plane = gaussian_rows<double>(9, 2, 7);
      const auto far = [](const auto& a, const auto& b) { return (a - b).norm(); };
      const auto of_plane = rank_n_contrast_with_gradient(x, label_distances(plane, far), o);
      check_loss_of_batches(
          "plane",
          [&](const LongBatches& in) {
            return rank_oracle(
                in[0], [&](Index i, Index j) { return far(plane.row(i), plane.row(j)); },
                LongReal(tau), cosine);
          },
          widened(x), of_plane.loss, widened(of_plane.x), within);
    }
}

TEST_CASE("rank_n_contrast: labels are their order of distances, whatever unit, type and origin") {
  const RowMatrix<double> x = unit_rows<double>(9, 5, 3);
  const double want = rank_n_contrast(x, kTenths);
  std::vector<int> whole;
  std::vector<float> single;
  std::vector<std::int64_t> wide;
  for (const double y : kTenths) {
    whole.push_back(int(std::lround(10 * y)));
    single.push_back(float(y));
    wide.push_back((std::int64_t(1) << 60) + whole.back());
  }
  CHECK(rank_n_contrast(x, whole) == want);
  CHECK(rank_n_contrast(x, single) == want);
  CHECK(rank_n_contrast(x, wide) == want);
  // All labels alike: every set is everybody, the mean of log sum - z.
  const std::vector<double> same(9, 4.0);
  CHECK(rank_n_contrast(x, same) > want);
  CHECK(rank_n_contrast(x, kTenths, {.label_tolerance = 1}) == rank_n_contrast(x, same));
  CHECK(relative_error(rank_n_contrast(x, kTenths, {.label_tolerance = 1e-3}), want) < 1e-14);
}

TEST_CASE_TEMPLATE("rank_n_contrast: sharp, collapsed, alone, wrong", T, float, double) {
  const double eps = double(core::epsilon<T>);
  RowMatrix<T> x = unit_rows<T>(9, 5, 3);
  const RankNContrastOptions sharp{.temperature = 1e-3};
  const LongReal want =
      rank_oracle(x.template cast<LongReal>(), apart_in_tenths, LongReal(1e-3), false);
  CHECK(relative_error(rank_n_contrast(x, kTenths, sharp), double(want)) < 16 * eps * 2e3);
  // Rows that are nearly one: distances by differences, gradients of size 1 / tau.
  const RowMatrix<T> near = x.row(0).replicate(9, 1) + T(1e-3) * unit_rows<T>(9, 5, 4);
  const RankNContrastOptions fine{.temperature = 1e-3};
  const auto got = rank_n_contrast_with_gradient(near, kTenths, fine);
  const LongBatches in = widened(near);
  const LongReal loss = rank_oracle(in[0], apart_in_tenths, LongReal(1e-3), false);
  CHECK(relative_error(got.loss, double(loss)) < 64 * eps);
  const LongMatrix dx = differences(
      [&](const LongMatrix& m) { return rank_oracle(m, apart_in_tenths, LongReal(1e-3), false); },
      in[0], LongReal(1e-7));
  CHECK(gradient_error(widened(got.x)[0], dx, 1e-4) < (sizeof(T) == 8 ? 1e-6 : 1e-4));
  // The unit of rows and tau is no matter, even where a product of two rows underflows.
  for (const int power : {-100, 40}) {
    const double unit = std::ldexp(1.0, power);
    const auto in_unit =
        rank_n_contrast_with_gradient(x * T(unit), kTenths, {.temperature = 0.5 * unit});
    const auto plain = rank_n_contrast_with_gradient(x, kTenths, {.temperature = 0.5});
    CHECK(in_unit.loss == plain.loss);
    CHECK(in_unit.log_temperature == plain.log_temperature);
    CHECK((in_unit.x * T(unit)).eval() == plain.x);
  }
  // A row a million times longer leaves the others' gradients their digits, each row's of its own.
  RowMatrix<T> far = x;
  far.row(8) *= T(1e6);
  const LongReal tau = 3e5;
  const auto beside = rank_n_contrast_with_gradient(far, kTenths, {.temperature = double(tau)});
  const auto of_far = [&](const LongMatrix& m) {
    return rank_oracle(m, apart_in_tenths, tau, false);
  };
  CHECK(relative_error(beside.loss, double(of_far(far.template cast<LongReal>()))) < 16 * eps);
  const LongMatrix slopes = differences(of_far, far.template cast<LongReal>(), LongReal(1e-4));
  for (Index i = 0; i < 9; ++i) {
    CAPTURE(i);
    const auto row = [&](const auto& m) { return LongMatrix(m.row(i).template cast<LongReal>()); };
    CHECK((row(beside.x) - row(slopes)).norm() < 2e-6L * row(slopes).norm());
  }
  x.row(4) = x.row(0);  // equal rows: finite, and no pull between them
  CHECK(rank_n_contrast_with_gradient(x, kTenths).x.allFinite());
  const RowMatrix<T> one = x.topRows(1);
  const auto alone = rank_n_contrast_with_gradient(one, std::vector<int>{3});
  CHECK((alone.loss == 0 && alone.skipped == 1 && alone.x.isZero(0)));
  std::vector<double> bad = kTenths;
  bad[3] = core::nan<double>;
  CHECK_THROWS_AS((void)rank_n_contrast(x, bad), std::invalid_argument);
  CHECK_THROWS_AS((void)rank_n_contrast(x, std::vector<int>(8, 1)), std::invalid_argument);
  CHECK_THROWS_AS((void)rank_n_contrast(x, kTenths, {.temperature = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)rank_n_contrast(x, kTenths, {.label_tolerance = -1}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)rank_n_contrast(x, kTenths, {.memory_budget = 100}), std::invalid_argument);
  x(2, 2) = core::nan<T>;
  CHECK(std::isnan(rank_n_contrast(x, kTenths)));
}
