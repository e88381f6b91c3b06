#include "spheremix/metrics/modality_gap.hpp"

#include <doctest/doctest.h>
#include <omp.h>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

LongVector slow_gap(const LongMatrix& x, const LongMatrix& y) {
  return (x.colwise().mean() - y.colwise().mean()).transpose();
}

}  // namespace

TEST_CASE_TEMPLATE("the gap is the distance of the means, whatever the numbers of rows", T, float,
                   double) {
  for (const auto& [n, m, d] :
       {std::tuple<Index, Index, Index>{1, 1, 1}, {7, 7, 3}, {300, 41, 64}}) {
    const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(m, d, 2);
    const LongVector want =
        slow_gap(x.template cast<long double>(), y.template cast<long double>());
    CHECK(relative_error(metrics::modality_gap(x, y), want.norm()) < 1e-14);
    CHECK(max_eps_error<T>(metrics::modality_gap_vector(x, y), want) <= 1);
    Vector<T> out;
    metrics::modality_gap_vector(x, y, out);
    CHECK(out == metrics::modality_gap_vector(x, y));
  }
}

TEST_CASE("a planted gap is found exactly, also under large sums") {
  RowMatrix<double> x = unit_rows<double>(1000, 8, 1), y = x;
  y.col(3).array() += 0.25;
  y.col(5).array() += 1e-12;
  const Vector<double> gap = metrics::modality_gap_vector(x, y);
  CHECK(gap(0) == 0);
  CHECK(std::abs(gap(3) + 0.25) < 1e-16);
  CHECK(std::abs(gap(5) + 1e-12) < 2e-17);  // y's own rounding; a plain sum would be off by 1e-16
  CHECK(metrics::modality_gap(x, x) == 0);
  CHECK(metrics::modality_gap(x, y) == metrics::modality_gap(y, x));
  // A plain sum of the column would be 0: the 1 is lost beside 1e16.
  RowMatrix<double> large(3, 1), zero = RowMatrix<double>::Zero(3, 1);
  large << 1e16, 1, -1e16;
  CHECK(relative_error(metrics::modality_gap(large, zero), 1.0L / 3) < 1e-15);
}

TEST_CASE_TEMPLATE("the gap's gradient agrees with long double differences", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(4, 5, 1), y = unit_rows<T>(6, 5, 2);
  const auto g = metrics::modality_gap_with_gradient(x, y);
  CHECK(g.value == metrics::modality_gap(x, y));
  REQUIRE((g.x.rows() == 4 && g.y.rows() == 6));
  const LongMatrix lx = x.template cast<long double>(), ly = y.template cast<long double>();
  for (Index k = 0; k < 5; ++k) {
    const auto along = [&](bool first, Index i) {
      return slope([&](long double h) {
        LongMatrix a = lx, b = ly;
        (first ? a(i, k) : b(i, k)) += h;
        return slow_gap(a, b).norm();
      });
    };
    for (Index i = 0; i < 4; ++i)
      CHECK(eps_error<T>(g.x(i, k), along(true, i)) < 2 + 1e-13 / core::epsilon<T>);
    for (Index i = 0; i < 6; ++i)
      CHECK(eps_error<T>(g.y(i, k), along(false, i)) < 2 + 1e-13 / core::epsilon<T>);
  }
}

TEST_CASE("the gap at its edges") {
  const RowMatrix<float> x = unit_rows<float>(3, 4, 1), none(0, 4);
  const auto g = metrics::modality_gap_with_gradient(x, x);
  CHECK((g.value == 0 && g.x.isZero(0) && g.y.isZero(0)));
  CHECK_THROWS_AS((void)metrics::modality_gap(x, none), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::modality_gap(none, x), std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)metrics::modality_gap(x, x.leftCols(3)),
                       "modality_gap: X is 3 x 4 but Y is 3 x 3: one width is needed",
                       std::invalid_argument);
  RowMatrix<float> y = x;
  y(2, 1) = core::nan<float>;
  CHECK(std::isnan(metrics::modality_gap(x, y)));
  CHECK(std::isnan(metrics::modality_gap_with_gradient(x, y).x(0, 0)));
  y(2, 1) = core::infinity<float>;
  CHECK(!std::isfinite(metrics::modality_gap(x, y)));
  Vector<float> small(3);
  CHECK_THROWS_AS(metrics::modality_gap_vector(x, x, Eigen::Map<Vector<float>>(small.data(), 3)),
                  std::invalid_argument);
  const RowMatrix<double> tiny = RowMatrix<double>::Constant(1, 1, 1e-200),
                          zero = RowMatrix<double>::Zero(1, 1);
  CHECK(metrics::modality_gap(tiny, zero) == 1e-200);
  CHECK(metrics::modality_gap_with_gradient(tiny, zero).x(0, 0) == 1);
}

TEST_CASE("the gap vector goes into rows and columns") {
  const RowMatrix<float> x = unit_rows<float>(3, 4, 1), y = unit_rows<float>(5, 4, 2);
  const Vector<float> want = metrics::modality_gap_vector(x, y);
  Eigen::RowVectorXf row;
  metrics::modality_gap_vector(x, y, row);
  CHECK(row.transpose() == want);
  RowMatrix<float> rows = RowMatrix<float>::Zero(2, 4), any;
  metrics::modality_gap_vector(x, y, rows.row(1));
  CHECK(rows.row(1).transpose() == want);
  metrics::modality_gap_vector(x, y, any);
  CHECK((any.cols() == 1 && any == want));
}

TEST_CASE("the gap has the same bits for every number of threads") {
  const RowMatrix<float> x = unit_rows<float>(9000, 5, 1), y = unit_rows<float>(9000, 5, 2);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const double one = metrics::modality_gap(x, y);
  for (const int threads : {2, 3, 5}) {
    omp_set_num_threads(threads);
    CHECK(metrics::modality_gap(x, y) == one);
  }
  omp_set_num_threads(before);
}
