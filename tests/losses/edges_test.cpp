// Degenerate batches, extreme temperatures, errors, memory budgets, threads, and arguments of every
// layout.
#include <doctest/doctest.h>

#include <limits>
#include <thread>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/l_mix.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/losses/v_mix.hpp"
#include "spheremix/losses/vl_mix.hpp"
#include "support/loss_oracle.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

/// Every loss with gradients, as one list: name and what it gives.
template <class T>
struct Case {
  const char* name;
  double loss;
  RowMatrix<T> x, y;
  double log_temperature;
};

template <class T, class X, class Y>
std::vector<Case<T>> every_loss(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                double tau, std::size_t budget = std::size_t(1) << 30,
                                double lambda = 0.3) {
  std::vector<Case<T>> all;
  const auto put = [&](const char* name, const auto& g) {
    all.push_back({name, g.loss, g.x, g.y, g.log_temperature});
  };
  put("info_nce", info_nce_with_gradient(x, y, {.temperature = tau, .memory_budget = budget}));
  put("clip", clip_with_gradient(x, y, {.temperature = tau, .memory_budget = budget}));
  put("m2_mix", m2_mix_with_gradient(x, y, lambda, {.temperature = tau, .memory_budget = budget}));
  put("m2_mix append",
      m2_mix_with_gradient(
          x, y, lambda,
          {.temperature = tau, .negatives = Negatives::append, .memory_budget = budget}));
  put("clip_m2_mix",
      clip_m2_mix_with_gradient(
          x, y, lambda, {.temperature = tau, .mix_temperature = tau, .memory_budget = budget}));
  put("v_mix", v_mix_with_gradient(x, y, lambda, {.temperature = tau, .memory_budget = budget}));
  put("l_mix", l_mix_with_gradient(x, y, lambda, {.temperature = tau, .memory_budget = budget}));
  put("vl_mix", vl_mix_with_gradient(x, y, lambda, {.temperature = tau, .memory_budget = budget}));
  put("m3_mix",
      m3_mix_with_gradient(x, y, MixLambdas{lambda, lambda, lambda, lambda},
                           {.temperature = tau, .mix_temperature = tau, .memory_budget = budget}));
  return all;
}

template <class T>
bool all_finite(const Case<T>& c) {
  return std::isfinite(c.loss) && c.x.allFinite() && c.y.allFinite() &&
         std::isfinite(c.log_temperature);
}

}  // namespace

TEST_CASE_TEMPLATE("one pair: loss 0, gradients 0", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(1, 5, 1), y = unit_rows<T>(1, 5, 2);
  for (const auto& c : every_loss<T>(x, y, 0.07)) {
    CAPTURE(c.name);
    CHECK(c.loss == 0);
    CHECK(c.x.isZero(0));
    CHECK(c.y.isZero(0));
    CHECK(c.log_temperature == 0);
  }
}

TEST_CASE_TEMPLATE("every batch size from 1 to 70 agrees with the reference", T, float, double) {
  for (Index n = 1; n <= 70; ++n) {
    const Index d = 1 + (n * 7) % 67;
    const RowMatrix<T> x = unit_rows<T>(n, d, std::uint32_t(n)),
                       y = unit_rows<T>(n, d, std::uint32_t(n + 100));
    const LongMatrix lx = x.template cast<LongReal>(), ly = y.template cast<LongReal>();
    CAPTURE(n);
    const double within = 64 * double(core::epsilon<T>) * 5;
    CHECK(std::abs(clip(x, y, {.temperature = 0.2}) - double(clip_oracle(lx, ly, 0.2L))) <= within);
    CHECK(std::abs(info_nce(x, y, {.temperature = 0.2}) - double(info_nce_oracle(lx, ly, 0.2L))) <=
          within);
    const auto g = clip_with_gradient(x, y, {.temperature = 0.2});
    // Row sums of info_nce's G vanish, so dY sums to 0.
    const auto one_way = info_nce_with_gradient(x, y, {.temperature = 0.2});
    CHECK(std::abs(double(one_way.y.colwise().sum().cwiseAbs().maxCoeff())) <= within);
    CHECK(relative_error(g.log_temperature,
                         -double((g.x.array() * x.array()).template cast<double>().sum())) <=
          1e4 * double(core::epsilon<T>));
  }
}

TEST_CASE_TEMPLATE("identical and orthogonal embeddings", T, float, double) {
  const Index n = 12;
  RowMatrix<T> same(n, 4);
  for (Index i = 0; i < n; ++i) same.row(i) = unit_rows<T>(1, 4, 3);
  for (const auto& c : every_loss<T>(same, same, 0.07)) {
    CAPTURE(c.name);
    CHECK(all_finite(c));
  }
  CHECK(std::abs(clip(same, same) - std::log(12.0)) <
        4 * double(core::epsilon<T>) * std::log(12.0) + 1e-15);
  const RowMatrix<T> axes = RowMatrix<T>::Identity(n, n);
  CHECK(std::abs(clip(axes, axes, {.temperature = 1}) - std::log1p(11 * std::exp(-1.0))) <
        8 * double(core::epsilon<T>));
}

TEST_CASE_TEMPLATE("saturated losses keep their digits where an unshifted softmax does not", T,
                   float, double) {
  // Axes against themselves: loss = log(1 + (n-1) e^(-1/tau)) ~ (n-1) e^(-1/tau).
  const Index n = 4;
  const RowMatrix<T> axes = RowMatrix<T>::Identity(n, n);
  for (const double tau : {0.05, 0.03, 0.02}) {
    CAPTURE(tau);
    const double want = std::log1p(3 * std::exp(-1 / tau));
    const auto g = clip_with_gradient(axes, axes, {.temperature = tau});
    CHECK(relative_error(g.loss, want) < 8 * double(core::epsilon<T>) / tau);
    const double p = std::exp(-1 / tau) / (1 + 3 * std::exp(-1 / tau));
    // dX_00 = G_00: twice -3p over 2 n tau.
    CHECK(relative_error(double(g.x(0, 0)), -3 * p / (double(n) * tau)) <
          8 * double(core::epsilon<T>) / tau);
    // The textbook form loses everything: 1 - P rounds to 0.
    const T naive = T(1) - T(1) / (T(1) + T(3) * std::exp(T(-1 / tau)));
    if (sizeof(T) == 4) CHECK(naive < T(0.5 * 3 * p + 1e-8));
  }
  // tau = .001: e^(1/tau) overflows, the shifted form does not.
  const RowMatrix<T> x = unit_rows<T>(20, 8, 1), y = unit_rows<T>(20, 8, 2);
  CHECK(!std::isfinite(std::exp(T(1000))));
  for (const auto& c : every_loss<T>(x, y, 0.001)) {
    CAPTURE(c.name);
    CHECK(all_finite(c));
  }
  // The limit of tau loss at temperature zero.
  const double tau = 1e-3;
  double want = 0;
  for (Index i = 0; i < 20; ++i) {
    double worst = 0;
    for (Index j = 0; j < 20; ++j)
      if (j != i)
        worst = std::max(worst, double(x.row(i).dot(y.row(j))) - double(x.row(i).dot(y.row(i))));
    want += worst / 20;
  }
  const double got = tau * info_nce(x, y, {.temperature = tau});
  CHECK(got - want >= -1e-5);
  CHECK(got - want <= tau * std::log(20.0));
}

TEST_CASE_TEMPLATE("lambda 0 and 1, own partners, odd batches: finite and exact", T, float,
                   double) {
  for (const Index n : {2, 3, 7}) {
    const RowMatrix<T> x = unit_rows<T>(n, 6, 1), y = unit_rows<T>(n, 6, 2);
    for (const double lambda : {0.0, 1.0, 1e-30})
      for (const auto& c : every_loss<T>(x, y, 0.07, std::size_t(1) << 30, lambda)) {
        CAPTURE(c.name);
        CAPTURE(lambda);
        CHECK(all_finite(c));
      }
    const auto own = v_mix_with_gradient(x, y, 0.3, {.temperature = 0.1, .partners = [&] {
                                                       std::vector<Index> same;
                                                       for (Index i = 0; i < n; ++i)
                                                         same.push_back(i);
                                                       return same;
                                                     }()});
    CHECK(relative_error(own.loss, clip(x, y, {.temperature = 0.1})) <
          1e-15 + 2 * double(core::epsilon<T>));
    CHECK(own.lambda == 0);
  }
}

TEST_CASE_TEMPLATE("NaN and infinity never give a number", T, float, double) {
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                      -std::numeric_limits<T>::infinity()})
    for (const bool in_y : {false, true}) {
      RowMatrix<T> x = unit_rows<T>(6, 5, 1), y = unit_rows<T>(6, 5, 2);
      (in_y ? y : x)(3, 2) = bad;
      for (const auto& c : every_loss<T>(x, y, 0.07)) {
        CAPTURE(c.name);
        CHECK(std::isnan(c.loss));
        CHECK(c.x.array().isNaN().all());
        CHECK(c.y.array().isNaN().all());
        CHECK(std::isnan(c.log_temperature));
      }
    }
  // Finite rows whose products overflow are no number either.
  const RowMatrix<T> huge = RowMatrix<T>::Constant(3, 4, std::sqrt(std::numeric_limits<T>::max()));
  CHECK(std::isnan(clip(huge, huge)));
}

TEST_CASE("wrong arguments are errors that name the function and what was found") {
  const RowMatrix<float> x = unit_rows<float>(6, 5, 1), y = unit_rows<float>(6, 4, 2), none(0, 5);
  CHECK_THROWS_WITH_AS((void)clip(x, y), "clip: X is 6 x 5 but Y is 6 x 4", std::invalid_argument);
  CHECK_THROWS_AS((void)clip(none, none), std::invalid_argument);
  CHECK_THROWS_AS((void)m2_mix(none, none, 0.5), std::invalid_argument);
  for (const double tau :
       {0.0, -1.0, double(core::nan<double>), double(core::infinity<double>), 1e-40}) {
    CHECK_THROWS_AS((void)clip(x, x, {.temperature = tau}), std::invalid_argument);
    CHECK_THROWS_AS((void)v_mix(x, x, 0.5, {.temperature = tau}), std::invalid_argument);
  }
  for (const double lambda : {-0.01, 1.01, double(core::nan<double>)}) {
    CHECK_THROWS_AS((void)m2_mix(x, x, lambda), std::invalid_argument);
    CHECK_THROWS_AS((void)m3_mix(x, x, MixLambdas{0.5, lambda, 0.5, 0.5}), std::invalid_argument);
    CHECK_THROWS_AS((void)m2_mix(x, x, Vector<float>::Constant(6, float(lambda))),
                    std::invalid_argument);
  }
  CHECK_THROWS_AS((void)m2_mix(x, x, Vector<float>::Constant(5, .5f)), std::invalid_argument);
  CHECK_THROWS_AS((void)v_mix(x, x, .5, {.partners = {1, 2}}), std::invalid_argument);
  CHECK_THROWS_AS((void)v_mix(x, x, .5, {.partners = {0, 1, 2, 3, 4, 6}}), std::invalid_argument);
  CHECK_THROWS_AS((void)m2_mix(x, RowMatrix<float>(-x), .5),
                  std::invalid_argument);  // antipodal pairs
  CHECK_THROWS_AS((void)clip(x, x, {.memory_budget = 1000}), std::invalid_argument);
  RowMatrix<float> both(12, 5);
  ContrastiveGradient<Eigen::Map<RowMatrix<float>>> overlapping{
      0, Eigen::Map<RowMatrix<float>>(both.data(), 6, 5),
      Eigen::Map<RowMatrix<float>>(both.data() + 5, 6, 5), 0};
  core::Workspace workspace;
  CHECK_THROWS_AS(clip_with_gradient(x, x, {}, workspace, overlapping), std::invalid_argument);
  ContrastiveGradient<Eigen::Map<RowMatrix<float>>> wrong_shape{
      0, Eigen::Map<RowMatrix<float>>(both.data(), 6, 5),
      Eigen::Map<RowMatrix<float>>(both.data() + 30, 5, 5), 0};
  CHECK_THROWS_AS(clip_with_gradient(x, x, {}, workspace, wrong_shape), std::invalid_argument);
}

TEST_CASE_TEMPLATE("arguments of every layout give the same bits", T, float, double) {
  using Column = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const Index n = 21, d = 10;
  const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  const auto want = every_loss<T>(x, y, 0.1);
  const auto same = [&](const std::vector<Case<T>>& got) {
    for (std::size_t k = 0; k < want.size(); ++k) {
      CAPTURE(want[k].name);
      CHECK(got[k].loss == want[k].loss);
      CHECK(same_bits(got[k].x, want[k].x));
      CHECK(same_bits(got[k].y, want[k].y));
    }
  };
  const Column cx = x, cy = y;
  same(every_loss<T>(cx, cy, 0.1));
  const RowMatrix<T> tx = x.transpose(), ty = y.transpose();
  same(every_loss<T>(tx.transpose(), ty.transpose(), 0.1));
  RowMatrix<T> big = RowMatrix<T>::Random(n + 3, 2 * d + 5);
  big.block(1, 2, n, d) = x;
  big.block(1, d + 3, n, d) = y;
  same(every_loss<T>(big.block(1, 2, n, d), big.block(1, d + 3, n, d), 0.1));
  std::vector<T> strided(std::size_t(n * d * 2));
  Eigen::Map<RowMatrix<T>, 0, Eigen::Stride<Eigen::Dynamic, 2>> every_second(strided.data(), n, d,
                                                                             {2 * d, 2});
  every_second = x;
  same(every_loss<T>(every_second, y, 0.1));
  same(every_loss<T>(x + RowMatrix<T>::Zero(n, d), y, 0.1));

  // Per-row lambda as a column, a row, a strided map or an array's matrix.
  const Vector<T> lambda = Vector<T>::LinSpaced(n, T(0), T(1));
  const auto column = m2_mix_with_gradient(x, y, lambda, {});
  CHECK(same_bits(m2_mix_with_gradient(x, y, lambda.transpose(), {}).x, column.x));
  CHECK(same_bits(m2_mix_with_gradient(x, y, lambda.array().matrix(), {}).x, column.x));
  Vector<T> doubled(2 * n);
  Eigen::Map<Vector<T>, 0, Eigen::InnerStride<2>> spaced(doubled.data(), n);
  spaced = lambda;
  CHECK(same_bits(m2_mix_with_gradient(x, y, spaced, {}).lambda, column.lambda));
}

TEST_CASE_TEMPLATE("results go into the caller's buffers, with a workspace that is reused", T,
                   float, double) {
  const Index n = 40, d = 12;
  const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  core::Workspace workspace;
  const auto want = clip_with_gradient(x, y);
  std::vector<T> gx(std::size_t(n * d)), gy(std::size_t(n * d));
  ContrastiveGradient<Eigen::Map<RowMatrix<T>>> maps{0, {gx.data(), n, d}, {gy.data(), n, d}, 0};
  clip_with_gradient(x, y, {}, workspace, maps);
  CHECK(same_bits(maps.x, want.x));
  CHECK(maps.loss == want.loss);
  CHECK(maps.log_temperature == want.log_temperature);
  // A column-major output is written through a temporary.
  struct {
    double loss;
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> x, y;
    double log_temperature;
  } columns;
  clip_with_gradient(x, y, {}, workspace, columns);
  CHECK(same_bits(columns.y, want.y));

  ContrastiveGradient<RowMatrix<T>> out;
  clip_with_gradient(x, y, {}, workspace, out);
  const T* const place = out.x.data();
  const std::size_t held = workspace.capacity();
  clip_with_gradient(x, y, {}, workspace, out);
  CHECK(out.x.data() == place);
  CHECK(workspace.capacity() == held);
  CHECK(same_bits(out.x, want.x));

  MixGradient<RowMatrix<T>, Vector<T>> mixed;
  const Vector<T> lambda = Vector<T>::Constant(n, T(0.5));
  m2_mix_with_gradient(x, y, lambda, {}, workspace, mixed);
  CHECK(same_bits(mixed.x, m2_mix_with_gradient(x, y, lambda, {}).x));
}

TEST_CASE_TEMPLATE("tables of several tiles, merged in either order, against long double", T, float,
                   double) {
  const Index n = 600, d = 6;  // two tiles across, two down
  const long double tau = 0.05L;
  RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  y.bottomRows(n / 2) *= T(0.5);  // the second half of every row of the table is smaller,
  x.topRows(n / 2) *= T(0.5);     // and the first half of every column
  const LongMatrix a = x.template cast<long double>(), b = y.template cast<long double>();
  const LongMatrix z = a * b.transpose() / tau;
  LongMatrix by_row = z, by_column = z;
  LongReal loss = 0;
  for (Index i = 0; i < n; ++i) {
    const LongReal row = z.row(i).maxCoeff(), column = z.col(i).maxCoeff();
    by_row.row(i) = (z.row(i).array() - row).exp();
    by_column.col(i) = (z.col(i).array() - column).exp();
    const LongReal in_row = by_row.row(i).sum(), in_column = by_column.col(i).sum();
    loss += (row + std::log(in_row) + column + std::log(in_column)) / 2 - z(i, i);
    by_row.row(i) /= in_row;
    by_column.col(i) /= in_column;
  }
  const LongMatrix g =
      ((by_row + by_column) / 2 - LongMatrix::Identity(n, n)) / (tau * LongReal(n));
  const auto got = clip_with_gradient(x, y, {.temperature = double(tau)});
  const double eps = double(core::epsilon<T>);
  CHECK(relative_error(got.loss, loss / n) < 8 * eps);
  CHECK(matrix_error(got.x, LongMatrix(g * b)) < 64 * eps);
  CHECK(matrix_error(got.y, LongMatrix(g.transpose() * a)) < 64 * eps);
}

TEST_CASE_TEMPLATE("a small memory budget recomputes tiles and changes digits only", T, float,
                   double) {
  const Index n = 1300, d = 24;
  const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(n, d, 2);
  const auto kept = every_loss<T>(x, y, 0.05);
  const auto recomputed = every_loss<T>(x, y, 0.05, sizeof(T) == 4 ? 9'000'000 : 14'000'000);
  for (std::size_t k = 0; k < kept.size(); ++k) {
    CAPTURE(kept[k].name);
    CHECK(relative_error(recomputed[k].loss, kept[k].loss) < 4 * double(core::epsilon<T>));
    CHECK(matrix_error(recomputed[k].x, kept[k].x) < 64 * double(core::epsilon<T>));
    CHECK(matrix_error(recomputed[k].y, kept[k].y) < 64 * double(core::epsilon<T>));
  }
  core::Workspace workspace;
  ContrastiveGradient<RowMatrix<T>> out;
  clip_with_gradient(x, y, {.memory_budget = 9'500'000}, workspace, out);
  CHECK(workspace.capacity() <= 9'500'000);
}

#if defined(_OPENMP)
TEST_CASE_TEMPLATE("the same bits for 1, 2, 3 and 8 threads, and for concurrent calls", T, float,
                   double) {
  const int before = omp_get_max_threads();
  const auto same = [](const std::vector<Case<T>>& a, const std::vector<Case<T>>& b) {
    for (std::size_t k = 0; k < a.size(); ++k) {
      CAPTURE(a[k].name);
      CHECK(a[k].loss == b[k].loss);
      CHECK(same_bits(a[k].x, b[k].x));
      CHECK(same_bits(a[k].y, b[k].y));
      CHECK(a[k].log_temperature == b[k].log_temperature);
    }
  };
  const RowMatrix<T> x = unit_rows<T>(1111, 40, 1), y = unit_rows<T>(1111, 40, 2);
  omp_set_num_threads(1);
  const auto one = every_loss<T>(x, y, 0.05), one_small = every_loss<T>(x, y, 0.05, 20'000'000);
  // 68 rows are one tile, whose columns the threads share.
  const RowMatrix<T> few_x = unit_rows<T>(68, 480, 1), few_y = unit_rows<T>(68, 480, 2);
  const auto few = every_loss<T>(few_x, few_y, 0.05);
  for (const int threads : {2, 3, 8}) {
    CAPTURE(threads);
    omp_set_num_threads(threads);
    same(every_loss<T>(x, y, 0.05), one);
    same(every_loss<T>(x, y, 0.05, 20'000'000), one_small);
    same(every_loss<T>(few_x, few_y, 0.05), few);
  }
  omp_set_num_threads(before);
  std::vector<Case<T>> left, right;
  std::thread other([&] { left = every_loss<T>(x, y, 0.05); });
  right = every_loss<T>(x, y, 0.05);
  other.join();
  same(left, one);
  same(right, one);
}
#endif

TEST_CASE("the clamp of a learned log scale states its gradient") {
  CHECK(clamp_log_scale(2.0).value == 2.0);
  CHECK(clamp_log_scale(2.0).gradient == 1);
  CHECK(clamp_log_scale(-1.0).value == 0);
  CHECK(clamp_log_scale(-1.0).gradient == 0);
  CHECK(clamp_log_scale(9.0).value == std::log(100.0));
  CHECK(clamp_log_scale(9.0).gradient == 0);
  CHECK(std::isnan(clamp_log_scale(core::nan<double>).value));
  CHECK_THROWS_AS((void)clamp_log_scale(0, 1, 0), std::invalid_argument);
}
