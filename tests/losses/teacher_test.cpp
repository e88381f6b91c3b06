// Soft targets from a teacher: a student that is the teacher has nothing to learn.
#include "spheremix/losses/teacher.hpp"

#include <doctest/doctest.h>

#include <string>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "support/refusal.hpp"
#include "support/target_oracle.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

const RowMatrix<double> kX = unit_rows<double>(40, 6, 1), kY = unit_rows<double>(57, 6, 2),
                        kU = unit_rows<double>(40, 9, 3), kV = unit_rows<double>(57, 9, 4);

}  // namespace

TEST_CASE("teacher: at the teacher the loss is its entropy and the gradient 0") {
  for (const double tau : {1.0, 0.05, 0.004}) {
    CAPTURE(tau);
    const RowMatrix<double> s = kX * kY.transpose(), p = teacher_rows(s, tau);
    double entropy = 0;
    for (Index i = 0; i < p.rows(); ++i) {
      CHECK(std::abs(p.row(i).sum() - 1) < 1e-14);
      for (Index j = 0; j < p.cols(); ++j)
        if (p(i, j) > 0) entropy -= p(i, j) * std::log(p(i, j)) / double(p.rows());
    }
    const auto rows = info_nce_with_gradient(kX, kY, soft(p), {.temperature = tau});
    CHECK(std::abs(rows.loss - entropy) <= 1e-12 * entropy);
    CHECK(rows.x.norm() < 1e-13 / tau);
    const RowMatrix<double> table = teacher_table(s, tau);
    const auto both = clip_with_gradient(kX, kY, soft(table), {.temperature = tau});
    CHECK(both.x.norm() < 1e-13 / tau);
    CHECK(both.y.norm() < 1e-13 / tau);
    CHECK(std::abs(info_nce(kX, kY, soft(table), {.temperature = tau}) - entropy) <=
          1e-12 * entropy);
  }
}

TEST_CASE("teacher: elsewhere both directions are the cross entropy in long double") {
  const RowMatrix<double> s = kU * kV.transpose();
  const LongMatrix t = (s.cast<LongReal>() / LongReal(0.1)).array().exp();
  const TargetOracle want(kX.cast<LongReal>(), kY.cast<LongReal>(), {t, {}, 0, {}}, 0.2L, true);
  const auto got = clip_with_gradient(kX, kY, soft(teacher_table(s, 0.1)), {.temperature = 0.2});
  CHECK(std::abs(got.loss - double(want.loss)) <= 1e-13 * double(want.loss));
  CHECK(matrix_error(got.x, want.x) < 1e-12);
  CHECK(matrix_error(got.y, want.y) < 1e-12);
}

TEST_CASE("teacher: types, places, errors") {
  RowMatrix<float> s = (kX * kY.transpose()).cast<float>();
  const RowMatrix<float> want = teacher_rows(s, 0.1);
  const Eigen::MatrixXf by_columns = s;
  CHECK(teacher_rows(by_columns, 0.1) == want);
  teacher_rows(s, 0.1, s);
  CHECK(s == want);
  RowMatrix<double> bad = RowMatrix<double>::Zero(2, 3);
  CHECK(teacher_rows(bad, 1).isConstant(1.0 / 3));
  CHECK(teacher_table(bad, 1).isConstant(1));
  CHECK(teacher_rows(RowMatrix<double>(0, 3), 1).rows() == 0);
  CHECK(teacher_table(RowMatrix<double>(2, 0), 1).cols() == 0);
  CHECK(refusal([&] { (void)teacher_rows(bad, 0); }) == "teacher_rows: temperature is 0");
  bad(1, 2) = core::nan<double>;
  CHECK(refusal([&] { (void)teacher_rows(bad, 1); }) == "teacher_rows: S(1, 2) is nan");
  CHECK(refusal([&] { (void)teacher_table(bad, 1); }) == "teacher_table: S(1, 2) is nan");
  bad(1, 2) = 2;
  CHECK(refusal([&] { (void)teacher_table(bad, 0.001); }) ==
        "teacher_table: S goes from 0 to 2: more than 1200 times the temperature "
        "0.001");
}
