// nDCG and MAP against the definitions spelled out: sort all rows, the lower grade first among
// equals, and read the list.
#include "spheremix/metrics/judged_retrieval.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "spheremix/core/philox.hpp"

using namespace spheremix;

namespace {

struct Values {
  long double ndcg = 0, map = 0;
  Index skipped = 0;
};

/// In whole numbers, so that equal products are equal.
Values by_definition(const RowMatrix<double>& x, const RowMatrix<double>& y,
                     const std::vector<metrics::Judgement>& judged, Index k) {
  Values v;
  for (Index i = 0; i < x.rows(); ++i) {
    std::vector<double> grade(std::size_t(y.rows()), 0.0);
    for (const auto& j : judged)
      if (j.query == i) grade[std::size_t(j.answer)] = std::max(0.0, j.grade);
    const Eigen::VectorXd s = y * x.row(i).transpose();
    std::vector<Index> order(std::size_t(y.rows()));
    std::iota(order.begin(), order.end(), Index(0));
    std::sort(order.begin(), order.end(), [&](Index a, Index b) {
      return s[a] != s[b] ? s[a] > s[b] : grade[std::size_t(a)] < grade[std::size_t(b)];
    });
    long double dcg = 0, ideal = 0, precision = 0;
    Index found = 0;
    for (Index r = 0; r < y.rows(); ++r) {
      const double g = grade[std::size_t(order[std::size_t(r)])];
      if (r < k) dcg += g / std::log2((long double)(r + 2));
      if (g > 0) precision += (long double)(++found) / (long double)(r + 1);
    }
    if (found == 0) {
      ++v.skipped;
      continue;
    }
    std::sort(grade.begin(), grade.end(), std::greater<>());
    for (Index r = 0; r < std::min(k, y.rows()); ++r)
      ideal += grade[std::size_t(r)] / std::log2((long double)(r + 2));
    v.ndcg += dcg / ideal, v.map += precision / found;
  }
  const auto n = (long double)(x.rows() - v.skipped);
  v.ndcg /= n, v.map /= n;
  return v;
}

RowMatrix<double> whole_numbers(Index n, Index d, int most, std::uint64_t seed) {
  core::PhiloxStream random(seed, 0, 0);
  RowMatrix<double> x(n, d);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) x(i, k) = std::floor(random.uniform<double>() * most) - most / 2;
  return x;
}

}  // namespace

TEST_CASE("judged retrieval equals its definition, ties and grades of all kinds") {
  for (const int most : {2, 3, 50}) {  // few values: nearly all products tie
    for (const Index k : {1, 3, 10, 1000}) {
      const auto x = whole_numbers(40, 6, most, 1), y = whole_numbers(90, 6, most, 2);
      core::PhiloxStream random(3, 0, std::uint64_t(most));
      std::vector<metrics::Judgement> judged;
      for (Index i = 0; i < 40; ++i)
        for (Index j = 0; j < 90; ++j)
          if (i % 7 != 3 && random.uniform<double>() < 0.08)
            judged.push_back({i, j, std::floor(random.uniform<double>() * 5) - 1});
      const auto found = metrics::judged_retrieval(x, y, judged, {.k = k});
      const Values expected = by_definition(x, y, judged, k);
      CHECK(found.skipped == expected.skipped);
      CHECK(Index(found.queries.size()) == 40 - found.skipped);
      CHECK(std::fabs(found.ndcg - double(expected.ndcg)) <= 1e-13);
      CHECK(std::fabs(found.map - double(expected.map)) <= 1e-13);
    }
  }
}

TEST_CASE("products that rounding alone tells apart tie where a width says so") {
  const Index d = 31;
  auto x = whole_numbers(30, d, 2, 5), y = whole_numbers(60, d, 2, 6);  // -1 and 0
  x = 2 * x.array() + 1, y = 2 * y.array() + 1;
  std::vector<metrics::Judgement> judged;
  for (Index i = 0; i < 30; ++i)
    for (const Index j : {i, i + 30}) judged.push_back({i, j, double(1 + i % 3)});
  const Values expected = by_definition(x, y, judged, 10);
  const RowMatrix<double> u = x / std::sqrt(double(d)) * (1 + 1e-15), v = y / std::sqrt(double(d));
  RowMatrix<double> shaken = v;
  for (Index j = 0; j < 60; j += 2) shaken.row(j) *= 1 - 4e-16;
  const double width = 2.2e-16 * (8 + 2 * std::sqrt(double(d)));
  const auto found = metrics::judged_retrieval(u, shaken, judged, {.tie_width = width});
  CHECK(std::fabs(found.ndcg - double(expected.ndcg)) <= 1e-13);
  CHECK(std::fabs(found.map - double(expected.map)) <= 1e-13);
  const auto by_bits = metrics::judged_retrieval(u, shaken, judged);
  CHECK(by_bits.map != found.map);
}

TEST_CASE("collapsed rows score what ties against leave, perfect order scores 1") {
  const RowMatrix<double> one = RowMatrix<double>::Ones(10, 4),
                          eye = RowMatrix<double>::Identity(10, 10);
  std::vector<metrics::Judgement> own;
  for (Index i = 0; i < 10; ++i) own.push_back({i, i, 2});
  const auto collapsed = metrics::judged_retrieval(one, one, own, {.k = 9});
  CHECK(collapsed.ndcg == 0);
  CHECK(std::fabs(collapsed.map - 0.1) <= 1e-15);
  const auto perfect = metrics::judged_retrieval(eye, eye, own);
  CHECK(perfect.ndcg == 1);
  CHECK(perfect.map == 1);
  const auto none = metrics::judged_retrieval(eye, eye, std::vector<metrics::Judgement>{{0, 1, 0}});
  CHECK(none.skipped == 10);
  CHECK(none.map == 0);
}

TEST_CASE("judged retrieval refuses what it cannot judge") {
  const RowMatrix<double> x = RowMatrix<double>::Identity(3, 3);
  using List = std::vector<metrics::Judgement>;
  CHECK_THROWS_AS((void)metrics::judged_retrieval(x, x, List{{3, 0, 1}}), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::judged_retrieval(x, x, List{{0, -1, 1}}), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::judged_retrieval(x, x, List{{0, 1, 1}, {0, 1, 0}}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::judged_retrieval(x, x, List{{0, 1, NAN}}), std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::judged_retrieval(x, x, List{{0, 1, 1}}, {.k = 0}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)metrics::judged_retrieval(x, x, List{{0, 1, 1}}, {.tie_width = -1}),
                  std::invalid_argument);
}
