// Retrieval between two modalities: ranks, what follows from them, examples.
//
// A row with several answers is asked for the best of them: rank 1 + the number of others at least
// as near. Where others are exactly as near, the figures that count them in the query's favour
// stand beside: rank 1 + the number of others nearer.
#pragma once

#include "modality.hpp"

namespace analyze {

/// One direction of retrieval.
struct Direction {
  std::vector<Index> ranks, best_ranks;  ///< of queries: ties against, ties for
  std::vector<Index> query, answer;      ///< own row, the answer's row
  Index gallery = 0;
};

inline double median(std::vector<Index> ranks) {
  const std::size_t middle = ranks.size() / 2;
  std::nth_element(ranks.begin(), ranks.begin() + Index(middle), ranks.end());
  if (ranks.size() % 2 == 1) return double(ranks[middle]);
  return (double(ranks[middle]) +
          double(*std::max_element(ranks.begin(), ranks.begin() + Index(middle)))) /
         2;
}

/// recall@1, 5, 10, median rank, MRR, with intervals over queries.
inline void report_retrieval(const Direction& d, const std::string& scope, const std::string& how,
                             Json& list) {
  const Index n = Index(d.ranks.size());
  const auto figures = [&](const auto& rank_of, std::vector<double>& out) {
    std::vector<Index> ranks(at(n));
    double hit[3] = {}, reciprocal = 0;
    for (Index i = 0; i < n; ++i) {
      const Index r = ranks[at(i)] = rank_of(i);
      hit[0] += r <= 1, hit[1] += r <= 5, hit[2] += r <= 10;
      reciprocal += 1 / double(r);
    }
    for (std::size_t k = 0; k < 3; ++k) out[k] = hit[k] / double(n);
    out[3] = median(std::move(ranks));
    out[4] = reciprocal / double(n);
  };
  std::vector<double> value(5), ties_for(5);
  figures([&](Index i) { return d.ranks[at(i)]; }, value);
  figures([&](Index i) { return d.best_ranks[at(i)]; }, ties_for);
  double tied = 0;
  for (std::size_t i = 0; i < d.ranks.size(); ++i) tied += d.ranks[i] != d.best_ranks[i];
  std::vector<Index> order(at(n));  // by rank
  for (Index i = 0; i < n; ++i) order[at(i)] = i;
  std::sort(order.begin(), order.end(),
            [&](Index i, Index j) { return d.ranks[at(i)] < d.ranks[at(j)]; });
  Eigen::ArrayXd reciprocal(n);
  for (Index i = 0; i < n; ++i) reciprocal[i] = 1 / double(d.ranks[at(i)]);
  const auto intervals = bootstrap_weighted(
      n, {kAsDrawn, kAsDrawn}, [&](const Eigen::ArrayXd& times, std::vector<double>& out) {
        double passed = 0, lower = 0;  // draws so far, the lower of the two in the middle
        for (const Index i : order) {
          const double before = passed, half = double((n - 1) / 2), upper = double(n / 2);
          passed += times[i];
          if (before <= half && half < passed) lower = double(d.ranks[at(i)]);
          if (upper < passed) {
            out[0] = (lower + double(d.ranks[at(i)])) / 2;
            break;
          }
        }
        out[1] = (times * reciprocal).sum() / double(n);
      });
  const char* const keys[] = {"recall1", "recall5", "recall10", "median_rank", "mrr"};
  for (std::size_t k = 0; k < 5; ++k) {
    const Interval interval = k < 3 ? wilson(value[k], double(n)) : intervals[k - 3];
    list.push_back(metric(keys[k], scope, value[k], how, interval));
    if (tied > 0) list.back()["ties_for"] = ties_for[k];
    list.back()["chance"] = k < 3    ? Json(std::min(1.0, (k == 0   ? 1.0
                                                           : k == 1 ? 5.0
                                                                    : 10.0) /
                                                              double(d.gallery)))
                            : k == 3 ? Json(double(d.gallery + 1) / 2)
                                     : Json();
    list.back()["gallery"] = d.gallery;
    list.back()["queries"] = n;
  }
  list.push_back(
      metric("tied_queries", scope, tied / double(n), how, wilson(tied / double(n), double(n))));
}

/// Ranks in buckets 1, 2, 3-5, 6-10, 11-20, 21-50, 51-100, ...
inline Json rank_buckets(const Direction& d) {
  Json edges = Json::array(), counts = Json::array();
  std::vector<Index> top;
  for (Index decade = 1; top.empty() || top.back() < d.gallery; decade *= 10)
    for (const Index m : {1, 2, 5}) top.push_back(decade * m);
  std::vector<Index> count(top.size());
  for (const Index r : d.ranks)
    ++count[std::size_t(std::lower_bound(top.begin(), top.end(), r) - top.begin())];
  while (top.size() > 1 && top[top.size() - 2] >= d.gallery) top.pop_back();
  for (std::size_t b = 0; b < top.size(); ++b) edges.push_back(top[b]), counts.push_back(count[b]);
  return {{"upto", edges}, {"count", counts}};
}

/// Eight queries: four that find their partner, four that do not (seeded).
template <class T>
Json retrieval_examples(const Direction& d, const TopList<T>& top, const Modality<T>& from,
                        const Modality<T>& to, std::uint64_t seed) {
  std::vector<Index> hits, misses;
  for (std::size_t q = 0; q < d.ranks.size(); ++q)
    (d.ranks[q] == 1 ? hits : misses).push_back(Index(q));
  const Index wanted_hits = std::max<Index>(4, 8 - Index(misses.size()));
  std::vector<Index> chosen = sample_rows(hits, wanted_hits, seed);
  for (const Index q : sample_rows(misses, 8 - Index(chosen.size()), seed)) chosen.push_back(q);
  Json list = Json::array();
  for (const Index q : chosen) {
    const Index row = d.query[at(q)];
    Json first = Json::array();
    for (Index p = 0; p < std::min<Index>(5, top.k()) && top.id(row, p) >= 0; ++p)
      first.push_back({{"id", to.ids[at(top.id(row, p))]},
                       {"cosine", std::round(double(top.value(row, p)) * 1e4) / 1e4}});
    list.push_back({{"query", from.ids[at(row)]},
                    {"answer", to.ids[at(d.answer[at(q)])]},
                    {"rank", d.ranks[at(q)]},
                    {"first", first}});
  }
  return list;
}

/// The largest share of queries whose first hit lies one and the same number of rows away, not 0:
/// the share, the number and each query's part. Of hits that tie each has its part, and none where
/// the own row is one of them.
struct CommonOffset {
  double share = 0;
  Index offset = 0;
  std::vector<double> parts;
};

inline CommonOffset common_offset(const std::vector<std::vector<Index>>& first,
                                  const std::vector<Index>& from, const std::vector<Index>& to) {
  CommonOffset result;
  std::map<Index, double> count;
  const auto own = [&](std::size_t i) {
    for (const Index j : first[i])
      if (to[at(j)] == from[i]) return true;
    return false;
  };
  for (std::size_t i = 0; i < from.size(); ++i)
    for (const Index j : own(i) ? std::vector<Index>() : first[i])
      count[to[at(j)] - from[i]] += 1 / double(first[i].size());
  double best = 0;
  for (const auto& [o, c] : count)
    if (c > best + 1e-9) best = c, result.offset = o;
  result.share = best / double(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    double part = 0;
    for (const Index j : own(i) ? std::vector<Index>() : first[i])
      if (to[at(j)] - from[i] == result.offset) part += 1 / double(first[i].size());
    result.parts.push_back(part);
  }
  return result;
}

}  // namespace analyze
