// SupCon and SupReMix against dense long-double references that build every mixture as a vector.
#include "spheremix/losses/sup_con.hpp"

#include "spheremix/losses/sup_remix.hpp"
#include "support/many_inputs.hpp"
#include "support/remix_oracle.hpp"
#include "support/threads.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

LongReal sup_con_oracle(const LongMatrix& x, const Vector<double>& y, LongReal tau,
                        double tolerance) {
  LongReal total = 0;
  Index anchors = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    LongReal below = 0, top = 0;
    Index count = 0;
    for (Index q = 0; q < x.rows(); ++q) {
      if (q == i) continue;
      const LongReal z = x.row(i).dot(x.row(q)) / tau;
      below += std::exp(z);
      if (std::abs(y(q) - y(i)) <= tolerance) ++count, top += z;
    }
    if (count == 0) continue;
    ++anchors;
    total += std::log(below) - top / LongReal(count);
  }
  return anchors == 0 ? 0 : total / LongReal(anchors);
}

template <class T>
double within() {
  return sizeof(T) == 8 ? 1e-9 : 2e-5;
}

RowMatrix<double> shares(Index n) {
  RowMatrix<double> l(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < n; ++k) l(i, k) = double((7 * i + 3 * k) % 16) / 16;  // exact in float
  return l;
}

}  // namespace

TEST_CASE_TEMPLATE("sup_con equals its formula with gradients", T, float, double) {
  for (const double tau : {1.0, 0.1})
    for (const double tolerance : {0.0, 0.6}) {
      const Index n = 9;
      const RowMatrix<T> x = unit_rows<T>(n, 4, 3);
      Vector<double> y(n);
      y << 1, 2, 1, 3, 2.5, 1, 7, 2, 3;  // 7 is alone
      const SupConOptions o{.temperature = tau, .label_tolerance = tolerance};
      const auto got = sup_con_with_gradient(x, y, o);
      check_loss_of_batches(
          "sup_con",
          [&](const LongBatches& in) { return sup_con_oracle(in[0], y, LongReal(tau), tolerance); },
          widened(x), got.loss, widened(got.x), within<T>() / tau);
      const LongMatrix wide = x.template cast<LongReal>();
      check_slope_of_log(
          "tau", [&](LongReal t) { return sup_con_oracle(wide, y, t, tolerance); }, tau,
          got.log_temperature, within<T>() / tau);
      CHECK(got.skipped == (tolerance == 0 ? 2 : 1));
      CHECK(sup_con(x, y, o) == got.loss);
    }
}

TEST_CASE("sup_con: no positives, a dominant positive, the budget, threads, errors") {
  const RowMatrix<double> x = unit_rows<double>(6, 4, 3);
  const auto alone = sup_con_with_gradient(x, Vector<int>::LinSpaced(6, 0, 5).eval());
  CHECK(alone.loss == 0);
  CHECK(alone.skipped == 6);
  CHECK(alone.x.isZero(0));
  // Two tight pairs far apart at tau = 0.02: the loss is about 2 e^-100, not 0.
  RowMatrix<double> pairs(4, 2);
  pairs << 1, 0, 1, 0, -1, 0, -1, 0;
  const Eigen::Vector4i y(0, 0, 1, 1);
  const auto sure = sup_con_with_gradient(pairs, y, {.temperature = 0.02});
  CHECK(relative_error(sure.loss, 2 * std::exp(-100.0L)) < 1e-12);
  CHECK(sure.x.norm() > 0);

  const RowMatrix<double> big = unit_rows<double>(700, 24, 9);
  Vector<double> labels(700);
  for (Index i = 0; i < 700; ++i) labels(i) = double(i % 13);
  const auto wide = sup_con_with_gradient(big, labels);
  const auto narrow = sup_con_with_gradient(big, labels, {.memory_budget = std::size_t(8) << 20});
  CHECK(wide.loss == narrow.loss);
  CHECK(same_bits(wide.x, narrow.x));
#if defined(_OPENMP)
  const Threads keep(omp_get_max_threads());  // its number comes back at the end
  omp_set_num_threads(1);
  const auto serial = sup_con_with_gradient(big, labels);
  omp_set_num_threads(3);
  CHECK(serial.loss == wide.loss);
  CHECK(same_bits(serial.x, wide.x));
#endif
  CHECK_THROWS_AS((void)sup_con(big, labels, {.memory_budget = 1000}), std::invalid_argument);
  CHECK_THROWS_AS((void)sup_con(big, y), std::invalid_argument);
  CHECK_THROWS_AS((void)sup_con(x.topRows(0), labels.head(0)), std::invalid_argument);
  RowMatrix<double> bad = x;
  bad(1, 1) = core::infinity<double>;
  CHECK(std::isnan(sup_con(bad, labels.head(6))));
}

TEST_CASE_TEMPLATE("sup_remix equals the dense formula, every switch", T, float, double) {
  const Index n = 8;
  const double tau = 0.4;
  const RowMatrix<T> x = unit_rows<T>(n, 5, 7);
  const RowMatrix<double> lambda = shares(n);
  const RowMatrix<T> lambda_t = lambda.template cast<T>();
  Vector<double> y(n);
  y << 3, 1, 2, 2.5, 9, 3, 2, 4.25;  // 9 has neither positives nor a right parent
  const LongMatrix away = distances_of(y), wide = lambda.cast<LongReal>();
  for (const bool detach : {true, false})
    for (const bool renormalise : {false, true})
      for (const auto weighting :
           {RemixWeighting::absolute, RemixWeighting::squared, RemixWeighting::none})
        for (const double tolerance : {0.0, 0.5})  // 2, 2.5 and 3 are equal in pairs
          for (const int mixtures : {3, 1, 2}) {
            CAPTURE(detach);
            CAPTURE(renormalise);
            CAPTURE(tolerance);
            CAPTURE(mixtures);
            if (mixtures != 3 && weighting != RemixWeighting::absolute) continue;
            const SupRemixOptions o{.temperature = tau,
                                    .window = 2,
                                    .label_tolerance = tolerance,
                                    .weighting = weighting,
                                    .mix_negatives = (mixtures & 1) != 0,
                                    .mix_positives = (mixtures & 2) != 0,
                                    .detach = detach,
                                    .renormalise = renormalise};
            const LongMatrix fixed = x.template cast<LongReal>();
            const auto f = [&](const LongMatrix& rows, LongReal t) {
              return remix_oracle(rows, detach ? fixed : rows, away, wide, t, o);
            };
            const auto got = sup_remix_with_gradient(x, y, lambda_t, o);
            check_loss_of_batches(
                "sup_remix", [&](const LongBatches& in) { return f(in[0], LongReal(tau)); },
                widened(x), got.loss, widened(got.x), within<T>());
            check_slope_of_log(
                "tau", [&](LongReal t) { return f(fixed, t); }, tau, got.log_temperature,
                within<T>());
            CHECK(sup_remix(x, y, lambda_t, o) == doctest::Approx(got.loss).epsilon(1e-6));
          }
}

TEST_CASE_TEMPLATE("sup_remix: identities", T, float, double) {
  const Index n = 40;
  const RowMatrix<T> x = unit_rows<T>(n, 6, 7);
  Vector<double> y(n);
  for (Index i = 0; i < n; ++i) y(i) = double(i % 7);
  const double eps = 64 * double(core::epsilon<T>);
  // No mixtures and equal weights: SupCon.
  const SupRemixOptions plain{.temperature = 0.2,
                              .weighting = RemixWeighting::none,
                              .mix_negatives = false,
                              .mix_positives = false};
  const auto base = sup_con_with_gradient(x, y, {.temperature = 0.2});
  const auto got = sup_remix_with_gradient(x, y, 0.3, plain);
  CHECK(relative_error(got.loss, base.loss) < eps);
  CHECK(matrix_error(got.x, base.x) < eps);
  // An affine map of the labels, with the window, keeps Mix-pos and its weights.
  const SupRemixOptions once{.window = 2.5, .weighting = RemixWeighting::none};
  const SupRemixOptions scaled{.window = 10, .weighting = RemixWeighting::none};
  const Vector<double> mapped = (4 * y.array() + 16).matrix();
  CHECK(sup_remix(x, y, 0.25, once) == sup_remix(x, mapped, 0.25, scaled));
  // The order of the rows is no matter, mixtures keep their labels.
  const RowMatrix<T> turned = x.colwise().reverse();
  const Vector<double> turned_y = y.reverse();
  const auto forward = sup_remix_with_gradient(x, y, 0.25, once);
  const auto backward = sup_remix_with_gradient(turned, turned_y, 0.25, once);
  CHECK(relative_error(forward.loss, backward.loss) < eps);
  CHECK(matrix_error(RowMatrix<T>(backward.x.colwise().reverse()), forward.x) < eps);
  // tau to infinity: every logit is 0, the loss is the mean log of the sum of weights.
  double want = 0;
  for (Index i = 0; i < n; ++i) {
    double weights = -1;  // i itself
    Index left = 0, right = 0;
    for (Index q = 0; q < n; ++q) {
      weights += 1 + std::abs(y(i) - y(q));
      if (y(q) != y(i)) weights += 1 + 0.75 * std::abs(y(i) - y(q));
      left += y(q) < y(i) && y(q) > y(i) - 2.5;
      right += y(q) > y(i) && y(q) < y(i) + 2.5;
    }
    want += std::log(weights + double(left * right)) / double(n);
  }
  CHECK(relative_error(sup_remix(x, y, 0.25, {.temperature = 1e6, .window = 2.5}), want) < 1e-5);
  // Extreme labels have no Mix-pos: two labels alone make none.
  Vector<double> two(n);
  for (Index i = 0; i < n; ++i) two(i) = double(i % 2);
  SupRemixOptions with{}, without{};
  without.mix_positives = false;
  with.window = without.window = 100;
  CHECK(sup_remix(x, two, 0.25, with) == sup_remix(x, two, 0.25, without));
}

TEST_CASE("sup_remix: drawn lambda, one matrix, errors") {
  const Index n = 90;
  const RowMatrix<float> x = unit_rows<float>(n, 6, 7);
  Vector<float> y(n);
  for (Index i = 0; i < n; ++i) y(i) = float(i % 11) / 2;
  core::Philox rng(5), again(5), other(6);
  const auto one = sup_remix_with_gradient(x, y, rng);
  CHECK(rng.step() == 1);
#if defined(_OPENMP)
  const Threads keep(omp_get_max_threads());  // its number comes back at the end
  omp_set_num_threads(1);
#endif
  const auto two = sup_remix_with_gradient(x, y, again);
  CHECK(one.loss == two.loss);
  CHECK(same_bits(one.x, two.x));
  CHECK(sup_remix(x, y, other) != one.loss);
  RowMatrix<float> lambda(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < n; ++k) {
      core::PhiloxStream stream(5, 0, std::uint64_t(i * n + k));
      lambda(i, k) = float(math::beta_draw(2, 8, stream));
    }
  CHECK(sup_remix(x, y, lambda) == one.loss);
  const Eigen::ArrayXXf array = lambda;
  CHECK(sup_remix(x, y, array) == one.loss);
  CHECK(sup_remix(x, y, 0.5) == sup_remix(x, y, RowMatrix<float>::Constant(n, n, 0.5f).eval()));
  // One of another type and order is copied for the call, which no sanitizer may object to.
  Eigen::MatrixXd eighths(n, n);
  for (Index i = 0; i < n * n; ++i) eighths(i) = double(5 * i % 9) / 8;
  CHECK(sup_remix(x, y, eighths) == sup_remix(x, y, RowMatrix<float>(eighths.cast<float>())));
  CHECK_THROWS_AS((void)sup_remix(x, y, 1.5), std::invalid_argument);
  CHECK_THROWS_AS((void)sup_remix(x, y, 0.5, {.window = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)sup_remix(x, y, rng, {.beta_a = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)sup_remix(x, y, lambda.topRows(3).eval()), std::invalid_argument);
  CHECK_THROWS_AS(
      (void)sup_remix(x, y, 0.5, {.renormalise = true, .memory_budget = std::size_t(1000)}),
      std::invalid_argument);
}
