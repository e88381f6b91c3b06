// Dirichlet weights and mixtures of k points on the sphere.
#include "spheremix/mixup/barycentre.hpp"

#include <doctest/doctest.h>

#include "spheremix/mixup/dirichlet.hpp"
#include "spheremix/mixup/geodesic.hpp"
#include "support/loss_oracle.hpp"

using namespace spheremix;
using namespace spheremix::mixup;
using namespace spheremix::test;

namespace {

LongVector log_oracle(const LongVector& m, const LongVector& x) {
  const LongVector t = x - m.dot(x) * m;
  const LongReal sine = t.norm();
  return sine == 0 ? t : LongVector(std::atan2(sine, m.dot(x)) / sine * t);
}

/// The mean of normalised rows, by the fixed point in long double.
LongVector mean_oracle(LongMatrix x, const LongVector& w) {
  for (Index j = 0; j < x.rows(); ++j) x.row(j) /= x.row(j).norm();
  LongVector m = x.transpose() * w;
  m /= m.norm();
  for (int k = 0; k < 400; ++k) {
    LongVector step = LongVector::Zero(m.size());
    for (Index j = 0; j < x.rows(); ++j) step += w(j) * log_oracle(m, x.row(j).transpose());
    step /= w.sum();
    const LongReal size = step.norm();
    if (size == 0) break;
    m = std::cos(size) * m + std::sin(size) / size * step;
    m /= m.norm();
  }
  return m;
}

/// Points within an open half sphere.
template <class T>
RowMatrix<T> cone(Index n, Index d, LongReal spread, std::uint32_t seed) {
  RowMatrix<T> centre(n, d);
  centre.rowwise() = unit<T>(d, 77).transpose();
  return rows_at_angle<T>(centre, spread, seed);
}

}  // namespace

TEST_CASE_TEMPLATE("barycentre equals the long-double fixed point, with its pullback", T, float,
                   double) {
  const double close = sizeof(T) == 8 ? 2e-9 : 2e-5;
  for (const Index d : {2, 3, 7})
    for (const LongReal spread : {0.1L, 0.8L, 1.2L}) {
      CAPTURE(d);
      CAPTURE(double(spread));
      const RowMatrix<T> x = cone<T>(6, d, spread, 5);
      Members members(3, 4);
      members << 0, 1, 2, 3, 4, 5, 1, 0, 2, 2, 3, 4;
      RowMatrix<T> w(3, 4);
      w << T(.1), T(.2), T(.3), T(.4), T(1), T(2), T(0), T(.5), T(.3), T(.2), T(.25), T(.25);
      const RowMatrix<T> g = gaussian_rows<T>(3, d, 9);
      const RowMatrix<T> m = barycentre(x, members, w);
      const auto all = [&](const LongMatrix& points, const LongMatrix& weights) {
        LongReal sum = 0;
        for (Index i = 0; i < 3; ++i) {
          LongMatrix chosen(4, d);
          for (Index j = 0; j < 4; ++j) chosen.row(j) = points.row(members(i, j));
          sum += mean_oracle(chosen, weights.row(i).transpose())
                     .dot(g.row(i).transpose().template cast<LongReal>());
        }
        return sum;
      };
      const LongMatrix wide = x.template cast<LongReal>(), wide_w = w.template cast<LongReal>();
      for (Index i = 0; i < 3; ++i) {
        LongMatrix chosen(4, d);
        for (Index j = 0; j < 4; ++j) chosen.row(j) = wide.row(members(i, j));
        const LongVector want = mean_oracle(chosen, wide_w.row(i).transpose());
        CHECK(double((m.row(i).transpose().template cast<LongReal>() - want).norm()) <
              8 * double(core::epsilon<T>));
      }
      const auto got = barycentre_vjp(x, members, w, g);
      const LongMatrix dx =
          differences([&](const LongMatrix& p) { return all(p, wide_w); }, wide, 1e-3L);
      const LongMatrix dw =
          differences([&](const LongMatrix& v) { return all(wide, v); }, wide_w, 1e-3L);
      CHECK(gradient_error(got.x, dx) < close);
      CHECK(gradient_error(got.weights, dw, 1e-2) < close);
    }
}

TEST_CASE_TEMPLATE("barycentre of two points is geodesic mixup, of one the point", T, float,
                   double) {
  const Index n = 5, d = 6;
  const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = rows_at_angle<T>(x, 1.1L, 2);
  RowMatrix<T> both(2 * n, d), w(n, 2);
  both << x, y;
  Members members(n, 2);
  Vector<T> lambda(n);
  for (Index i = 0; i < n; ++i) {
    members.row(i) << i, i + n;
    lambda(i) = T(i + 1) / T(8);
    w.row(i) << lambda(i), 1 - lambda(i);
  }
  const double eps = 32 * double(core::epsilon<T>);
  CHECK(matrix_error(barycentre(both, members, w), geodesic(x, y, lambda)) < eps);
  const RowMatrix<T> g = gaussian_rows<T>(n, d, 3);
  const auto got = barycentre_vjp(both, members, w, g);
  const auto want = geodesic_vjp(x, y, lambda, g);
  CHECK(matrix_error(got.x.topRows(n), want.x) < 4 * eps);
  CHECK(matrix_error(got.x.bottomRows(n), want.y) < 4 * eps);
  CHECK(matrix_error(Vector<T>(got.weights.col(0) - got.weights.col(1)), want.lambda) < 4 * eps);
  // A lone weight gives the row's bits; weights count up to their sum.
  RowMatrix<T> one = RowMatrix<T>::Zero(n, 2);
  one.col(1).setConstant(T(0.7));
  CHECK(same_bits(barycentre(both, members, one), y));
  CHECK(barycentre_vjp(both, members, one, g).x.allFinite());
  CHECK(matrix_error(barycentre(both, members, RowMatrix<T>(4 * w)), barycentre(both, members, w)) <
        eps);
}

TEST_CASE("barycentre and dirichlet: errors, NaN, laws") {
  RowMatrix<double> x(2, 2);
  x << 1, 0, -1, 0;
  const Members members = (Members(1, 2) << 0, 1).finished();
  const RowMatrix<double> half = RowMatrix<double>::Constant(1, 2, 0.5);
  CHECK_THROWS_AS((void)barycentre(x, members, half), std::invalid_argument);
  CHECK_THROWS_AS((void)barycentre(x, members, RowMatrix<double>::Zero(1, 2).eval()),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)barycentre(x, members, RowMatrix<double>::Constant(1, 2, -1).eval()),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)barycentre(x, (Members(1, 2) << 0, 2).finished(), half),
                  std::invalid_argument);
  x(1, 0) = core::nan<double>;
  CHECK(std::isnan(barycentre(x, members, half)(0, 0)));

  core::Philox rng(3), again(3);
  const Index n = 20000, k = 4;
  const double alpha = 0.7;
  const RowMatrix<double> w = dirichlet<double>(n, k, alpha, rng);
  CHECK(rng.step() == 1);
  CHECK((w.array() >= 0).all());
  CHECK((w.rowwise().sum().array() - 1).abs().maxCoeff() < 1e-15);
  // Mean 1/k, variance (1/k)(1 - 1/k)/(k alpha + 1): five standard errors.
  const double variance = 0.25 * 0.75 / (k * alpha + 1);
  for (Index j = 0; j < k; ++j) {
    CHECK(std::abs(w.col(j).mean() - 0.25) < 5 * std::sqrt(variance / double(n)));
    CHECK(std::abs((w.col(j).array() - 0.25).square().mean() / variance - 1) < 0.05);
  }
  CHECK(same_bits(dirichlet<double>(n, k, alpha, again), w));
  const RowMatrix<float> tiny = dirichlet<float>(100, 3, 1e-50, rng);
  CHECK(tiny.allFinite());
  CHECK((tiny.rowwise().maxCoeff().array() == 1).all());
  CHECK_THROWS_AS((void)dirichlet<double>(2, 0, 1, rng), std::invalid_argument);
  CHECK_THROWS_AS((void)dirichlet<double>(2, 2, 0, rng), std::invalid_argument);
}

TEST_CASE("barycentre: points in no open half sphere are an error, all others have a mean") {
  const Members three = (Members(1, 3) << 0, 1, 2).finished();
  const auto weights = [](double a, double b, double c) {
    return RowMatrix<double>((RowMatrix<double>(1, 3) << a, b, c).finished());
  };
  for (const Index d : {2, 3, 5})
    for (const double turn : {0.0, 0.2})
      for (const auto& w : {weights(1, 1, 1), weights(1, 1, 0.9), weights(0.2, 0.5, 0.3)}) {
        CAPTURE(d);
        CHECK_THROWS_AS((void)barycentre(ring(3, d, turn), three, w), std::invalid_argument);
        CHECK_THROWS_AS(
            (void)barycentre_vjp(ring(3, d, turn), three, w, RowMatrix<double>::Ones(1, d).eval()),
            std::invalid_argument);
      }
  // Lifted by little the three are in an open half sphere, their mean is the pole.
  for (const double lift : {1e-2, 1e-4}) {
    RowMatrix<double> x = ring(3, 3, 0.1);
    x.col(2).setConstant(lift);
    x.rowwise().normalize();
    const RowMatrix<double> m = barycentre(x, three, weights(1, 1, 1));
    CHECK(std::abs(m(0, 2) - 1) < 1e-12);
    CHECK(m.leftCols(2).norm() < 1e-9);
  }
  // A weight of 0 is not a point of the mixture, wherever it lies.
  RowMatrix<double> x = ring(3, 3, 0);
  x.row(2) << -1, 0, 0;
  x.row(0) << 1, 0, 0;
  CHECK(barycentre(x, three, weights(1, 0.5, 0)).allFinite());
  // A row of X that is not unit is named.
  x.row(1) *= 1.2;
  CHECK_THROWS_WITH_AS((void)barycentre(x, three, weights(1, 1, 0)),
                       doctest::Contains("row 1 of X has length 1.2"), std::invalid_argument);
}

TEST_CASE("barycentre: many points close to the edge of a half sphere") {
  // Plain fixed-point steps shrink by theta cot theta = 0.0016 a step here.
  const Index n = 60, d = 40;
  RowMatrix<double> x(n, d);
  for (Index i = 0; i < n; ++i)
    x.row(i) = at_angle(unit<double>(d, 3), 1.5698L, std::uint32_t(i) + 1).transpose();
  Members all(1, n);
  for (Index i = 0; i < n; ++i) all(0, i) = i;
  const RowMatrix<double> m = barycentre(x, all, RowMatrix<double>::Ones(1, n).eval());
  LongVector balance = LongVector::Zero(d);
  for (Index i = 0; i < n; ++i)
    balance +=
        log_oracle(m.row(0).transpose().cast<LongReal>(), x.row(i).transpose().cast<LongReal>());
  CHECK(double(balance.norm()) < 1e-13 * double(n));
}
