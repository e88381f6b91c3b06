// The figures of two modalities: how near pairs lie, how well each finds the other, how far apart
// the two clouds are.
//
// y_j belongs to x_owner[j]; without --index owner[j] = j. A row x_i with several y is asked for
// the best of them: rank 1 + the number of others at least as near.
#pragma once

#include "curves.hpp"
#include "modality.hpp"
#include "spheremix/metrics/alignment.hpp"

namespace analyze {

/// One direction of retrieval.
struct Direction {
  std::vector<Index> ranks, query, answer;  ///< of queries: rank, own row, the answer's row
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
  std::vector<double> value(5);
  figures([&](Index i) { return d.ranks[at(i)]; }, value);
  const auto intervals =
      bootstrap(n, 5, [&](const std::vector<Index>& draw, std::vector<double>& out) {
        figures([&](Index i) { return d.ranks[at(draw[at(i)])]; }, out);
      });
  const char* const keys[] = {"recall1", "recall5", "recall10", "median_rank", "mrr"};
  for (std::size_t k = 0; k < 5; ++k) {
    list.push_back(metric(keys[k], scope, value[k], how, intervals[k]));
    list.back()["chance"] = k < 3    ? Json(std::min(1.0, (k == 0   ? 1.0
                                                           : k == 1 ? 5.0
                                                                    : 10.0) /
                                                              double(d.gallery)))
                            : k == 3 ? Json(double(d.gallery + 1) / 2)
                                     : Json();
    list.back()["gallery"] = d.gallery;
  }
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

/// The largest share of queries whose first hit lies one and the same number of rows away, not 0.
template <class T>
std::pair<double, Index> common_offset(const TopList<T>& top, const std::vector<Index>& from,
                                       const std::vector<Index>& to) {
  std::map<Index, Index> count;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const Index offset = to[at(top.id(Index(i), 0))] - from[i];
    if (offset != 0) ++count[offset];
  }
  Index best = 0, offset = 0;
  for (const auto& [o, c] : count)
    if (c > best) best = c, offset = o;
  return {double(best) / double(from.size()), offset};
}

/// |C_xy|^2 / (|C_xx| |C_yy|) of centred rows, C the cross products; `shift` pairs row i with row
/// order[i]. [Kornblith et al. 2019, "Similarity of neural network representations revisited"]
template <class T>
class LinearCka {
 public:
  LinearCka(const RowMatrix<T>& x, const RowMatrix<T>& y) : x_(x), y_(y) {
    mean_x_ = x.template cast<double>().colwise().mean();
    mean_y_ = y.template cast<double>().colwise().mean();
    scale_ = std::sqrt(products(x, x, mean_x_, mean_x_, nullptr) *
                       products(y, y, mean_y_, mean_y_, nullptr));
  }
  double value(const std::vector<Index>* order = nullptr) const {
    return scale_ > 0 ? products(x_, y_, mean_x_, mean_y_, order) / scale_ : 0;
  }

 private:
  static double products(const RowMatrix<T>& a, const RowMatrix<T>& b,
                         const Eigen::RowVectorXd& mean_a, const Eigen::RowVectorXd& mean_b,
                         const std::vector<Index>* order) {
    constexpr Index block = 4096;
    const Index n = a.rows(), parts = (n + block - 1) / block;
    const int threads = spheremix::core::max_threads();
    std::vector<Eigen::MatrixXd> sums(std::size_t(std::min<Index>(parts, 8)),
                                      Eigen::MatrixXd::Zero(a.cols(), b.cols()));
    const Index slices = Index(sums.size());
    spheremix::core::parallel_for(slices, threads, [&](Index slice, int) {
      for (Index p = slice; p < parts; p += slices) {
        const Index first = p * block, count = std::min(block, n - first);
        RowMatrix<T> u = a.middleRows(first, count), v(count, b.cols());
        for (Index i = 0; i < count; ++i)
          v.row(i) = b.row(order != nullptr ? (*order)[at(first + i)] : first + i);
        u.rowwise() -= mean_a.template cast<T>();
        v.rowwise() -= mean_b.template cast<T>();
        sums[at(slice)] += (u.transpose() * v).template cast<double>();
      }
    });
    for (std::size_t s = 1; s < sums.size(); ++s) sums[0] += sums[s];
    return sums[0].squaredNorm();
  }

  const RowMatrix<T>&x_, &y_;
  Eigen::RowVectorXd mean_x_, mean_y_;
  double scale_ = 0;
};

/// The same seeded shuffle for every pair of one size.
inline std::vector<Index> shuffled(Index n, std::uint64_t seed) {
  std::vector<Index> order(at(n));
  for (Index i = 0; i < n; ++i) order[at(i)] = i;
  spheremix::core::PhiloxStream random(seed, 2, 0);
  for (Index i = n - 1; i > 0; --i)
    std::swap(order[at(i)], order[at(Index(random.uniform<double>() * double(i + 1)))]);
  return order;
}

/// gap, angle of the means, share of variance along the gap.
template <class T>
void report_gap(const Modality<T>& a, const Modality<T>& b, const std::string& scope, Json& list) {
  const Eigen::VectorXd &p = a.health.mean, &q = b.health.mean, g = p - q;
  const double both = p.norm() * q.norm();
  list.push_back(metric("gap", scope, g.norm(), "exact"));
  const double cosine = both > 0 ? p.dot(q) / both : 0;
  list.push_back(metric(
      "cone_distance", scope,
      std::acos(std::clamp(cosine, -1.0, 1.0)) * 180 / spheremix::core::pi<double>, "exact"));
  const Eigen::VectorXd middle = (p + q) / 2;
  const Eigen::MatrixXd pooled =
      (a.health.moment + b.health.moment) / 2 - middle * middle.transpose();
  const double along = g.squaredNorm() > 0 ? g.dot(pooled * g) / g.squaredNorm() : 0;
  list.push_back(
      metric("gap_share", scope, pooled.trace() > 0 ? along / pooled.trace() : 0, "exact"));
}

template <class T>
void measure_pair(const Modality<T>& a, const Modality<T>& b, const std::vector<Index>& owner,
                  double temperature, std::uint64_t seed, Json& document, Progress& progress) {
  const Index n = a.n(), m = b.n();
  const std::string scope = a.name() + "-" + b.name(), back = b.name() + "-" + a.name();
  const std::string how = a.sampled ? a.how : b.how;
  const bool sampled = a.sampled || b.sampled;
  Json& list = document["metrics"];
  Json plots{{"x", a.name()}, {"y", b.name()}};

  std::vector<std::vector<Index>> captions(at(n));
  for (Index j = 0; j < m; ++j) captions[at(owner[at(j)])].push_back(j);
  std::size_t most = 1;
  for (const auto& c : captions) most = std::max(most, c.size());
  const bool plain = most == 1 && n == m;

  progress.stage("Pairs of " + a.name() + " and " + b.name(),
                 sweep_work(n, m, a.rows.cols(), false), "Gflop");
  const std::vector<T> own = own_cosines(a.rows, b.rows, owner);
  std::vector<T> best(at(n), T(2));  // 2: a row without a partner, which asks nothing
  for (Index i = 0; i < n; ++i)
    for (std::size_t c = 0; c < captions[at(i)].size(); ++c)
      best[at(i)] =
          c == 0 ? own[at(captions[at(i)][0])] : std::max(best[at(i)], own[at(captions[at(i)][c])]);
  const Index k = std::min<Index>(
      {std::max<Index>(kNeighbours, Index(std::min<std::size_t>(most, 100)) + 1), n, m});
  const AllPairs<T> pairs =
      all_pairs<T>(a.rows, b.rows, false, k, kSteepness, {&best, &own}, progress);

  // Ranks. In a row's count its own partners stand too: each at or above the best own cosine
  // leaves.
  Direction forward, backward;
  forward.gallery = m, backward.gallery = n;
  for (Index i = 0; i < n; ++i) {
    if (captions[at(i)].empty()) continue;
    Index mine = 0, answer = captions[at(i)][0];
    for (const Index j : captions[at(i)]) {
      mine += own[at(j)] >= best[at(i)];
      if (own[at(j)] > own[at(answer)]) answer = j;
    }
    forward.ranks.push_back(pairs.row_count[at(i)] - mine + 1);
    forward.query.push_back(i), forward.answer.push_back(answer);
  }
  for (Index j = 0; j < m; ++j) {
    backward.ranks.push_back(pairs.col_count[at(j)]);
    backward.query.push_back(j), backward.answer.push_back(owner[at(j)]);
  }
  report_retrieval(forward, scope, how, list);
  report_retrieval(backward, back, how, list);

  // Pairs.
  std::vector<double> squared(at(m)), nearer_ab, nearer_ba(at(m));
  double own_sum = 0;
  std::array<std::int64_t, kBins> positive{};
  for (Index j = 0; j < m; ++j) {
    squared[at(j)] = spheremix::metrics::alignment(a.rows.row(owner[at(j)]), b.rows.row(j));
    own_sum += double(own[at(j)]);
    ++positive[std::size_t(bin_of(double(own[at(j)])))];
  }
  double alignment = 0;
  for (const double v : squared) alignment += v / double(m);
  if (plain) alignment = spheremix::metrics::alignment(a.rows, b.rows);
  std::optional<Interval> own_interval;
  if (sampled) own_interval = bootstrap_mean(squared);
  list.push_back(metric("alignment", scope, alignment, how, own_interval));
  list.push_back(metric("positive_cosine", scope, own_sum / double(m), how));
  const Eigen::VectorXd sum_a = a.rows.template cast<double>().colwise().sum(),
                        sum_b = b.rows.template cast<double>().colwise().sum();
  const double negative =
      n * m > m ? (sum_a.dot(sum_b) - own_sum) / (double(n) * double(m) - double(m)) : 0;
  list.push_back(metric("negative_cosine", scope, negative, how));

  for (std::size_t q = 0; q < forward.query.size(); ++q) {
    const Index i = forward.query[q];
    for (Index p = 0; p < k; ++p) {
      if (owner[at(pairs.row_top.id(i, p))] == i) continue;
      nearer_ab.push_back(2 * (double(pairs.row_top.value(i, p)) - double(best[at(i)])));
      break;
    }
  }
  for (Index j = 0; j < m; ++j)
    for (Index p = 0; p < k; ++p) {
      if (pairs.col_top.id(j, p) == owner[at(j)]) continue;
      nearer_ba[at(j)] = 2 * (double(pairs.col_top.value(j, p)) - double(own[at(j)]));
      break;
    }
  const std::pair<const std::string*, const std::vector<double>*> both[] = {{&scope, &nearer_ab},
                                                                            {&back, &nearer_ba}};
  for (const auto& [s, values] : both) {
    if (values->empty()) continue;
    double mean = 0;
    for (const double v : *values) mean += v / double(values->size());
    std::optional<Interval> interval;
    if (sampled) interval = bootstrap_mean(*values);
    list.push_back(metric("relative_alignment", *s, mean, how, interval));
  }

  // Uniformity of both together: pairs i < j of each, and all pairs across.
  const double cross = pairs.potential / (double(n) * double(m)), total = double(n + m);
  std::optional<Interval> of_cross, of_joint;
  const double joint = (a.potential + b.potential + pairs.potential) / (total * (total - 1) / 2);
  if (sampled && plain) {
    // To first order: a pair of rows changes the mean by its own share of it, counted twice.
    std::vector<double> across(at(n)), all(at(n));
    for (Index i = 0; i < n; ++i) {
      across[at(i)] = (pairs.potentials[at(i)] + pairs.col_potentials[at(i)]) / double(n);
      all[at(i)] =
          (a.potentials[at(i)] + b.potentials[at(i)] + across[at(i)] * double(n)) / (total - 1);
    }
    const auto interval =
        bootstrap(n, 2, [&](const std::vector<Index>& draw, std::vector<double>& out) {
          double first = 0, second = 0;
          for (const Index i : draw)
            first += across[at(i)] / double(n), second += all[at(i)] / double(n);
          out[0] = std::log(std::max(1e-300, first - cross));
          out[1] = std::log(std::max(1e-300, second - joint));
        });
    of_cross = interval[0], of_joint = interval[1];
  }
  list.push_back(metric("uniformity_cross", scope, std::log(cross), how, of_cross));
  list.push_back(metric("uniformity_joint", scope, std::log(joint), how, of_joint));
  report_gap(a, b, scope, list);

  // The structure of the two clouds, whatever their places: CKA against the same after a shuffle.
  RowMatrix<T> partners;
  if (!plain) {
    partners.resize(m, a.rows.cols());
    for (Index j = 0; j < m; ++j) partners.row(j) = a.rows.row(owner[at(j)]);
  }
  const LinearCka<T> cka(plain ? a.rows : partners, b.rows);
  const std::vector<Index> order = shuffled(m, seed);
  list.push_back(metric("cka", scope, cka.value(), how));
  list.push_back(metric("cka_shuffled", scope, cka.value(&order), how));
  const auto [share, offset] = common_offset(pairs.row_top, a.ids, b.ids);
  if (plain) {
    list.push_back(metric("offset_share", scope, share, how));
    plots["offset"] = offset;
  }

  const auto in_b = occurrences(pairs.row_top, n, m), in_a = occurrences(pairs.col_top, m, n);
  const auto report_hubness = [&](const std::string& s, const std::vector<double>& count) {
    const Index rows = Index(count.size());
    std::optional<Interval> interval;
    if (sampled)
      interval = bootstrap(rows, 1, [&](const std::vector<Index>& draw, std::vector<double>& out) {
        out[0] = skewness(rows, [&](Index i) { return count[at(draw[at(i)])]; });
      })[0];
    list.push_back(
        metric("hubness", s, skewness(rows, [&](Index i) { return count[at(i)]; }), how, interval));
  };
  report_hubness(scope, in_b);
  report_hubness(back, in_a);
  plots["hubs"] = {{"forward", hub_list(in_b, b, n)}, {"back", hub_list(in_a, a, m)}};
  list.push_back(
      metric("top_hub", scope, plots["hubs"]["forward"][0]["share"].template get<double>(), how));
  list.push_back(
      metric("top_hub", back, plots["hubs"]["back"][0]["share"].template get<double>(), how));

  auto others = pairs.histogram;
  const Index skip = std::max<Index>(1, n * m / 40'000'000);
  for (Index j = 0; j < m; ++j)
    if (owner[at(j)] % skip == 0) --others[std::size_t(bin_of(double(own[at(j)])))];
  plots["histogram"] = {{"positive", positive}, {"negative", others}};
  plots["ranks"] = {{"forward", rank_buckets(forward)}, {"back", rank_buckets(backward)}};
  plots["examples"] = {{"forward", retrieval_examples(forward, pairs.row_top, a, b, seed)},
                       {"back", retrieval_examples(backward, pairs.col_top, b, a, seed)}};

  // Curves: one partner a row.
  std::vector<Index> chosen = forward.query;
  const Index had = Index(chosen.size());
  if (had > kCurveRows) chosen = sample_rows(chosen, kCurveSample, seed);
  RowMatrix<double> x(Index(chosen.size()), a.rows.cols()), y(Index(chosen.size()), b.rows.cols());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    x.row(Index(i)) = a.rows.row(chosen[i]).template cast<double>();
    y.row(Index(i)) = b.rows.row(captions[at(chosen[i])][0]).template cast<double>();
  }
  if (x.rows() >= 2)
    measure_curves(x, y, scope,
                   had > kCurveRows || sampled
                       ? "seeded sample of " + with_commas(x.rows()) + " of " +
                             with_commas(a.health.usable) + " pairs"
                       : "exact",
                   temperature, document, plots["curves"], progress);
  document["pairs"].push_back(std::move(plots));
}

}  // namespace analyze
