// The Brownian bridge and deep feature separation against their formulas.
#include "spheremix/losses/brownian_bridge.hpp"
#include "spheremix/losses/feature_separation.hpp"
#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

template <class Ratio>
LongReal bridge_oracle(const LongBatches& in, const Ratio& ratio) {
  LongReal sum = 0;
  for (Index i = 0; i < in[0].rows(); ++i) {
    const LongReal r = ratio(i);
    const LongVector m = (r * in[1].row(i) + (1 - r) * in[2].row(i)).transpose();
    sum += (in[0].row(i).transpose() - m / m.norm()).squaredNorm();
  }
  return sum / LongReal(in[0].rows());
}

/// in: x, y, xi, yi, xa, ya.
LongReal separation_oracle(const LongBatches& in, LongReal tau, const FeatureSeparationOptions& o) {
  const Index n = in[0].rows();
  LongReal ortho = 0, contrast = 0, kernel[2] = {};
  for (int s : {0, 1}) {
    const LongMatrix &x = in[std::size_t(s)], &xi = in[std::size_t(s + 2)],
                     &xa = in[std::size_t(s + 4)];
    const LongMatrix& keys = o.denominator == Denominator::printed ? xi : xa;
    for (Index j = 0; j < n; ++j) {
      const LongReal c = x.row(j).dot(xi.row(j));
      ortho += c * c / LongReal(n);
      LongReal below = 0;
      for (Index k = 0; k < n; ++k) {
        below += std::exp(xi.row(j).dot(keys.row(k)) / tau);
        kernel[s] += std::exp(-2 * (xi.row(j) - xi.row(k)).squaredNorm()) / LongReal(n);
      }
      contrast += (std::log(below) - xi.row(j).dot(xa.row(j)) / tau) / LongReal(n);
    }
  }
  const LongReal uniform = o.uniformity == UniformityReading::joint
                               ? std::log(kernel[0] + kernel[1])
                               : std::log(kernel[0]) + std::log(kernel[1]);
  return o.ortho_weight * ortho + o.contrast_weight * contrast + o.uniformity_weight * uniform;
}

}  // namespace

TEST_CASE_TEMPLATE("brownian_bridge equals its formula with gradients", T, float, double) {
  const double within = sizeof(T) == 8 ? 1e-10 : 4e-6;
  for (const double r : {0.25, 0.0, 1.0, 0.5})
    for (const auto& [n, d] : {std::pair<Index, Index>{7, 4}, {1, 2}}) {
      const RowMatrix<T> a = unit_rows<T>(n, d, 1), x = unit_rows<T>(n, d, 2),
                         y = unit_rows<T>(n, d, 3);
      const auto got = brownian_bridge_with_gradient(a, x, y, {.ratio = r});
      check_loss_of_batches(
          "bridge",
          [&](const LongBatches& in) {
            return bridge_oracle(in, [=](Index) { return LongReal(r); });
          },
          widened(a, x, y), got.loss, widened(got.augmented, got.x, got.y), within);
      CHECK(brownian_bridge(a, x, y, {.ratio = r}) == got.loss);
    }
}

TEST_CASE_TEMPLATE("brownian_bridge takes a time a row", T, float, double) {
  const double within = sizeof(T) == 8 ? 1e-10 : 4e-6;
  const RowMatrix<T> a = unit_rows<T>(5, 6, 1), x = unit_rows<T>(5, 6, 2),
                     y = unit_rows<T>(5, 6, 3);
  const std::vector<double> ratios{0.25, 0, 1, 0.9, 0.125};
  const auto got = brownian_bridge_with_gradient(a, x, y, {.ratios = ratios});
  check_loss_of_batches(
      "bridge",
      [&](const LongBatches& in) {
        return bridge_oracle(in, [&](Index i) { return LongReal(ratios[std::size_t(i)]); });
      },
      widened(a, x, y), got.loss, widened(got.augmented, got.x, got.y), within);
  CHECK(brownian_bridge(a, x, y, {.ratio = 0.7, .ratios = ratios}) == got.loss);
  const auto equal = brownian_bridge_with_gradient(a, x, y, {.ratios = std::vector(5, 0.3)});
  const auto one = brownian_bridge_with_gradient(a, x, y, {.ratio = 0.3});
  CHECK((equal.loss == one.loss && equal.x == one.x && equal.y == one.y));
  for (const auto& wrong : {std::vector<double>{0.5}, {0, 0, 0, 0, 1.5}, {0, -1, 0, 0, 0}})
    CHECK_THROWS_AS((void)brownian_bridge(a, x, y, {.ratios = wrong}), std::invalid_argument);
  std::vector<double> nan = ratios;
  nan[2] = core::nan<double>;
  CHECK_THROWS_AS((void)brownian_bridge(a, x, y, {.ratios = nan}), std::invalid_argument);
}

TEST_CASE("brownian_bridge: identities, and the printed inner product is another function") {
  const Index n = 6, d = 5;
  const RowMatrix<double> a = unit_rows<double>(n, d, 1), x = unit_rows<double>(n, d, 2),
                          y = unit_rows<double>(n, d, 3);
  double cosine = 0, inner = 0;
  for (Index i = 0; i < n; ++i) {
    const Vector<double> m = 0.25 * x.row(i) + 0.75 * y.row(i);
    CHECK(m.norm() >= 0.5);  // |m| >= |1 - 2 r|
    cosine += 2 - 2 * a.row(i).dot(m) / m.norm();
    inner += 1 - a.row(i).dot(m);
  }
  const double loss = brownian_bridge(a, x, y);
  CHECK(relative_error(loss, cosine / n) < 1e-14);  // unit rows: 2 - 2 a.mu
  CHECK(relative_error(loss, 2 * inner / n) > 1e-3);
  const RowMatrix<double> minus = -x;
  CHECK_THROWS_AS((void)brownian_bridge(a, x, minus, {.ratio = 0.5}), std::invalid_argument);
  CHECK_NOTHROW((void)brownian_bridge(a, x, minus));
  CHECK_THROWS_AS((void)brownian_bridge(a, x, y, {.ratio = 1.5}), std::invalid_argument);
  CHECK_THROWS_AS((void)brownian_bridge(a.topRows(3), x, y), std::invalid_argument);
  RowMatrix<double> bad = x;
  bad(0, 0) = core::nan<double>;
  CHECK(std::isnan(brownian_bridge(a, bad, y)));
  // The length of the rows is no matter, until its square leaves the range of double.
  CHECK(relative_error(brownian_bridge(a, x * 1e-138, y * 1e-138), loss) < 1e-14);
  for (const double scale : {1e200, 1e-160}) {
    const auto got = brownian_bridge_with_gradient(a, x * scale, y * scale);
    CHECK((std::isnan(got.loss) && std::isnan(got.x(0, 0))));
  }
}

TEST_CASE_TEMPLATE("feature_separation equals its formula with gradients, every option", T, float,
                   double) {
  const double tau = 0.3, within = sizeof(T) == 8 ? 1e-9 : 3e-5;
  for (const auto denominator : {Denominator::printed, Denominator::augmented})
    for (const auto reading : {UniformityReading::joint, UniformityReading::separate})
      for (const Index n : {1, 6}) {
        const Index d = 4;
        std::vector<RowMatrix<T>> b;
        for (std::uint32_t s = 0; s < 6; ++s) b.push_back(unit_rows<T>(n, d, 10 + s));
        const FeatureSeparationOptions o{.temperature = tau,
                                         .ortho_weight = 0.7,
                                         .contrast_weight = 0.4,
                                         .uniformity_weight = 1.2,
                                         .denominator = denominator,
                                         .uniformity = reading};
        const auto got = feature_separation_with_gradient(b[0], b[1], b[2], b[3], b[4], b[5], o);
        const auto in = widened(b[0], b[1], b[2], b[3], b[4], b[5]);
        check_loss_of_batches(
            "separation",
            [&](const LongBatches& v) { return separation_oracle(v, LongReal(tau), o); }, in,
            got.loss,
            widened(got.x, got.y, got.x_independent, got.y_independent, got.x_augmented,
                    got.y_augmented),
            within);
        check_slope_of_log(
            "tau", [&](LongReal t) { return separation_oracle(in, t, o); }, tau,
            got.log_temperature, within);
        CHECK(feature_separation(b[0], b[1], b[2], b[3], b[4], b[5], o) ==
              doctest::Approx(got.loss).epsilon(1e-6));
      }
}

TEST_CASE("feature_separation: orthogonal features cost nothing, strips give one result, errors") {
  const Index n = 200, d = 16;
  std::vector<RowMatrix<double>> b;
  for (std::uint32_t s = 0; s < 6; ++s) b.push_back(unit_rows<double>(n, d, 10 + s));
  const FeatureSeparationOptions ortho{.contrast_weight = 0, .uniformity_weight = 0};
  for (Index i = 0; i < n; ++i)
    for (const std::size_t s : {0u, 1u})
      b[s + 2].row(i) -= b[s].row(i).dot(b[s + 2].row(i)) * b[s].row(i);
  CHECK(feature_separation(b[0], b[1], b[2], b[3], b[4], b[5], ortho) < 1e-30);
  const auto wide = feature_separation_with_gradient(b[0], b[1], b[2], b[3], b[4], b[5]);
  const auto narrow = feature_separation_with_gradient(b[0], b[1], b[2], b[3], b[4], b[5],
                                                       {.memory_budget = std::size_t(8) << 20});
  CHECK(relative_error(wide.loss, narrow.loss) < 1e-14);
  CHECK(matrix_error(wide.x_independent, narrow.x_independent) < 1e-13);
  CHECK_THROWS_AS((void)feature_separation(b[0], b[1], b[2], b[3], b[4], b[5].topRows(3)),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)feature_separation(b[0], b[1], b[2], b[3], b[4], b[5], {.temperature = -1}),
                  std::invalid_argument);
  b[2](3, 3) = core::nan<double>;
  CHECK(std::isnan(feature_separation(b[0], b[1], b[2], b[3], b[4], b[5])));
}
