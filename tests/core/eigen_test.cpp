#include "spheremix/core/eigen.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace spheremix;

namespace {

RowMatrix<double> counted(Index rows, Index cols) {
  RowMatrix<double> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = double(i);
  return x;
}

template <class T>
bool equal(core::MatrixView<const T> view, const RowMatrix<T>& want) {
  if (view.rows != want.rows() || view.cols != want.cols()) return false;
  for (Index i = 0; i < view.rows; ++i)
    for (Index j = 0; j < view.cols; ++j)
      if (view(i, j) != want(i, j)) return false;
  return true;
}

}  // namespace

TEST_CASE("InputRows borrows what has contiguous rows and copies the rest") {
  const RowMatrix<double> x = counted(5, 7);
  const auto borrowed = [&](const auto& expression, const RowMatrix<double>& want) {
    const core::InputRows<double> rows(expression);
    CHECK(equal<double>(rows.view(), want));
    return rows.view().data >= x.data() && rows.view().data < x.data() + x.size();
  };
  CHECK(borrowed(x, x));
  CHECK(borrowed(x.block(1, 2, 3, 4), x.block(1, 2, 3, 4)));
  CHECK(borrowed(x.middleRows(2, 2), x.middleRows(2, 2)));
  CHECK(borrowed(x.row(3), x.row(3)));
  CHECK(borrowed(Eigen::Map<const RowMatrix<double>>(x.data(), 7, 5),
                 Eigen::Map<const RowMatrix<double>>(x.data(), 7, 5)));
  CHECK(borrowed(Eigen::Map<const RowMatrix<double>, 0, Eigen::OuterStride<>>(
                     x.data(), 3, 4, Eigen::OuterStride<>(9)),
                 Eigen::Map<const RowMatrix<double>, 0, Eigen::OuterStride<>>(
                     x.data(), 3, 4, Eigen::OuterStride<>(9))));
  const Eigen::MatrixXd columns = x;
  CHECK(!borrowed(columns, x));
  CHECK(!borrowed(x.transpose(), x.transpose()));
  CHECK(!borrowed(2 * x, 2 * x));
  CHECK(!borrowed(x.rowwise().reverse(), x.rowwise().reverse()));
  CHECK(!borrowed(
      Eigen::Map<const RowMatrix<double>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>(
          x.data(), 4, 3, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(7, 2)),
      x(Eigen::seqN(0, 4), Eigen::seqN(0, 3, 2))));
  CHECK(!borrowed(RowMatrix<double>(0, 7), RowMatrix<double>(0, 7)));
  CHECK(!borrowed(RowMatrix<double>(5, 0), RowMatrix<double>(5, 0)));
}

TEST_CASE("InputVector takes rows and columns with any step") {
  const RowMatrix<double> x = counted(5, 7);
  const Eigen::MatrixXd columns = x;
  const auto check = [](const auto& expression, std::vector<double> want) {
    const core::InputVector<double> v(expression, "f", "t");
    REQUIRE(v.size() == Index(want.size()));
    for (Index i = 0; i < v.size(); ++i) CHECK(v[i] == want[std::size_t(i)]);
  };
  check(x.row(1), {7, 8, 9, 10, 11, 12, 13});
  check(x.col(2), {2, 9, 16, 23, 30});
  check(columns.row(1), {7, 8, 9, 10, 11, 12, 13});
  check(columns.col(2), {2, 9, 16, 23, 30});
  check(x.row(1).reverse(), {13, 12, 11, 10, 9, 8, 7});
  check(x.col(2).transpose(), {2, 9, 16, 23, 30});
  check(2 * x.col(2), {4, 18, 32, 46, 60});
  check(2 * x.row(0).head(3), {0, 2, 4});
  check(x.block(2, 3, 1, 1), {17});
  check(Vector<double>(0), {});
  check(x.col(0).head(0), {});
  const Vector<double> plain = x.col(3);
  const core::InputVector<double> direct(plain);
  CHECK(direct.data() == plain.data());
  CHECK_THROWS_WITH_AS(core::InputVector<double>(x, "f", "t"), "f: t is 5 x 7, not a vector",
                       std::invalid_argument);
}

TEST_CASE("OutputRows writes straight into row-major targets and commits to the others") {
  const RowMatrix<double> want = counted(3, 4);
  const auto fill = [&](auto& out) {
    core::OutputRows<std::remove_reference_t<decltype(out)>> target("f", "out", out, 3, 4);
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 4; ++j) target.view()(i, j) = want(i, j);
    const bool direct = out.size() == 12 && target.view().data == out.data();
    target.commit();
    CHECK(out == want);
    return direct;
  };
  RowMatrix<double> empty, right(3, 4);
  const double* before = right.data();
  CHECK(fill(empty));
  CHECK(fill(right));
  CHECK(right.data() == before);  // reused, not allocated anew
  RowMatrix<double> big = RowMatrix<double>::Zero(6, 6);
  auto block = big.block(1, 1, 3, 4);
  CHECK(fill(block));
  CHECK(big.sum() == want.sum());
  Eigen::MatrixXd columns;
  CHECK(!fill(columns));
  auto turned = big.transpose().block(0, 0, 3, 4);
  CHECK(!fill(turned));
  double memory[12];
  Eigen::Map<RowMatrix<double>> map(memory, 3, 4);
  CHECK(fill(map));

  Eigen::Map<RowMatrix<double>> wrong(memory, 4, 3);
  using Map = Eigen::Map<RowMatrix<double>>;
  CHECK_THROWS_WITH_AS(core::OutputRows<Map>("f", "out", wrong, 3, 4),
                       "f: out is 4 x 3 but the result is 3 x 4", std::invalid_argument);
  Eigen::Matrix<double, 2, 2, Eigen::RowMajor> fixed;
  using Fixed = Eigen::Matrix<double, 2, 2, Eigen::RowMajor>;
  CHECK_THROWS_AS(core::OutputRows<Fixed>("f", "out", fixed, 3, 4), std::invalid_argument);
}

TEST_CASE("OutputRows replaces a matrix of another shape only once the result is complete") {
  RowMatrix<double> all = RowMatrix<double>::Random(6, 4);
  const RowMatrix<double> want = all.topRows(3) * 2;
  {
    const core::InputRows<double> in(all.topRows(3));
    core::OutputRows<RowMatrix<double>> target("f", "out", all, 3, 4);
    for (Index i = 0; i < 3; ++i)
      for (Index k = 0; k < 4; ++k) target.view()(i, k) = 2 * in.view()(i, k);
    target.commit();
  }
  CHECK(all == want);
  Eigen::Matrix<double, Eigen::Dynamic, 4, Eigen::RowMajor> width;
  core::OutputRows<decltype(width)> narrow("f", "out", width, 3, 4);
  CHECK(narrow.view().rows == 3);
  CHECK(width.rows() == 3);
  CHECK_THROWS_AS(core::OutputRows<decltype(width)>("f", "out", width, 3, 5),
                  std::invalid_argument);
}

TEST_CASE("OutputRows gives a column its shape") {
  Vector<double> column(5);
  core::OutputRows<Vector<double>> target("f", "out", column, 5, 1);
  for (Index i = 0; i < 5; ++i) target.view()(i, 0) = double(i);
  target.commit();
  CHECK(column == Vector<double>{{0, 1, 2, 3, 4}});
}

TEST_CASE("aliasing: in place or apart, nothing between") {
  double data[20] = {};
  const core::MatrixView<double> a{data, 3, 4, 4}, shifted{data + 4, 3, 4, 4},
      apart{data + 12, 2, 4, 4};
  CHECK_NOTHROW(core::expects_in_place_or_apart("f", a, a));
  CHECK_NOTHROW(core::expects_in_place_or_apart("f", a, apart));
  CHECK_THROWS_AS(core::expects_in_place_or_apart("f", a, shifted), std::invalid_argument);
  CHECK_NOTHROW(core::expects_apart("f", a, apart));
  CHECK_THROWS_AS(core::expects_apart("f", a, a), std::invalid_argument);
}
