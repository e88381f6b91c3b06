// Spectrum, CKA and distribution gap against their definitions.
#include "spheremix/metrics/spectrum.hpp"

#include <doctest/doctest.h>

#include <Eigen/SVD>

#include "spheremix/metrics/cka.hpp"
#include "spheremix/metrics/distribution_gap.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::metrics;
using namespace spheremix::test;

namespace {

RowMatrix<double> orthogonal(Index d, std::uint32_t seed) {
  const Eigen::MatrixXd a = gaussian_rows<double>(d, d, seed);
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(a, Eigen::ComputeFullU | Eigen::ComputeFullV);
  return svd.matrixU() * svd.matrixV().transpose();
}

}  // namespace

TEST_CASE_TEMPLATE("singular values and effective rank equal those of an SVD", T, float, double) {
  for (const auto& [n, d] : {std::pair<Index, Index>{30, 7}, {5, 11}, {1, 3}, {4, 1}})
    for (const bool centred : {false, true}) {
      if (centred && n == 1) continue;
      RowMatrix<T> x = gaussian_rows<T>(n, d, 3);
      x.array() += T(0.5);
      Eigen::MatrixXd wide = x.template cast<double>();
      if (centred) wide.rowwise() -= wide.colwise().mean().eval();
      const Eigen::VectorXd want = Eigen::JacobiSVD<Eigen::MatrixXd>(wide).singularValues();
      const auto got = singular_values(x, {.centred = centred});
      REQUIRE(Index(got.size()) == want.size());
      for (Index k = 0; k < want.size(); ++k)
        CHECK(std::abs(got[std::size_t(k)] - want(k)) < 1e-7 * want(0));
      double entropy = 0;
      for (Index k = 0; k < want.size(); ++k) {
        const double p = want(k) / want.sum() + 1e-7;
        entropy -= p * std::log(p);
      }
      CHECK(relative_error(effective_rank(x, {.epsilon = 1e-7, .centred = centred}),
                           std::exp(entropy)) < 1e-5);
    }
}

TEST_CASE("effective rank, isotropy and anisotropy of known batches") {
  const Index d = 6;
  RowMatrix<double> axes(2 * d, d);
  axes << RowMatrix<double>::Identity(d, d), -RowMatrix<double>::Identity(d, d);
  CHECK(relative_error(effective_rank(axes), double(d)) < 1e-12);
  CHECK(relative_error(isotropy(axes), 1) < 1e-12);
  CHECK(relative_error(anisotropy(axes), -1.0 / (2 * d - 1)) < 1e-12);
  RowMatrix<double> line = RowMatrix<double>::Zero(5, d);
  line.col(2) << 1, 2, 3, -1, 0.5;
  CHECK(effective_rank(line) == 1);
  CHECK(std::abs(isotropy(line)) < 1e-12);
  CHECK(relative_error(anisotropy(RowMatrix<double>::Ones(4, d).eval()), 1) < 1e-14);
  // IsoScore does not see a mean, rotation or scale.
  const RowMatrix<double> x = gaussian_rows<double>(200, d, 1);
  RowMatrix<double> moved = 3 * x * orthogonal(d, 4);
  moved.array() += 7;
  CHECK(relative_error(isotropy(moved), isotropy(x)) < 1e-9);
  // Variance even over k of d axes: (k - 1) / (d - 1).
  for (const Index k : {2, 3, 5}) {
    RowMatrix<double> some = axes;
    some.rightCols(d - k).setZero();
    CHECK(relative_error(isotropy(some), double(k - 1) / double(d - 1)) < 1e-12);
  }
  // Anisotropy is the mean cosine of pairs.
  double sum = 0;
  for (Index i = 0; i < 20; ++i)
    for (Index j = 0; j < i; ++j)
      sum += x.row(i).dot(x.row(j)) / (x.row(i).norm() * x.row(j).norm());
  CHECK(std::abs(anisotropy(x.topRows(20)) - sum / 190) < 1e-14);
  CHECK_THROWS_AS((void)effective_rank(RowMatrix<double>::Zero(3, 3).eval()),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)isotropy(RowMatrix<double>::Ones(3, 3).eval()), std::invalid_argument);
  CHECK_THROWS_AS((void)anisotropy(x.topRows(1)), std::invalid_argument);
  moved(3, 3) = core::nan<double>;
  CHECK_THROWS_AS((void)effective_rank(moved), std::invalid_argument);
}

TEST_CASE_TEMPLATE("linear_cka: definition on both routes, invariances", T, float, double) {
  for (const auto& [n, d, e] : {std::array<Index, 3>{40, 6, 9}, {5, 7, 3}}) {
    const RowMatrix<T> x = gaussian_rows<T>(n, d, 1), y = gaussian_rows<T>(n, e, 2);
    Eigen::MatrixXd a = x.template cast<double>(), b = y.template cast<double>();
    a.rowwise() -= a.colwise().mean().eval();
    b.rowwise() -= b.colwise().mean().eval();
    const double want = (b.transpose() * a).squaredNorm() /
                        ((a.transpose() * a).norm() * (b.transpose() * b).norm());
    CHECK(relative_error(linear_cka(x, y), want) < 1e-12);
    CHECK(relative_error(linear_cka(y, x), want) < 1e-12);
    const RowMatrix<T> turned = (T(3) * x * orthogonal(d, 5).template cast<T>()).array() + T(1);
    CHECK(relative_error(linear_cka(x, turned), 1) < 8 * double(core::epsilon<T>));
  }
  const RowMatrix<T> x = gaussian_rows<T>(5, 3, 1);
  CHECK_THROWS_AS((void)linear_cka(x, x.topRows(4)), std::invalid_argument);
  CHECK_THROWS_AS((void)linear_cka(x, RowMatrix<T>::Ones(5, 2).eval()), std::invalid_argument);
}

TEST_CASE("distribution_gap: definition, one distribution, one centre and two distributions") {
  const RowMatrix<double> x = unit_rows<double>(9, 4, 1), y = unit_rows<double>(7, 4, 2);
  double within_x = 0, within_y = 0, across = 0;
  for (Index i = 0; i < 9; ++i) {
    for (Index j = 0; j < 9; ++j)
      if (i != j) within_x += std::exp(-2 * (x.row(i) - x.row(j)).squaredNorm()) / 72;
    for (Index j = 0; j < 7; ++j) across += std::exp(-2 * (x.row(i) - y.row(j)).squaredNorm()) / 63;
  }
  for (Index i = 0; i < 7; ++i)
    for (Index j = 0; j < 7; ++j)
      if (i != j) within_y += std::exp(-2 * (y.row(i) - y.row(j)).squaredNorm()) / 42;
  CHECK(std::abs(distribution_gap(x, y) - (within_x + within_y - 2 * across)) < 1e-14);
  const RowMatrix<double> many = unit_rows<double>(2000, 4, 3),
                          others = unit_rows<double>(2000, 4, 4);
  CHECK(std::abs(distribution_gap(many, others)) < 2e-3);
  RowMatrix<double> axis = many;  // the same centre, all on one axis
  for (Index i = 0; i < axis.rows(); ++i) axis.row(i) << (i % 2 ? 1 : -1), 0, 0, 0;
  CHECK(modality_gap(many, axis) < 0.05);
  CHECK(distribution_gap(many, axis) > 0.2);
}

TEST_CASE_TEMPLATE("equal rows are an error, whatever their number", T, float, double) {
  const RowMatrix<T> row = gaussian_rows<T>(1, 4, 9);
  for (Index n = 2; n <= 70; ++n) {
    CAPTURE(n);
    const RowMatrix<T> equal = row.replicate(n, 1), other = gaussian_rows<T>(n, 3, 8);
    CHECK_THROWS_AS((void)linear_cka(equal, other), std::invalid_argument);
    CHECK_THROWS_AS((void)linear_cka(other, equal), std::invalid_argument);
    CHECK_THROWS_AS((void)isotropy(equal), std::invalid_argument);
    CHECK_THROWS_AS((void)effective_rank(equal, {.centred = true}), std::invalid_argument);
    for (const double s : singular_values(equal, {.centred = true})) CHECK(s == 0);
  }
}
