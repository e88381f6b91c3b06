// relative_alignment, contrastive_calibration and hardness: metrics over all pairs of two batches.
#include <doctest/doctest.h>
#include <omp.h>

#include "spheremix/metrics/contrastive_calibration.hpp"
#include "spheremix/metrics/hardness.hpp"
#include "spheremix/metrics/relative_alignment.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

long double slow_relative_alignment(const LongMatrix& x, const LongMatrix& y) {
  long double sum = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    long double nearest = 1e4000L;
    for (Index k = 0; k < y.rows(); ++k)
      if (k != i) nearest = std::min(nearest, (x.row(i) - y.row(k)).squaredNorm());
    sum += (x.row(i) - y.row(i)).squaredNorm() - nearest;
  }
  return sum / (long double)(x.rows());
}

/// Confidences and their correctness in long double, then the bins from the definition.
long double slow_ece(const LongMatrix& x, const LongMatrix& y, long double tau, Index bins) {
  const LongMatrix s = x * y.transpose();
  const Index n = s.rows();
  long double ece = 0;
  std::vector<long double> confidence;
  std::vector<bool> right;
  for (Index i = 0; i < n; ++i) {
    const long double top = s.row(i).maxCoeff();
    long double z = 0;
    Index rank = 1;
    for (Index j = 0; j < n; ++j) {
      z += std::exp((s(i, j) - top) / tau);
      rank += j != i && s(i, j) >= s(i, i);
    }
    confidence.push_back(1 / z);
    right.push_back(rank == 1);
  }
  for (Index b = 0; b < bins; ++b) {
    long double gap = 0;
    for (Index i = 0; i < n; ++i) {
      const long double p = confidence[std::size_t(i)];
      if (p > (long double)(b) / bins && p <= (long double)(b + 1) / bins)
        gap += right[std::size_t(i)] - p;
    }
    ece += std::abs(gap) / n;
  }
  return ece;
}

}  // namespace

TEST_CASE_TEMPLATE("relative alignment against the definition, also in a narrow cone", T, float,
                   double) {
  for (const Index n : {2, 3, 84, 253, 510}) {
    for (const long double cone : {0.0L, 3.0L, 300.0L}) {
      CAPTURE(n);
      LongMatrix x = gaussian_rows<double>(n, 12, 1).cast<long double>();
      LongMatrix y = x + 0.7L * gaussian_rows<double>(n, 12, 2).cast<long double>();
      x.col(0).array() += cone;
      y.col(1).array() += cone / 2;
      x.rowwise().normalize();
      y.rowwise().normalize();
      const RowMatrix<T> a = x.cast<T>(), b = y.cast<T>();
      const LongMatrix la = a.template cast<long double>(), lb = b.template cast<long double>();
      const long double want = slow_relative_alignment(la, lb);
      const double scale = double((la - lb).rowwise().squaredNorm().mean());
      CHECK(std::abs(metrics::relative_alignment(a, b) - double(want)) <=
            16 * double(core::epsilon<T>) * scale);
      const LongMatrix s = la * lb.transpose();
      long double cosine = 0;
      for (Index i = 0; i < n; ++i) {
        long double most = -2;
        for (Index k = 0; k < n; ++k)
          if (k != i) most = std::max(most, s(i, k));
        cosine += 2 * (most - s(i, i)) / n;
      }
      CHECK(std::abs(double(cosine - want)) < 16 * double(core::epsilon<T>) * (1 + scale));
    }
  }
}

TEST_CASE("relative alignment is 0 for a collapsed batch and negative for separated pairs") {
  const RowMatrix<double> x = unit_rows<double>(50, 16, 1), same = x.topRows(1).replicate(50, 1);
  CHECK(metrics::relative_alignment(same, same) == 0);
  CHECK(metrics::relative_alignment(x, same) == 0);
  CHECK(metrics::relative_alignment(x, x) < -0.3);
  CHECK_THROWS_AS((void)metrics::relative_alignment(x.topRows(1), x.topRows(1)),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::relative_alignment(x, x.leftCols(3)), std::invalid_argument);
  RowMatrix<double> bad = x;
  bad(3, 3) = core::nan<double>;
  CHECK_THROWS_AS((void)metrics::relative_alignment(x, bad), std::invalid_argument);
  CHECK_THROWS_AS(
      (void)metrics::relative_alignment(1e-10f * x.cast<float>(), 1e25f * x.cast<float>()),
      std::invalid_argument);
  const RowMatrix<float> f = unit_rows<float>(1000, 20, 5), g = rows_at_angle(f, 0.9L, 6);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const double one = metrics::relative_alignment(f, g);
  omp_set_num_threads(4);
  CHECK(metrics::relative_alignment(f, g) == one);
  omp_set_num_threads(before);
}

TEST_CASE_TEMPLATE("contrastive calibration against the definition, in both directions", T, float,
                   double) {
  for (const Index n : {1, 2, 60, 300, 520}) {
    for (const double tau : {0.01, 0.07, 1.0}) {
      CAPTURE(n);
      CAPTURE(tau);
      const RowMatrix<T> x = unit_rows<T>(n, 16, 1), y = rows_at_angle<T>(x, 0.8L, 2);
      const LongMatrix lx = x.template cast<long double>(), ly = y.template cast<long double>();
      const auto got = metrics::contrastive_calibration(x, y, {.temperature = tau, .bins = 15});
      const double tolerance = 64 * double(core::epsilon<T>) * std::max(1.0, 1 / tau);
      CHECK(std::abs(got.x_to_y - double(slow_ece(lx, ly, tau, 15))) < tolerance);
      CHECK(std::abs(got.y_to_x - double(slow_ece(ly, lx, tau, 15))) < tolerance);
      Index count = 0;
      for (const auto& bin : got.x_to_y_bins) count += bin.count;
      CHECK((got.x_to_y_bins.size() == 15 && count == n));
    }
  }
}

TEST_CASE("calibration of the extremes") {
  const RowMatrix<double> x = RowMatrix<double>::Identity(8, 8);
  CHECK(metrics::contrastive_calibration(x, x, {.temperature = 0.01}).x_to_y <
        1e-15);  // sure and right
  const RowMatrix<double> turned = x.rowwise().reverse();
  CHECK(metrics::contrastive_calibration(x, turned, {.temperature = 0.01}).x_to_y > 1 - 1e-15);
  // Everything ties: confidence 1/8, nothing right.
  const RowMatrix<double> same = x.topRows(1).replicate(8, 1);
  CHECK(std::abs(metrics::contrastive_calibration(same, same).y_to_x - 0.125) < 1e-15);
  for (const double tau : {0.0, -1.0, 1e-320, core::nan<double>, core::infinity<double>})
    CHECK_THROWS_AS((void)metrics::contrastive_calibration(x, x, {.temperature = tau}),
                    std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::contrastive_calibration(x, x, {.bins = 0}), std::invalid_argument);
  RowMatrix<double> bad = x;
  bad(3, 3) = core::nan<double>;
  CHECK_THROWS_AS((void)metrics::contrastive_calibration(x, bad), std::invalid_argument);
}

TEST_CASE("hardness is the share of harder mixtures, and follows the exact criterion") {
  const Index n = 260, d = 10;
  LongMatrix x = gaussian_rows<double>(n, d, 1).cast<long double>();
  LongMatrix y = 0.5L * x + gaussian_rows<double>(n, d, 2).cast<long double>();
  x.col(0).array() += 1.5L;
  y.col(1).array() += 1.5L;
  x.rowwise().normalize();
  y.rowwise().normalize();
  const RowMatrix<double> a = x.cast<double>(), b = y.cast<double>();
  for (const double lambda : {0.1, 0.3, 0.5, 0.8, 1.0}) {
    CAPTURE(lambda);
    Index by_products = 0, by_criterion = 0;
    for (Index j = 0; j < n; ++j) {
      const long double theta = std::acos(x.row(j).dot(y.row(j)));
      const LongVector m =
          ((std::sin(lambda * theta) * x.row(j) + std::sin((1 - lambda) * theta) * y.row(j)) /
           std::sin(theta))
              .transpose();
      const long double kappa = std::cos((1 - lambda / 2) * theta) / std::cos(lambda * theta / 2);
      for (Index i = 0; i < n; ++i) {
        if (i == j) continue;
        by_products += x.row(i).dot(m) >= x.row(i).dot(y.row(j));
        by_criterion += x.row(i).dot(x.row(j)) >= kappa * x.row(i).dot(y.row(j));
      }
    }
    const double got = metrics::hardness(a, b, lambda);
    CHECK(by_products == by_criterion);
    CHECK(std::abs(got - double(by_products) / double(n * (n - 1))) <
          2e-5);  // one pair of 67340 is 1.5e-5
    CHECK((got > 0.3 && got < 0.99));
  }
  CHECK(metrics::hardness(a, b, 0.0) == 1);  // the mixture is the negative itself
  CHECK(metrics::hardness(a, b, a) == metrics::hardness(a, b, 1.0));
  CHECK_THROWS_AS((void)metrics::hardness(a.topRows(1), b.topRows(1), 0.5), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::hardness(a, b, 1.5), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::hardness(a, b, b.topRows(3)), std::invalid_argument);
  RowMatrix<double> bad = b;
  bad(3, 3) = core::nan<double>;
  CHECK_THROWS_AS((void)metrics::hardness(a, b, bad), std::invalid_argument);
}

TEST_CASE("hardness counts ties and leaves the own pair out") {
  const RowMatrix<float> x = RowMatrix<float>::Identity(3, 3);
  RowMatrix<float> m = x;  // y = x: m_j - y_j decides
  m(0, 1) = -1;            // m_0 is less like x_1
  m(1, 1) = 5;             // more like its own anchor only
  CHECK(metrics::hardness(x, x, m) == 5.0 / 6);
}
