// Geometric consistency, its augmented form and CyCLIP against the double sums of their formulas.
#include "spheremix/losses/geometric_consistency.hpp"

#include "spheremix/losses/cyclip.hpp"
#include "support/many_inputs.hpp"
#include "support/threads.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

LongReal consistency_oracle(const LongMatrix& x, const LongMatrix& y, LongReal c, LongReal w) {
  LongReal sum = 0;
  for (Index j = 0; j < x.rows(); ++j)
    for (Index k = 0; k < x.rows(); ++k) {
      const LongReal a = x.row(j).dot(y.row(k)) - x.row(k).dot(y.row(j));
      const LongReal b = x.row(j).dot(x.row(k)) - y.row(j).dot(y.row(k));
      sum += c * a * a + w * b * b;
    }
  return sum / LongReal(x.rows());
}

LongReal augmented_oracle(const LongBatches& in, LongReal c, LongReal w) {
  LongReal loss = consistency_oracle(in[0], in[2], 0, w) + consistency_oracle(in[1], in[3], 0, w);
  for (Index j = 0; j < in[0].rows(); ++j) {
    const LongReal e = in[0].row(j).dot(in[1].row(j)) - in[2].row(j).dot(in[3].row(j));
    loss += c * e * e / LongReal(in[0].rows());
  }
  return loss;
}

template <class T>
double within() {
  return sizeof(T) == 8 ? 1e-10 : 4e-6;
}

}  // namespace

TEST_CASE_TEMPLATE("geometric_consistency and cyclip equal the sums over pairs, both routes", T,
                   float, double) {
  for (const auto& shape : {std::pair<Index, Index>{9, 4}, {4, 9}, {5, 5}, {1, 3}, {6, 1}})
    for (const auto& weights : {std::pair<double, double>{1, 1}, {0.3, 2}, {0, 1}, {1, 0}}) {
      const Index n = shape.first, d = shape.second;  // clang++ 14 captures no structured bindings
      const double c = weights.first, w = weights.second;
      CAPTURE(n);
      CAPTURE(c);
      const RowMatrix<T> x = unit_rows<T>(n, d, 3), y = unit_rows<T>(n, d, 4);
      const GeometricConsistencyOptions options{c, w};
      const auto got = geometric_consistency_with_gradient(x, y, options);
      check_loss_of_batches(
          "gc", [&](const LongBatches& in) { return consistency_oracle(in[0], in[1], c, w); },
          widened(x, y), got.loss, widened(got.x, got.y), within<T>());
      CHECK(geometric_consistency(x, y, options) == got.loss);
      const auto cy =
          cyclip_with_gradient(x, y, {.temperature = 0.2, .cross_weight = c, .in_modal_weight = w});
      check_loss_of_batches(
          "cyclip",
          [&](const LongBatches& in) {
            return clip_oracle(in[0], in[1], 0.2L) + consistency_oracle(in[0], in[1], c, w);
          },
          widened(x, y), cy.loss, widened(cy.x, cy.y), 20 * within<T>());
      CHECK(cy.log_temperature == clip_with_gradient(x, y, {.temperature = 0.2}).log_temperature);
      CHECK(cyclip(x, y, {.temperature = 0.2, .cross_weight = c, .in_modal_weight = w}) == cy.loss);
    }
}

TEST_CASE_TEMPLATE("augmented_geometric_consistency equals the sums over pairs", T, float, double) {
  for (const auto& [n, d] : {std::pair<Index, Index>{8, 3}, {3, 7}}) {
    const RowMatrix<T> x = unit_rows<T>(n, d, 3), y = unit_rows<T>(n, d, 4);
    const RowMatrix<T> xa = rows_at_angle<T>(x, 0.4L, 7), ya = rows_at_angle<T>(y, 0.4L, 99);
    const GeometricConsistencyOptions options{0.7, 1.3};
    const auto got = augmented_geometric_consistency_with_gradient(x, y, xa, ya, options);
    check_loss_of_batches(
        "gca", [&](const LongBatches& in) { return augmented_oracle(in, 0.7, 1.3); },
        widened(x, y, xa, ya), got.loss, widened(got.x, got.y, got.x_augmented, got.y_augmented),
        within<T>());
    CHECK(augmented_geometric_consistency(x, y, xa, ya, options) == got.loss);
  }
}

TEST_CASE("near-equal modalities keep their digits in float, where the expanded form has none") {
  const Index n = 64, d = 8;
  const RowMatrix<float> x = unit_rows<float>(n, d, 5), y = rows_at_angle<float>(x, 2e-4L, 17);
  const auto wide = widened(x, y);
  const double want = double(consistency_oracle(wide[0], wide[1], 1, 1));
  CHECK(relative_error(geometric_consistency(x, y), want) < 1e-6);
  // 2 tr(X'X Y'Y) - 2 tr((Y'X)^2) + |X'X|^2 + |Y'Y|^2 - 2 |X'Y|^2, all of them near (n/d)^2 d.
  const RowMatrix<float> xx = x.transpose() * x, yy = y.transpose() * y, xy = x.transpose() * y;
  const float expanded = (2 * (xx * yy).trace() - 2 * (xy * xy).trace() + xx.squaredNorm() +
                          yy.squaredNorm() - 2 * xy.squaredNorm()) /
                         float(n);
  CHECK(relative_error(double(expanded), want) > 0.01);
}

TEST_CASE_TEMPLATE("zero for a symmetric orthogonal map, whatever the gap", T, float, double) {
  const Index n = 40, d = 6;
  const RowMatrix<T> x = unit_rows<T>(n, d, 5);
  const Vector<T> u = unit<T>(d, 6);
  const RowMatrix<T> mirror = RowMatrix<T>::Identity(d, d) - 2 * u * u.transpose();
  const RowMatrix<T> y = x * mirror;
  CHECK((x.colwise().mean() - y.colwise().mean()).norm() > T(0.01));
  const double scale = geometric_consistency(x, unit_rows<T>(n, d, 9));
  CHECK(geometric_consistency(x, y) < 1e-10 * scale + double(core::epsilon<T>) * 1e-3);
  CHECK(geometric_consistency(x, x) == 0);
}

TEST_CASE(
    "geometric_consistency: both routes agree at d = n - 1 and d = n, thread counts give one "
    "result") {
  const RowMatrix<double> x = unit_rows<double>(300, 64, 1), y = unit_rows<double>(300, 64, 2);
  const auto one = geometric_consistency_with_gradient(x, y, {0.5, 1});
#if defined(_OPENMP)
  const Threads keep(omp_get_max_threads());  // its number comes back at the end
  omp_set_num_threads(1);
  const auto serial = geometric_consistency_with_gradient(x, y, {0.5, 1});
  omp_set_num_threads(3);
  const auto three = geometric_consistency_with_gradient(x, y, {0.5, 1});
  CHECK(serial.loss == three.loss);
  CHECK(same_bits(serial.x, three.x));
  CHECK(same_bits(serial.y, one.y));
#endif
  // Padding the rows with zeros changes the route from d x d to n x n and nothing else.
  RowMatrix<double> px = RowMatrix<double>::Zero(300, 310), py = px;
  px.leftCols(64) = x;
  py.leftCols(64) = y;
  const auto wide = geometric_consistency_with_gradient(px, py, {0.5, 1});
  CHECK(relative_error(wide.loss, one.loss) < 1e-12);
  CHECK(matrix_error(wide.x.leftCols(64), one.x) < 1e-12);
}

TEST_CASE("geometric_consistency: errors, NaN, blocks and buffers") {
  const RowMatrix<double> x = unit_rows<double>(5, 4, 1), y = unit_rows<double>(5, 4, 2);
  CHECK_THROWS_AS((void)geometric_consistency(x, y.topRows(4)), std::invalid_argument);
  CHECK_THROWS_AS((void)geometric_consistency(x.topRows(0), y.topRows(0)), std::invalid_argument);
  CHECK_THROWS_AS((void)geometric_consistency(x, y, {-1, 1}), std::invalid_argument);
  CHECK_THROWS_AS((void)cyclip(x, y, {.temperature = 0}), std::invalid_argument);
  RowMatrix<double> bad = x;
  bad(2, 1) = core::nan<double>;
  CHECK(std::isnan(geometric_consistency(bad, y)));
  CHECK(std::isnan(cyclip(bad, y)));
  const Eigen::MatrixXd column_major = x;
  CHECK(geometric_consistency(column_major, y) == geometric_consistency(x, y));
  PairGradient<RowMatrix<double>> out;
  core::Workspace workspace;
  RowMatrix<double> same = x;
  geometric_consistency_with_gradient(same, y, {}, workspace, out);
  const double* place = out.x.data();
  geometric_consistency_with_gradient(same, y, {}, workspace, out);
  CHECK(out.x.data() == place);
}
