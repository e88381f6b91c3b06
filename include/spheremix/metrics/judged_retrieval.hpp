// Retrieval against relevance judgements: any number of answers a query, of several grades.
//
//   DCG@k   = sum over ranks r <= k of  g_r / log2(1 + r),   g_r the grade of the row at rank r
//   nDCG@k  = DCG@k / the greatest DCG@k that any order of the rows has
//   AP      = mean over the relevant rows (grade > 0) of  (relevant rows up to it) / (its rank)
//
// Each averaged over the queries that have a relevant row; the others are counted. A row that is
// not judged, or judged below 0, has grade 0. Rows are ranked by x_i . y_j. Ties count against: of
// equal products the lower grade comes first. Products are equal where they differ by tie_width or
// less: 0, the default, tells bits apart; rows whose products round want eps (8 + 2 sqrt d).
//
// Shapes   X: N x d, Y: M x d; a judgement names a row of each.
// Errors   widths, a judgement outside, twice for one pair or not finite, k < 1, tie_width < 0, a
//          row with NaN or infinity (named): std::invalid_argument. No relevant row at all: values
//          0 and skipped = N.
// Cost     2 N M d flops, and a binary search among a query's relevant rows for each product.
// [Jarvelin, Kekalainen 2002, "Cumulated gain-based evaluation of IR techniques"; AP as trec_eval]
#pragma once

#include <cmath>
#include <functional>

#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

/// Row `answer` of Y has this grade as an answer to row `query` of X.
struct Judgement {
  Index query = 0;   ///< row of X
  Index answer = 0;  ///< row of Y
  double grade = 1;
};

struct JudgedRetrievalOptions {
  Index k = 10;          ///< ranks that nDCG counts
  double tie_width = 0;  ///< products this close are equal
};

/// Means over the queries with a relevant row.
struct JudgedRetrievalResult {
  double ndcg = 0, map = 0;             ///< in [0, 1]
  Index skipped = 0;                    ///< queries without a relevant row
  std::vector<Index> queries;           ///< those with one, ascending
  std::vector<double> of_ndcg, of_map;  ///< of each of them
};

namespace detail {

inline double gain_at(double grade, Index rank) { return grade / std::log2(1 + double(rank)); }

/// nDCG@k and AP of one query from its products and its relevant rows.
template <class T>
std::pair<double, double> judged_query(const T* s, Index m, std::vector<Judgement> relevant,
                                       const JudgedRetrievalOptions& options) {
  const double width = options.tie_width;
  const auto product = [&](const Judgement& r) { return double(s[r.answer]); };
  // Best last, so that a row stands before its equals of higher grade.
  std::sort(relevant.begin(), relevant.end(), [&](const Judgement& a, const Judgement& b) {
    return product(a) != product(b) ? product(a) < product(b) : a.grade > b.grade;
  });
  const std::size_t count = relevant.size();
  std::vector<double> marks(count);
  std::vector<char> is_relevant(std::size_t(m), 0);
  for (std::size_t r = 0; r < count; ++r) {
    marks[r] = product(relevant[r]);
    is_relevant[std::size_t(relevant[r].answer)] = 1;
  }
  // ahead[r]: rows of grade 0 at least as near as r of the relevant rows and no more.
  std::vector<Index> ahead(count + 1, 0);
  for (Index j = 0; j < m; ++j) {
    if (is_relevant[std::size_t(j)] != 0) continue;
    const double reach = double(s[j]) + width;
    if (reach < marks.front()) continue;
    ++ahead[std::size_t(std::upper_bound(marks.begin(), marks.end(), reach) - marks.begin())];
  }
  double dcg = 0, precision = 0;
  Index others = 0;
  std::vector<Index> ranks(count);
  for (std::size_t r = count; r-- > 0;) {
    others += ahead[r + 1];
    Index before = others;
    for (std::size_t q = 0; q < count; ++q) {
      const double more = marks[q] - marks[r];
      const bool equal = std::fabs(more) <= width;
      const bool lower = relevant[q].grade < relevant[r].grade ||
                         (relevant[q].grade == relevant[r].grade && q > r);
      before += q != r && (equal ? lower : more > 0);
    }
    ranks[r] = 1 + before;
    if (ranks[r] <= options.k) dcg += gain_at(relevant[r].grade, ranks[r]);
  }
  std::vector<Index> sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t r = 0; r < count; ++r) precision += double(r + 1) / double(sorted[r]);
  std::vector<double> grades;
  for (const Judgement& r : relevant) grades.push_back(r.grade);
  std::sort(grades.begin(), grades.end(), std::greater<>());
  double ideal = 0;
  for (std::size_t r = 0; r < count && Index(r) < options.k; ++r)
    ideal += gain_at(grades[r], Index(r) + 1);
  return {dcg / ideal, precision / double(count)};
}

template <class T>
JudgedRetrievalResult judged_retrieval(core::MatrixView<const T> queries,
                                       core::MatrixView<const T> answers,
                                       const std::vector<Judgement>& judgements,
                                       const JudgedRetrievalOptions& options,
                                       const core::Share* share) {
  constexpr auto* name = "judged_retrieval";
  check_query(name, queries, answers);
  core::expects(options.k >= 1, name, "k is ", options.k, ", which must be at least 1");
  core::expects(options.tie_width >= 0, name, "tie_width is ", options.tie_width,
                ", which must not be negative");
  std::vector<std::vector<Judgement>> of(static_cast<std::size_t>(queries.rows));
  std::vector<std::pair<Index, Index>> pairs;
  for (std::size_t i = 0; i < judgements.size(); ++i) {
    const Judgement& j = judgements[i];
    core::expects(j.query >= 0 && j.query < queries.rows, name, "judgement ", i, " names row ",
                  j.query, " of X, outside [0, ", queries.rows, ")");
    core::expects(j.answer >= 0 && j.answer < answers.rows, name, "judgement ", i, " names row ",
                  j.answer, " of Y, outside [0, ", answers.rows, ")");
    core::expects(std::isfinite(j.grade), name, "judgement ", i, " has the grade ", j.grade);
    pairs.emplace_back(j.query, j.answer);
    if (j.grade > 0) of[std::size_t(j.query)].push_back(j);
  }
  std::sort(pairs.begin(), pairs.end());
  const auto twice = std::adjacent_find(pairs.begin(), pairs.end());
  core::expects(twice == pairs.end(), name, "row ", twice == pairs.end() ? 0 : twice->first,
                " of X and row ", twice == pairs.end() ? 0 : twice->second,
                " of Y are judged twice");
  std::vector<std::pair<double, double>> each(of.size(), {-1.0, -1.0});
  for_whole_rows(
      queries, answers,
      [&](Index i, const T* s) {
        if (!of[std::size_t(i)].empty())
          each[std::size_t(i)] = judged_query(s, answers.rows, of[std::size_t(i)], options);
      },
      share);
  if (share) share->gather(each.data(), queries.rows);
  JudgedRetrievalResult result;
  CompensatedSum ndcg, map;
  for (std::size_t i = 0; i < each.size(); ++i) {
    if (each[i].second < 0) {
      ++result.skipped;
      continue;
    }
    result.queries.push_back(Index(i));
    result.of_ndcg.push_back(each[i].first), result.of_map.push_back(each[i].second);
    ndcg.add(each[i].first), map.add(each[i].second);
  }
  if (!result.queries.empty()) {
    result.ndcg = ndcg.value() / double(result.queries.size());
    result.map = map.value() / double(result.queries.size());
  }
  return result;
}

}  // namespace detail

/// Rows of X ask, rows of Y answer.
template <class X, class Y>
[[nodiscard]] JudgedRetrievalResult judged_retrieval(const Eigen::MatrixBase<X>& x,
                                                     const Eigen::MatrixBase<Y>& y,
                                                     const std::vector<Judgement>& judgements,
                                                     const JudgedRetrievalOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> rows_x(x), rows_y(y);
  return detail::judged_retrieval(rows_x.view(), rows_y.view(), judgements, options, nullptr);
}

/// Over several processes: of the rows of all ranks, the same on every rank. A judgement names a row
/// of this rank's X and a row number in the whole of Y; result.queries are numbers in the whole of X.
template <class X, class Y, core::Communicator World>
[[nodiscard]] JudgedRetrievalResult judged_retrieval(const Eigen::MatrixBase<X>& x,
                                                     const Eigen::MatrixBase<Y>& y,
                                                     const std::vector<Judgement>& judgements,
                                                     const JudgedRetrievalOptions& options,
                                                     World& world) {
  using T = core::Real<X>;
  JudgedRetrievalResult result;
  pairwise::over_shares(
      "judged_retrieval", world, options, nullptr,
      [&](const core::Meeting& meeting, const core::Share* share, const RowMatrix<T>& all_x,
          const RowMatrix<T>& all_y, const std::vector<Judgement>& all) {
        std::vector<Judgement> global = all;
        for (int r = 0; r < meeting.ranks().size(); ++r)
          for (Index i = meeting.first(2, r); i < meeting.first(2, r + 1); ++i) {
            Judgement& j = global[std::size_t(i)];
            core::expects(j.query >= 0 && j.query < meeting.count(0, r), "judged_retrieval",
                          "a judgement of rank ", r, " names row ", j.query, " of its ",
                          meeting.count(0, r), " rows of X");
            j.query += meeting.first(0, r);
          }
        result = detail::judged_retrieval(core::rows_of(all_x), core::rows_of(all_y), global,
                                          options, share);
      },
      x, y, judgements);
  return result;
}

}  // namespace spheremix::metrics
