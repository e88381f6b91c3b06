#include "spheremix/metrics/alignment.hpp"

#include <doctest/doctest.h>
#include <omp.h>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

long double slow_alignment(const LongMatrix& x, const LongMatrix& y, long double alpha) {
  long double sum = 0;
  for (Index i = 0; i < x.rows(); ++i) sum += std::pow((x.row(i) - y.row(i)).norm(), alpha);
  return sum / (long double)(x.rows());
}

}  // namespace

TEST_CASE_TEMPLATE("alignment keeps 8 eps down to near-duplicates, where 2 - 2 cos fails", T, float,
                   double) {
  double naive_worst = 0;
  for (const Index d : {1, 2, 3, 17, 64, 300}) {
    for (const long double spread : {1.0L, 1e-3L, 1e-5L, 1e-12L}) {
      for (const double alpha : {2.0, 1.0, 0.5, 3.0}) {
        CAPTURE(d);
        CAPTURE(alpha);
        CAPTURE(double(spread));
        const RowMatrix<T> x = unit_rows<T>(37, d, 1);
        const RowMatrix<T> y =
            (x.template cast<long double>() +
             spread * gaussian_rows<double>(37, d, 2).template cast<long double>())
                .template cast<T>();
        const long double want =
            slow_alignment(x.template cast<long double>(), y.template cast<long double>(), alpha);
        const double scale = std::max(1.0, double(d) / 64);
        CHECK(relative_error(metrics::alignment(x, y, {.alpha = alpha}), want) <=
              8 * double(core::epsilon<double>) * scale);
        if (alpha == 2 && spread == 1e-5L) {
          const T naive = 2 - 2 * x.cwiseProduct(y).rowwise().sum().mean();
          naive_worst = std::max(naive_worst, relative_error(naive, want));
        }
      }
    }
  }
  CHECK(naive_worst > (sizeof(T) == 4 ? 0.5 : 1e-8));
}

TEST_CASE("alignment of pairs at a known angle, and its symmetries") {
  const RowMatrix<double> x = unit_rows<double>(50, 6, 3), y = rows_at_angle(x, 0.7L, 4);
  CHECK(relative_error(metrics::alignment(x, y), 2 - 2 * std::cos(0.7L)) < 1e-15);
  CHECK(relative_error(metrics::alignment(x, y, {.alpha = 1}), 2 * std::sin(0.35L)) < 1e-15);
  CHECK(metrics::alignment(x, y) == metrics::alignment(y, x));
  CHECK(metrics::alignment(x, x) == 0);
  CHECK(metrics::alignment(x, RowMatrix<double>(-x), {.alpha = 1}) ==
        doctest::Approx(2).epsilon(1e-15));
  const RowMatrix<double> reversed = x.colwise().reverse(), other = y.colwise().reverse();
  CHECK(relative_error(metrics::alignment(reversed, other), metrics::alignment(x, y)) < 1e-15);
}

TEST_CASE_TEMPLATE("alignment's gradient agrees with long double differences", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(5, 7, 1), y = unit_rows<T>(5, 7, 2);
  const LongMatrix lx = x.template cast<long double>(), ly = y.template cast<long double>();
  for (const double alpha : {2.0, 1.0, 0.5, 3.5}) {
    CAPTURE(alpha);
    const auto got = metrics::alignment_with_gradient(x, y, {.alpha = alpha});
    CHECK(got.value == metrics::alignment(x, y, {.alpha = alpha}));
    CHECK(got.x == -got.y);
    RowMatrix<double> want(5, 7);
    for (Index i = 0; i < x.size(); ++i) {
      want.data()[i] = double(slope([&](long double h) {
        LongMatrix moved = lx;
        moved.data()[i] += h;
        return slow_alignment(moved, ly, alpha);
      }));
    }
    CHECK(matrix_error(got.x, want) < 1e-12 + 4 * double(core::epsilon<T>));
  }
}

TEST_CASE("alignment's gradient where pairs coincide or nearly do") {
  RowMatrix<double> x = unit_rows<double>(3, 4, 1), y = x;
  y(1, 2) += 1e-9;
  for (const double alpha : {0.5, 1.0, 1.5, 2.0, 3.0}) {
    CAPTURE(alpha);
    const auto g = metrics::alignment_with_gradient(x, y, {.alpha = alpha});
    CHECK(g.x.row(0).isZero(0));
    const double step = y(1, 2) - x(1, 2);
    CHECK(relative_error(g.y(1, 2), alpha / 3 * std::pow((long double)(step), alpha - 1)) < 1e-14);
  }
  // Distances whose squares or inverses leave the range of double.
  for (const double r : {4.9e-324, 1e-310, 1e-200, 1e200}) {
    CAPTURE(r);
    const RowMatrix<double> zero = RowMatrix<double>::Zero(1, 3);
    RowMatrix<double> far = zero;
    far(0, 1) = r;
    const auto g = metrics::alignment_with_gradient(far, zero, {.alpha = 1});
    CHECK(g.value == r);
    CHECK(g.x == RowMatrix<double>{{0, 1, 0}});
  }
}

TEST_CASE("alignment's gradient where the difference or the factor leaves the range of float") {
  RowMatrix<float> x = RowMatrix<float>::Zero(4, 33), y = x;
  x(0, 0) = 3e38f;
  y(0, 0) = -3e38f;
  x(1, 32) = 1e-40f;
  const auto square = metrics::alignment_with_gradient(x, y);
  CHECK(std::abs(double(square.x(0, 0)) / 3e38 - 1) < 1e-7);
  CHECK(square.y(0, 0) == -square.x(0, 0));
  const auto root = metrics::alignment_with_gradient(x, y, {.alpha = 0.5});
  // (1/8) |r|^(-1/2), with float's denormal 1e-40 as it is
  CHECK(std::abs(double(root.x(1, 32)) / (0.125 / std::sqrt(double(x(1, 32)))) - 1) < 1e-7);
  CHECK(root.y(1, 32) == -root.x(1, 32));
}

TEST_CASE("alignment refuses what has no value; NaN and infinity stay visible") {
  const RowMatrix<float> x = unit_rows<float>(3, 4, 1), none(0, 4);
  CHECK_THROWS_WITH_AS((void)metrics::alignment(x, x.leftCols(3)),
                       "alignment: X is 3 x 4 but Y is 3 x 3", std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::alignment(none, none), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::alignment(x, x, {.alpha = 0}), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::alignment(x, x, {.alpha = -1}), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::alignment(x, x, {.alpha = core::nan<double>}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::alignment(x, x, {.alpha = core::infinity<double>}),
                  std::invalid_argument);
  for (const float bad : {core::nan<float>, core::infinity<float>}) {
    for (const double alpha : {0.5, 1.0, 2.0, 3.0}) {
      RowMatrix<float> y = x;
      y(1, 1) = bad;
      CHECK(!std::isfinite(metrics::alignment(x, y, {.alpha = alpha})));
      const auto g = metrics::alignment_with_gradient(x, y, {.alpha = alpha});
      CHECK(!std::isfinite(g.value));
      CHECK(g.x.row(0).isZero(0));
      CHECK(!std::isfinite(g.x(1, 1)));
    }
  }
}

TEST_CASE("alignment takes every layout, writes where it is told, and in place") {
  const RowMatrix<double> x = unit_rows<double>(9, 5, 1), y = unit_rows<double>(9, 5, 2);
  const Eigen::MatrixXd columns = x;
  RowMatrix<double> big = RowMatrix<double>::Zero(12, 11);
  big.block(2, 3, 9, 5) = y;
  const double want = metrics::alignment(x, y);
  CHECK(metrics::alignment(columns, big.block(2, 3, 9, 5)) == want);
  CHECK(metrics::alignment(x.transpose().transpose(), y * 1.0) == want);

  const auto gradient = metrics::alignment_with_gradient(x, y);
  std::vector<double> buffer(2 * 45, -7);
  using Map = Eigen::Map<RowMatrix<double>>;
  metrics::AlignmentGradient<Map> into{0, Map(buffer.data(), 9, 5), Map(buffer.data() + 45, 9, 5)};
  metrics::alignment_with_gradient(x, y, {}, into);
  CHECK((into.x == gradient.x && into.y == gradient.y && into.value == gradient.value));
  metrics::AlignmentGradient<Map> wrong{0, Map(buffer.data(), 5, 9), Map(buffer.data() + 45, 9, 5)};
  CHECK_THROWS_AS(metrics::alignment_with_gradient(x, y, {}, wrong), std::invalid_argument);

  RowMatrix<double> a = x, b = y;
  metrics::AlignmentGradient<Map> place{0, Map(a.data(), 9, 5), Map(b.data(), 9, 5)};
  metrics::alignment_with_gradient(a, b, {}, place);
  CHECK((a == gradient.x && b == gradient.y));
  metrics::AlignmentGradient<Map> shifted{0, Map(buffer.data() + 5, 9, 5), Map(a.data(), 9, 5)};
  CHECK_THROWS_AS(metrics::alignment_with_gradient(Map(buffer.data(), 9, 5), y, {}, shifted),
                  std::invalid_argument);
}

TEST_CASE("alignment has the same bits for every number of threads and is exact over many rows") {
  const Index n = 20000;
  const RowMatrix<float> x = unit_rows<float>(n, 4, 1), y = unit_rows<float>(n, 4, 2);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = metrics::alignment_with_gradient(x, y, {.alpha = 1.5});
  for (const int threads : {2, 3, 7}) {
    omp_set_num_threads(threads);
    const auto many = metrics::alignment_with_gradient(x, y, {.alpha = 1.5});
    CHECK((many.value == one.value && many.x == one.x));
  }
  omp_set_num_threads(before);
  const long double want = slow_alignment(x.cast<long double>(), y.cast<long double>(), 1.5L);
  CHECK(relative_error(one.value, want) < 4e-16);
}
