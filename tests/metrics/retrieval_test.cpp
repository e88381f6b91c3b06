#include "spheremix/metrics/retrieval.hpp"

#include <doctest/doctest.h>
#include <omp.h>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

/// The definition, in long double.
template <class T>
std::vector<Index> slow_ranks(const RowMatrix<T>& x, const RowMatrix<T>& y) {
  const LongMatrix s = x.template cast<long double>() * y.template cast<long double>().transpose();
  std::vector<Index> ranks;
  for (Index i = 0; i < s.rows(); ++i) {
    Index rank = 1;
    for (Index j = 0; j < s.cols(); ++j) rank += j != i && s(i, j) >= s(i, i);
    ranks.push_back(rank);
  }
  return ranks;
}

/// Rows of whole numbers: products are exact in every precision, and many of them tie.
template <class T>
RowMatrix<T> whole_rows(Index n, Index d, int most, std::uint32_t seed) {
  std::mt19937 engine(seed);
  RowMatrix<T> x(n, d);
  for (Index i = 0; i < x.size(); ++i)
    x.data()[i] = T(int(engine() % std::uint32_t(2 * most + 1)) - most);
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("ranks are the definition's, ties and all, around every tile size", T, float,
                   double) {
  for (const Index n : {1, 2, 3, 13, 14, 83, 84, 85, 251, 252, 253, 503, 504, 505, 600}) {
    for (const Index d : {1, 5, 64}) {
      CAPTURE(n);
      CAPTURE(d);
      const RowMatrix<T> x = whole_rows<T>(n, d, 2, 1), y = whole_rows<T>(n, d, 2, 2);
      CHECK(metrics::retrieval_ranks(x, y) == slow_ranks(x, y));
      const auto both = metrics::retrieval_both(x, y);
      const metrics::RetrievalBothResult apart{metrics::retrieval(x, y), metrics::retrieval(y, x)};
      CHECK(both.x_to_y.recall == apart.x_to_y.recall);
      CHECK(both.x_to_y.mrr == apart.x_to_y.mrr);
      CHECK(both.y_to_x.recall == apart.y_to_x.recall);
      CHECK(both.y_to_x.median_rank == apart.y_to_x.median_rank);
    }
  }
}

TEST_CASE("recall, median and mrr of ranks known beforehand") {
  // Row i of X points along axis i; the ranks of the four pairs are 1, 2, 4 and 3.
  RowMatrix<double> y(4, 4);
  y << 9, 5, 6, 3,  //
      1, 4, 7, 4,   //
      2, 1, 5, 2,   //
      3, 0, 8, 2.5;
  const RowMatrix<double> x = RowMatrix<double>::Identity(4, 4);
  CHECK(metrics::retrieval_ranks(x, y) == std::vector<Index>{1, 2, 4, 3});
  const auto r = metrics::retrieval(x, y, {.k = {1, 2, 3, 4, 100}});
  CHECK(r.recall == std::vector<double>{0.25, 0.5, 0.75, 1, 1});
  CHECK(r.median_rank == 2.5);
  CHECK(relative_error(r.mrr, (1 + 0.5L + 0.25L + 1 / 3.0L) / 4) < 2e-16);
  CHECK(metrics::retrieval(x.topRows(3), y.topRows(3)).median_rank == 2);
  CHECK(metrics::retrieval(x, y, {.k = {}}).recall.empty());
}

TEST_CASE_TEMPLATE("perfect pairs score 1, collapsed rows nothing", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(300, 32, 1);
  const auto perfect = metrics::retrieval(x, x);
  CHECK(perfect.recall == std::vector<double>{1, 1, 1});
  CHECK((perfect.median_rank == 1 && perfect.mrr == 1));
  // All rows equal: the products tie to the last bit, and ties count against.
  const RowMatrix<T> same = x.topRows(1).replicate(300, 1);
  for (const auto& collapsed : {metrics::retrieval(x, same), metrics::retrieval(same, same)}) {
    CHECK(collapsed.recall == std::vector<double>{0, 0, 0});
    CHECK(collapsed.median_rank == 300);
  }
  // Each answer twice: second at best.
  RowMatrix<T> twice(600, 32);
  twice << x, x;
  CHECK(metrics::retrieval(twice, twice, {.k = {1, 2}}).recall == std::vector<double>{0, 1});
  CHECK(metrics::retrieval(x, RowMatrix<T>(-x)).mrr < 0.01);
}

TEST_CASE("a rotation and an order of the pairs change nothing") {
  const RowMatrix<double> x = unit_rows<double>(200, 8, 1), y = rows_at_angle(x, 0.5L, 3);
  const auto want = metrics::retrieval(x, y);
  const auto turned = metrics::retrieval(x.colwise().reverse(), y.colwise().reverse());
  CHECK(turned.recall == want.recall);
  CHECK(relative_error(turned.mrr, want.mrr) < 1e-15);
  CHECK((want.recall[0] > 0.05 && want.recall[0] < 1));  // neither trivial nor perfect
}

TEST_CASE("retrieval refuses what has no rank") {
  RowMatrix<float> x = unit_rows<float>(3, 4, 1);
  CHECK_THROWS_WITH_AS((void)metrics::retrieval(x, x.topRows(2)),
                       "retrieval: X is 3 x 4 but Y is 2 x 4", std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::retrieval(x.topRows(0), x.topRows(0)), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::retrieval(x, x, {.k = {1, 0}}), std::invalid_argument);
  const RowMatrix<float> good = x;
  x(1, 2) = core::nan<float>;
  CHECK_THROWS_WITH_AS((void)metrics::retrieval(good, x),
                       "retrieval: row 1 of Y has nan in column 2", std::invalid_argument);
  x(1, 2) = -core::infinity<float>;
  CHECK_THROWS_WITH_AS((void)metrics::retrieval_both(x, good),
                       "retrieval_both: row 1 of X has -inf in column 2", std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::retrieval(1e20f * good, 1e20f * good), std::invalid_argument);
  CHECK(metrics::retrieval(1e10f * good, 1e10f * good).mrr == 1);
}

TEST_CASE("the same ranks for every number of threads and layout") {
  const RowMatrix<float> x = unit_rows<float>(1300, 24, 1), y = rows_at_angle(x, 1.0L, 3);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = metrics::retrieval_both(x, y);
  omp_set_num_threads(5);
  const auto many = metrics::retrieval_both(Eigen::MatrixXf(x), y);
  omp_set_num_threads(before);
  CHECK((many.x_to_y.mrr == one.x_to_y.mrr && many.y_to_x.mrr == one.y_to_x.mrr));
  CHECK(many.y_to_x.recall == one.y_to_x.recall);
}
