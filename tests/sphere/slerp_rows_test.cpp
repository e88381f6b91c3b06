#include "spheremix/sphere/slerp_rows.hpp"

#include <doctest/doctest.h>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("rows agree bit for bit with single vectors, for every length", T, float,
                   double) {
  for (Index d = 1; d <= 70; ++d) {
    const RowMatrix<T> u = unit_rows<T>(3, d, std::uint32_t(d)), g = gaussian_rows<T>(3, d, 7);
    const RowMatrix<T> v = d == 1 ? u : unit_rows<T>(3, d, std::uint32_t(d) + 100);
    const Vector<T> t = Vector<T>::LinSpaced(3, T(-0.2), T(1));
    const auto m = sphere::slerp_rows(u, v, t);
    const auto grad = sphere::slerp_rows_vjp(u, v, t, g);
    for (Index i = 0; i < 3; ++i) {
      CHECK(same_bits(m.row(i), sphere::slerp(u.row(i), v.row(i), t[i])));
      const auto one = sphere::slerp_vjp(u.row(i), v.row(i), t[i], g.row(i));
      CHECK(same_bits(grad.u.row(i), one.u));
      CHECK(same_bits(grad.v.row(i), one.v));
      CHECK(double(grad.t[i]) == one.t);
    }
  }
}

TEST_CASE("one t: dL/dt is the sum over rows") {
  const RowMatrix<double> u = unit_rows<double>(50, 9, 1), v = unit_rows<double>(50, 9, 2);
  const RowMatrix<double> g = gaussian_rows<double>(50, 9, 3);
  const auto one = sphere::slerp_rows_vjp(u, v, 0.3, g);
  const auto each = sphere::slerp_rows_vjp(u, v, Vector<double>::Constant(50, 0.3), g);
  CHECK(std::abs(one.t - each.t.sum()) < 1e-13);
  CHECK(same_bits(one.u, each.u));
  CHECK(same_bits(sphere::slerp_rows(u, v, 0.3),
                  sphere::slerp_rows(u, v, Eigen::RowVectorXd::Constant(50, 0.3))));
}

TEST_CASE("every kind of matrix goes in and out") {
  const RowMatrix<float> u = unit_rows<float>(6, 10, 1), v = unit_rows<float>(6, 10, 2);
  const RowMatrix<float> g = gaussian_rows<float>(6, 10, 3);
  const Vector<float> t = Vector<float>::LinSpaced(6, 0, 1);
  const auto want = sphere::slerp_rows(u, v, t);
  const auto want_gradient = sphere::slerp_rows_vjp(u, v, t, g);
  const Eigen::MatrixXf uc = u, vc = v, gc = g;
  CHECK(same_bits(sphere::slerp_rows(uc, vc.array().matrix(), t), want));
  CHECK(same_bits(
      sphere::slerp_rows(Eigen::MatrixXf(uc.transpose()).transpose(), v, t.array().matrix()),
      want));
  RowMatrix<float> every_other = RowMatrix<float>::Zero(12, 13);
  Eigen::Map<RowMatrix<float>, 0, Eigen::OuterStride<>> strided(every_other.data() + 2, 6, 10,
                                                                Eigen::OuterStride<>(26));
  strided = u;
  CHECK(same_bits(sphere::slerp_rows(strided, v, t), want));
  sphere::slerp_rows(strided, v, t, strided);  // in place
  CHECK(same_bits(strided, want));
  CHECK(every_other.row(1).isZero(0));
  Eigen::MatrixXf column_major;
  sphere::slerp_rows(u, v, t, column_major);
  CHECK(same_bits(column_major, want));

  RowMatrix<float> wide = RowMatrix<float>::Zero(6, 30);
  Vector<float> times(6);
  sphere::SlerpGradient<Eigen::Block<RowMatrix<float>>, Eigen::Map<Vector<float>>> blocks{
      wide.middleCols(1, 10), wide.middleCols(15, 10), Eigen::Map<Vector<float>>(times.data(), 6)};
  sphere::slerp_rows_vjp(uc, v, t, gc, blocks);
  CHECK(same_bits(wide.middleCols(1, 10), want_gradient.u));
  CHECK(same_bits(wide.middleCols(15, 10), want_gradient.v));
  CHECK(same_bits(times, want_gradient.t));
  CHECK(wide.col(0).isZero(0));

  sphere::SlerpGradient<RowMatrix<float>, Vector<float>> in_place{u, g,
                                                                  t};  // writes over U, G and t
  sphere::slerp_rows_vjp(in_place.u, v, in_place.t, in_place.v, in_place);
  CHECK(same_bits(in_place.u, want_gradient.u));
  CHECK(same_bits(in_place.v, want_gradient.v));
  CHECK(same_bits(in_place.t, want_gradient.t));
}

TEST_CASE("repeated calls write into the same memory") {
  const RowMatrix<double> u = unit_rows<double>(40, 8, 1), v = unit_rows<double>(40, 8, 2);
  RowMatrix<double> m;
  sphere::SlerpGradient<RowMatrix<double>> grad;
  sphere::slerp_rows(u, v, 0.1, m);
  sphere::slerp_rows_vjp(u, v, 0.1, m, grad);
  const double *before = m.data(), *before_u = grad.u.data();
  sphere::slerp_rows(u, v, 0.7, m);
  sphere::slerp_rows_vjp(u, v, 0.7, m, grad);
  CHECK(m.data() == before);
  CHECK(grad.u.data() == before_u);
}

TEST_CASE("errors: shapes, overlap, t, and the first antipodal row by number") {
  const RowMatrix<double> u = unit_rows<double>(500, 4, 1);
  RowMatrix<double> v = unit_rows<double>(500, 4, 2), big = unit_rows<double>(7, 4, 3);
  CHECK_THROWS_WITH_AS((void)sphere::slerp_rows(u, v.leftCols(3), 0.5),
                       "slerp_rows: U is 500 x 4 but V is 500 x 3", std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)sphere::slerp_rows(u, v, Vector<double>::Zero(499)),
                       "slerp_rows: t has 499 elements where 500 are needed",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp_rows_vjp(u, v, 0.5, v.topRows(3)), std::invalid_argument);
  CHECK_THROWS_AS(sphere::slerp_rows(big.topRows(5), u.topRows(5), 0.5, big.bottomRows(5)),
                  std::invalid_argument);
  Vector<double> t = Vector<double>::Zero(500);
  t[17] = core::infinity<double>;
  CHECK_THROWS_WITH_AS((void)sphere::slerp_rows(u, v, t), "slerp_rows: t[17] is inf, not finite",
                       std::invalid_argument);
  for (Index row : {499, 123}) v.row(row) = -u.row(row);
  CHECK_THROWS_WITH_AS(
      (void)sphere::slerp_rows(u, v, 0.5),
      "slerp_rows: row 123 of V is antipodal to row 123 of U: no unique arc joins them",
      std::invalid_argument);
  CHECK_THROWS_AS((void)sphere::slerp_rows_vjp(u, v, 0.5, u), std::invalid_argument);
  sphere::SlerpGradient<RowMatrix<double>> empty;
  sphere::slerp_rows_vjp(u.topRows(0), v.topRows(0), 0.5, u.topRows(0), empty);
  CHECK(empty.u.rows() == 0);
  CHECK(empty.t == 0);
}

TEST_CASE_TEMPLATE("NaN and infinity stay in their row, at the end points too", T, float, double) {
  const RowMatrix<T> u = unit_rows<T>(3, 20, 1), g = gaussian_rows<T>(3, 20, 3);
  RowMatrix<T> v = unit_rows<T>(3, 20, 2);
  for (T bad : {core::nan<T>, core::infinity<T>})
    for (double t : {0.0, 0.4, 1.0}) {
      const auto clean = sphere::slerp_rows(u, v, t);
      const auto clean_gradient = sphere::slerp_rows_vjp(u, v, t, g);
      RowMatrix<T> w = v;
      w(1, 13) = bad;
      const auto m = sphere::slerp_rows(u, w, t);
      const auto grad = sphere::slerp_rows_vjp(u, w, t, g);
      for (Index k = 0; k < 20; ++k) CHECK(std::isnan(m(1, k)));
      CHECK(std::isnan(grad.t));
      for (Index i : {0, 2}) {
        CHECK(same_bits(m.row(i), clean.row(i)));
        CHECK(same_bits(grad.u.row(i), clean_gradient.u.row(i)));
      }
    }
}

#if defined(_OPENMP)
TEST_CASE("the bits do not depend on the number of threads") {
  const RowMatrix<float> u = unit_rows<float>(3001, 37, 1), v = unit_rows<float>(3001, 37, 2);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto want = sphere::slerp_rows(u, v, 0.3);
  const auto want_gradient = sphere::slerp_rows_vjp(u, v, 0.3, u);
  for (int threads : {2, 3, 8}) {
    omp_set_num_threads(threads);
    CHECK(same_bits(sphere::slerp_rows(u, v, 0.3), want));
    const auto grad = sphere::slerp_rows_vjp(u, v, 0.3, u);
    CHECK(same_bits(grad.u, want_gradient.u));
    CHECK(same_bits(grad.v, want_gradient.v));
    CHECK(grad.t == want_gradient.t);
  }
  omp_set_num_threads(before);
}
#endif

TEST_CASE("an out that has to change its shape may hold the inputs") {
  const RowMatrix<double> u = unit_rows<double>(40, 9, 1), v = unit_rows<double>(40, 9, 2);
  const RowMatrix<double> want = sphere::slerp_rows(u, v, 0.3);
  RowMatrix<double> both(80, 9);
  both << u, v;
  sphere::slerp_rows(both.topRows(40), both.bottomRows(40), 0.3, both);
  CHECK(same_bits(both, want));
  const Vector<double> t = Vector<double>::Constant(40, 0.3);
  sphere::SlerpGradient<RowMatrix<double>, Vector<double>> out;
  out.t = Vector<double>::Constant(90, 0.3);
  sphere::slerp_rows_vjp(u, v, out.t.head(40), u, out);
  CHECK(same_bits(out.t, sphere::slerp_rows_vjp(u, v, t, u).t));
}
