#include "spheremix/metrics/uniformity.hpp"

#include <doctest/doctest.h>
#include <omp.h>

#include <Eigen/QR>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

/// log mean of e^(-t |x_i - y_j|^2) over the pairs of two batches, or over i < j of one: the
/// definition, with the largest term taken out and expm1 of the rest.
long double slow_log_mean(const LongMatrix& x, const LongMatrix& y, bool upper, long double t) {
  std::vector<long double> logits;
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = upper ? i + 1 : 0; j < y.rows(); ++j)
      logits.push_back(-t * (x.row(i) - y.row(j)).squaredNorm());
  const long double top = *std::max_element(logits.begin(), logits.end());
  // Whichever of the two sums does not cancel in the logarithm.
  long double exponentials = 0, differences = 0;
  for (const long double z : logits) {
    exponentials += std::exp(z - top);
    differences += std::expm1(z - top);
  }
  const auto pairs = (long double)(logits.size());
  return top + (exponentials < pairs / 2 ? std::log(exponentials / pairs)
                                         : std::log1p(differences / pairs));
}

struct Shape {
  Index n, d;
};

template <class T>
long double slow_uniformity(const RowMatrix<T>& x, double t) {
  const LongMatrix lx = x.template cast<long double>();
  return slow_log_mean(lx, lx, true, t);
}

template <class T>
RowMatrix<T> stacked(const RowMatrix<T>& x, const RowMatrix<T>& y) {
  RowMatrix<T> all(x.rows() + y.rows(), x.cols());
  all << x, y;
  return all;
}

/// Rows at `spread` from one point.
template <class T>
RowMatrix<T> bunch(Index n, Index d, double spread, std::uint32_t seed) {
  const RowMatrix<double> noise = gaussian_rows<double>(n, d, seed);
  const Vector<double> centre = unit<double>(d, seed + 1);
  LongMatrix x(n, d);
  for (Index i = 0; i < n; ++i) {
    x.row(i) =
        (centre.transpose() + spread / std::sqrt(double(d)) * noise.row(i)).cast<long double>();
    x.row(i) /= x.row(i).norm();
  }
  return x.cast<T>();
}

}  // namespace

TEST_CASE_TEMPLATE("uniformity keeps 16 eps from near-duplicates to the whole sphere", T, float,
                   double) {
  double worst = 0;
  for (const Shape shape : {Shape{2, 1}, Shape{2, 3}, Shape{3, 2}, Shape{7, 64}, Shape{33, 5},
                            Shape{60, 512}, Shape{600, 17}}) {
    const Index n = shape.n, d = shape.d;
    for (const double spread : {1e-12, 1e-5, 1e-3, 0.03, 0.3, 1.0, 30.0}) {
      for (const double t : {0.1, 2.0, 50.0}) {
        CAPTURE(n);
        CAPTURE(d);
        CAPTURE(spread);
        CAPTURE(t);
        const RowMatrix<T> x = bunch<T>(n, d, spread, 5);
        const long double want = slow_uniformity(x, t);
        const double got = metrics::uniformity(x, {.t = t});
        const double eps =
            relative_error(got, want) / double(core::epsilon<T>) / std::max(1.0, double(d) / 64);
        CHECK(eps <= 16);
        worst = std::max(worst, eps);
      }
    }
  }
  MESSAGE("uniformity: worst relative error ", worst, " eps of ",
          std::string(sizeof(T) == 4 ? "float" : "double"));
}

TEST_CASE_TEMPLATE("clusters, duplicates and outliers keep their digits, with steep potentials too",
                   T, float, double) {
  const auto check = [](const RowMatrix<T>& x) {
    for (const double t : {0.5, 2.0, 100.0}) {
      CAPTURE(t);
      CHECK(relative_error(metrics::uniformity(x, {.t = t}), slow_uniformity(x, t)) <=
            16 * double(core::epsilon<T>));
    }
  };
  check(stacked<T>(bunch<T>(20, 8, 1e-4, 1), bunch<T>(30, 8, 1e-4, 3)));  // two clusters
  check(stacked<T>(bunch<T>(300, 8, 1e-6, 1), bunch<T>(1, 8, 1e-6, 3)));  // one outlier
  check(stacked<T>(unit_rows<T>(40, 8, 1), unit_rows<T>(40, 8, 1)));      // every row twice
  const RowMatrix<T> far = unit_rows<T>(30, 8, 1).array() + T(100);       // far from the origin
  check(far);
  check(T(1000) * unit_rows<T>(30, 8, 1));
  check(T(1e-15) * unit_rows<T>(30, 8, 1));
}

TEST_CASE("the Gram form 2 - 2 cos has no digits left where the difference form has all") {
  const RowMatrix<float> x = bunch<float>(20, 16, 1e-5, 5);
  double sum = 0;
  for (Index i = 0; i < 20; ++i)
    for (Index j = i + 1; j < 20; ++j) sum += std::exp(-2 * double(2 - 2 * x.row(i).dot(x.row(j))));
  const long double want = slow_uniformity(x, 2);
  CHECK(relative_error(std::log(sum / 190), want) > 0.5);
  CHECK(relative_error(metrics::uniformity(x), want) < 1e-6);
}

TEST_CASE_TEMPLATE("equal rows give exactly 0", T, float, double) {
  for (const Index n : {2, 3, 7, 300}) {
    const RowMatrix<T> x = unit_rows<T>(1, 19, std::uint32_t(n)).replicate(n, 1);
    CHECK(metrics::uniformity(x) == 0);
    const auto g = metrics::uniformity_with_gradient(x);
    CHECK(g.value == 0);
    CHECK(g.x.template lpNorm<Eigen::Infinity>() < 8 * core::epsilon<T>);
    CHECK(metrics::cross_uniformity(x, x) == 0);
    CHECK(metrics::joint_uniformity(x, x) == 0);
  }
}

TEST_CASE("known values: the simplex, the regular polygon, the even distribution") {
  for (const Index d : {1, 2, 7, 40}) {  // d + 1 corners, pairwise cosine -1/d
    RowMatrix<double> x(d + 1, d + 1);
    x.setConstant(-1.0 / double(d + 1));
    x.diagonal().array() += 1;
    x.rowwise().normalize();
    CHECK(relative_error(metrics::uniformity(x), -4 * (1 + 1 / (long double)(d))) < 1e-15);
    CHECK(relative_error(metrics::uniformity(x, {.t = 30}), -60 * (1 + 1 / (long double)(d))) <
          1e-15);
  }
  const auto bessel = [](int k, double x) { return std::cyl_bessel_i(double(k), x); };
  for (const Index n : {2, 3, 5, 64, 1001}) {
    RowMatrix<double> x(n, 2);
    for (Index i = 0; i < n; ++i) {
      const double a = 2 * core::pi<double> * double(i) / double(n);
      x.row(i) << std::cos(a), std::sin(a);
    }
    double series = bessel(0, 4);
    for (int k = 1; k * int(n) < 60; ++k) series += 2 * bessel(k * int(n), 4);
    const double f = std::exp(-4.0) * series;
    const double want = std::log((double(n) * f - 1) / double(n - 1));
    CHECK(relative_error(metrics::uniformity(x), want) < 2e-12);  // want itself cancels for n = 2
  }
  // 0F1(; d/2; t^2) by its series; a sample of n points scatters about it by about 1/sqrt(n d).
  const Index d = 6;
  long double series = 1, term = 1;
  for (int k = 1; k < 60; ++k) series += term *= 4 / ((d / 2.0L + k - 1) * k);
  const double floor = double(-4 + std::log(series));
  CHECK(std::abs(metrics::uniformity(unit_rows<double>(3000, d, 1)) - floor) < 0.01);
}

TEST_CASE("rotation and order of the rows do not matter") {
  const RowMatrix<double> x = bunch<double>(300, 9, 1.0, 1);
  const double value = metrics::uniformity(x);
  CHECK(relative_error(metrics::uniformity(x.colwise().reverse()), value) < 2e-15);
  const Eigen::MatrixXd q =
      Eigen::HouseholderQR<Eigen::MatrixXd>(gaussian_rows<double>(9, 9, 4)).householderQ();
  CHECK(relative_error(metrics::uniformity(x * q), value) < 4e-15);
  CHECK(relative_error(metrics::cross_uniformity(x, bunch<double>(70, 9, 1.0, 8)),
                       metrics::cross_uniformity(bunch<double>(70, 9, 1.0, 8), x)) < 2e-15);
}

TEST_CASE_TEMPLATE("cross and joint uniformity against the definition", T, float, double) {
  for (const double spread : {1e-4, 0.1, 3.0}) {
    CAPTURE(spread);
    const RowMatrix<T> x = bunch<T>(41, 33, spread, 1),
                       y = bunch<T>(300, 33, spread, spread > 1 ? 2 : 1);
    const LongMatrix lx = x.template cast<long double>(), ly = y.template cast<long double>();
    CHECK(relative_error(metrics::cross_uniformity(x, y), slow_log_mean(lx, ly, false, 2)) <=
          16 * double(core::epsilon<T>));
    CHECK(relative_error(metrics::joint_uniformity(x, y), slow_uniformity(stacked<T>(x, y), 2)) <=
          16 * double(core::epsilon<T>));
  }
}

TEST_CASE_TEMPLATE("every number of rows and columns around the tiles", T, float, double) {
  for (const Index n : {2, 13, 14, 83, 84, 85, 251, 252, 253, 503, 504, 505, 509}) {
    CAPTURE(n);
    const RowMatrix<T> x = unit_rows<T>(n, 3, 2), y = unit_rows<T>(n + 1, 3, 3);
    CHECK(relative_error(metrics::uniformity(x), slow_uniformity(x, 2)) <=
          16 * double(core::epsilon<T>));
    const long double cross =
        slow_log_mean(x.template cast<long double>(), y.template cast<long double>(), false, 2);
    CHECK(relative_error(metrics::cross_uniformity(x, y), cross) <= 16 * double(core::epsilon<T>));
  }
}

namespace {

/// -4 t sum_j w_ij (x_i - x_j) in long double.
template <class T>
LongMatrix slow_gradient(const RowMatrix<T>& rows, long double t) {
  const LongMatrix x = rows.template cast<long double>();
  const Index n = x.rows();
  LongMatrix g = LongMatrix::Zero(n, x.cols());
  long double top = -1e4000L, z = 0;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < i; ++j) top = std::max(top, -t * (x.row(i) - x.row(j)).squaredNorm());
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      if (i == j) continue;
      const long double k = std::exp(-t * (x.row(i) - x.row(j)).squaredNorm() - top);
      z += k;
      g.row(i) -= 4 * t * k * (x.row(i) - x.row(j));
    }
  return g / z;
}

}  // namespace

TEST_CASE_TEMPLATE("the gradient: long double differences and the definition", T, float, double) {
  const RowMatrix<T> x = bunch<T>(6, 4, 1.0, 2);
  const LongMatrix want = slow_gradient(x, 2);
  for (Index i = 0; i < x.size(); ++i) {
    const long double along = slope([&](long double h) {
      LongMatrix moved = x.template cast<long double>();
      moved.data()[i] += h;
      return slow_log_mean(moved, moved, true, 2);
    });
    CHECK(std::abs(along - want.data()[i]) < 1e-12);  // the oracle below is the derivative
  }
  for (const Shape shape :
       {Shape{2, 3}, Shape{6, 4}, Shape{85, 33}, Shape{253, 7}, Shape{520, 40}}) {
    const Index n = shape.n, d = shape.d;
    for (const double spread : {1e-4, 0.1, 3.0}) {
      for (const double t : {0.5, 2.0, 80.0}) {
        CAPTURE(n);
        CAPTURE(spread);
        CAPTURE(t);
        const RowMatrix<T> rows = bunch<T>(n, d, spread, 7);
        const auto g = metrics::uniformity_with_gradient(rows, {.t = t});
        CHECK(matrix_error(g.x, slow_gradient(rows, t)) <= 32 * double(core::epsilon<T>));
        CHECK(relative_error(g.value, slow_uniformity(rows, t)) <= 16 * double(core::epsilon<T>));
      }
    }
  }
}

TEST_CASE("a batch so large that its squares overflow: the gradient pair by pair") {
  const float size = 0x1p63f;
  for (const Index n : {5, 300}) {
    const RowMatrix<float> x = unit_rows<float>(n, 6, 4), large = size * x;
    const auto g = metrics::uniformity_with_gradient(large, {.t = 0x1p-125});
    CHECK(relative_error(g.value, slow_uniformity(x, 2)) <= 16 * double(core::epsilon<float>));
    CHECK(matrix_error(RowMatrix<float>(size * g.x), slow_gradient(x, 2)) <=
          32 * double(core::epsilon<float>));
  }
}

TEST_CASE("wide rows far from the origin keep the digits that they have") {
  RowMatrix<float> x = bunch<float>(60, 150, 1.0, 5);
  x.array() += 1000.f;
  CHECK(relative_error(metrics::uniformity(x), slow_uniformity(x, 2)) <=
        48 * double(core::epsilon<float>));
}

TEST_CASE("the gradient moves the points apart but not as a whole") {
  const auto g = metrics::uniformity_with_gradient(bunch<double>(300, 12, 0.5, 3));
  CHECK(g.x.colwise().sum().norm() < 1e-14);
}

TEST_CASE("uniformity refuses what has no value; NaN and infinity give NaN") {
  const RowMatrix<float> x = unit_rows<float>(3, 4, 1), none(0, 4);
  CHECK_THROWS_WITH_AS((void)metrics::uniformity(x.topRows(1)),
                       "uniformity: there are 1 rows, and no pair of them", std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::uniformity(none), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::uniformity_with_gradient(x.topRows(1)), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::cross_uniformity(x, none), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::cross_uniformity(x, x.leftCols(3)), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::joint_uniformity(x, x.leftCols(3)), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::joint_uniformity(none, x.topRows(1)), std::invalid_argument);
  CHECK(metrics::joint_uniformity(none, x) == metrics::uniformity(x));
  for (const double t : {0.0, -1.0, core::nan<double>, core::infinity<double>})
    CHECK_THROWS_AS((void)metrics::uniformity(x, {.t = t}), std::invalid_argument);
  for (const float bad : {core::nan<float>, core::infinity<float>}) {
    for (Index row = 0; row < 3; ++row) {
      RowMatrix<float> y = x;
      y(row, 2) = bad;
      CHECK(std::isnan(metrics::uniformity(y)));
      CHECK(std::isnan(metrics::cross_uniformity(x, y)));
      CHECK(std::isnan(metrics::joint_uniformity(x, y)));
      const auto g = metrics::uniformity_with_gradient(y);
      CHECK((std::isnan(g.value) && g.x.array().isNaN().all()));
    }
  }
}

TEST_CASE_TEMPLATE("rows whose products leave the range of T", T, float, double) {
  const T big = sizeof(T) == 4 ? T(1e30) : T(1e150);
  const RowMatrix<T> x = big * unit_rows<T>(9, 5, 1);
  CHECK(relative_error(metrics::uniformity(x), slow_uniformity(x, 2)) <=
        16 * double(core::epsilon<T>));
  CHECK(relative_error(metrics::uniformity(x, {.t = 1e-30}), slow_uniformity(x, 1e-30)) <=
        16 * double(core::epsilon<T>));
}

TEST_CASE(
    "results go where they are told, from every layout, with the same bits for every number of "
    "threads") {
  const RowMatrix<float> x = bunch<float>(700, 30, 1.0, 1);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = metrics::uniformity_with_gradient(x);
  const double cross = metrics::cross_uniformity(x, x.topRows(300));
  for (const int threads : {2, 3, 5}) {
    omp_set_num_threads(threads);
    const auto many = metrics::uniformity_with_gradient(x);
    CHECK((many.value == one.value && many.x == one.x));
    CHECK(metrics::cross_uniformity(x, x.topRows(300)) == cross);
  }
  omp_set_num_threads(before);
  const Eigen::MatrixXf columns = x;
  CHECK(metrics::uniformity(columns) == metrics::uniformity(x));
  RowMatrix<float> big = RowMatrix<float>::Zero(702, 40);
  auto block = big.block(1, 4, 700, 30);
  metrics::UniformityGradient<decltype(block)> into{0, block};
  metrics::uniformity_with_gradient(columns, {}, into);
  CHECK(block == one.x);
  CHECK(big.squaredNorm() == doctest::Approx(one.x.squaredNorm()));
  RowMatrix<float> same = x;
  using Map = Eigen::Map<RowMatrix<float>>;
  metrics::UniformityGradient<Map> aliased{0, Map(same.data(), 700, 30)};
  CHECK_THROWS_AS(metrics::uniformity_with_gradient(same, {}, aliased), std::invalid_argument);
}
