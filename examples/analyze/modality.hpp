// One modality: its rows in memory, the sweep over all its pairs, figures of order N. within.hpp has
// those of its pairs.
#pragma once

#include <map>

#include "labels.hpp"
#include "metric.hpp"
#include "neighbours.hpp"
#include "spectrum.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace analyze {

inline constexpr double kSteepness = 2;    ///< t of uniformity
inline constexpr Index kNeighbours = 10;   ///< of hubness
inline constexpr Index kClassRows = 1000;  ///< rows of a class up to which all pairs are taken

/// -2t + log 0F1(; d/2; t^2): the uniformity that points drawn evenly on the sphere tend to.
inline double uniformity_floor(Index d) {
  double term = 1, sum = 1;
  for (int k = 1; term > 1e-18 * sum; ++k)
    sum += term *= kSteepness * kSteepness / (k * (double(d) / 2 + k - 1));
  return -2 * kSteepness + std::log(sum);
}

/// How many rows are neighbours 0, 1 to 2, 3 to 5, 6 to 10, 11 to 20, 21 to 50, ... times.
inline Json occurrence_buckets(const std::vector<double>& count) {
  std::vector<double> top = {0};
  const double most = *std::max_element(count.begin(), count.end());
  for (double decade = 1; top.back() < most; decade *= 10)
    for (const double m : {2, 5, 10}) top.push_back(decade * m);
  while (top.size() > 1 && top[top.size() - 2] >= most) top.pop_back();
  std::vector<Index> rows(top.size());
  for (const double c : count)
    ++rows[std::size_t(std::lower_bound(top.begin(), top.end(), c) - top.begin())];
  return {{"upto", top}, {"count", rows}};
}

/// Third central moment over the power 3/2 of the second; 0 where all are equal. Row i counts
/// `times(i)` times, n times all rows together.
template <class Times>
double skewness(const std::vector<double>& x, const Times& times) {
  const double n = double(x.size());
  double mean = 0, second = 0, third = 0;
  for (std::size_t i = 0; i < x.size(); ++i) mean += times(i) * x[i] / n;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = x[i] - mean, square = times(i) * e * e / n;
    second += square;
    third += square * e;
  }
  return second > 0 ? third / std::pow(second, 1.5) : 0;
}
inline double skewness(const std::vector<double>& x) {
  return skewness(x, [](std::size_t) { return 1.0; });
}
inline Interval bootstrap_skewness(const std::vector<double>& x) {
  return bootstrap_weighted(Index(x.size()), {skewness(x)},
                            [&](const Eigen::ArrayXd& times, std::vector<double>& out) {
                              out[0] = skewness(x, [&](std::size_t i) { return times[Index(i)]; });
                            })[0];
}

/// Of the row that is there most often, over other asking rows.
template <class T>
Interval top_hub_interval(const Neighbours<T>& neighbours, Index asking, double of) {
  const std::vector<double>& count = neighbours.count();
  const Index hub = Index(std::max_element(count.begin(), count.end()) - count.begin());
  std::vector<double> part(at(asking));
  bool whole = true;
  for (Index i = 0; i < asking; ++i) {
    part[at(i)] = neighbours.part(i, hub);
    whole &= part[at(i)] == 0 || part[at(i)] == 1;
    part[at(i)] *= double(asking) / of;
  }
  return whole ? wilson(std::min(1.0, count[at(hub)] / of), of) : bootstrap_mean(part);
}

/// Numbers for the JSON document, six digits each.
inline Json rounded_list(const Eigen::VectorXd& v) {
  Json list = Json::array();
  for (const double x : v) list.push_back(six_digits(x));
  return list;
}

/// The columns where v is greatest in size.
inline std::vector<Index> greatest_columns(const Eigen::VectorXd& v, Index count) {
  std::vector<Index> order(at(v.size()));
  for (Index k = 0; k < v.size(); ++k) order[at(k)] = k;
  count = std::min(count, Index(v.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](Index i, Index j) {
    return std::fabs(v[i]) != std::fabs(v[j]) ? std::fabs(v[i]) > std::fabs(v[j]) : i < j;
  });
  order.resize(at(count));
  return order;
}

/// Rows of one file with what is known of them: those that figures of one modality, or of a pair,
/// are taken from.
template <class T>
struct Modality {
  const Source* source = nullptr;
  const Health* health = nullptr;
  std::vector<bool> chosen;  ///< row by row of the file, before sampling
  Moments moments;           ///< of the chosen rows
  Spectrum spectrum;
  std::vector<Index> ids;  ///< of the rows below, in the file
  RowMatrix<T> rows;       ///< unit
  std::string how;         ///< of figures over these rows' pairs: "exact" or "sample of ..."
  bool sampled = false;
  double potential = 0;
  std::vector<double> potentials;
  Json plots;
  bool keep_top = false;          ///< whether the nearest rows are wanted as a list
  std::optional<TopList<T>> top;  ///< of each of the rows `asked`, its nearest others among them
  std::vector<Index> asked;       ///< in the file: ids, or all chosen ones
  std::vector<Index> near_group;  ///< of each row, the first row of its near-duplicates' group
  std::vector<std::pair<Index, double>> outliers, representative;  ///< all of them, with scores
  Json suspects;
  const std::string& name() const { return source->name(); }
  Index n() const { return rows.rows(); }
};

template <class T>
void load_rows(Modality<T>& m, std::vector<Index> ids) {
  m.ids = std::move(ids);
  m.sampled = Index(m.ids.size()) < m.moments.n;
  m.how = m.sampled ? "seeded sample of " + with_commas(Index(m.ids.size())) + " of " +
                          with_commas(m.moments.n) + " rows"
                    : "exact";
  m.rows = m.source->template gather<T>(m.ids);
  spheremix::sphere::normalize_rows(m.rows, m.rows);
}

/// What is asked again in double where the sweep is in single precision.
template <class T>
std::optional<FileCosine> file_cosine(const Modality<T>& a, const Modality<T>& b) {
  std::optional<FileCosine> exact;
  if constexpr (sizeof(T) == 4)
    exact.emplace(HeldRows{*a.source, a.ids, a.rows}, HeldRows{*b.source, b.ids, b.rows});
  return exact;
}
inline const FileCosine* get(const std::optional<FileCosine>& exact) {
  return exact ? &*exact : nullptr;
}

/// The sweep over the rows' own pairs.
template <class T>
AllPairs<T> pairs_within(Modality<T>& m, Index k, Progress& progress) {
  std::vector<std::uint64_t> hashes(at(m.n()));
  for (Index i = 0; i < m.n(); ++i) hashes[at(i)] = m.health->hashes[at(m.ids[at(i)])];
  const auto exact = file_cosine(m, m);
  Marks<T> marks;
  marks.hashes = &hashes, marks.exact = get(exact), marks.groups = m.keep_top;
  progress.stage("Pairs within " + m.name(), sweep_work(m.n(), m.n(), m.rows.cols(), true),
                 "Gflop");
  AllPairs<T> pairs =
      all_pairs<T>(m.rows, m.rows, true, std::min(k, m.n() - 1), kSteepness, marks, progress);
  m.potential = pairs.potential;
  m.potentials = pairs.potentials;
  return pairs;
}

inline Json found_json(const Found& f) { return {{"count", f.count}, {"first", f.first}}; }

inline Json numbers(const std::vector<double>& values, int digits) {
  Json list = Json::array();
  const double unit = std::pow(10, digits);
  for (const double v : values) list.push_back(std::round(v * unit) / unit);
  return list;
}

/// What each row adds to a figure, for paired comparisons: the mean of a run's differences is the
/// change of the figure, to first order.
inline void keep_parts(Json& document, const std::string& scope, const char* key,
                       const std::vector<double>& parts) {
  Json list = Json::array();
  for (const double p : parts) list.push_back(six_digits(p));
  document["per_row"][scope][key] = std::move(list);
}

/// Degrees around the mean, by V = 1 - |m|^2 and not by |m|, which is 1 to all its digits in a
/// narrow cone.
inline double cone_of(double spread) {
  const double v = std::clamp(spread, 0.0, 1.0);
  return std::atan2(std::sqrt(v), std::sqrt(1 - v)) * 180 / spheremix::core::pi<double>;
}

/// Degrees between two means, seen from the origin; none where a mean is the origin.
inline std::optional<double> angle_between(const Eigen::VectorXd& p, const Eigen::VectorXd& q) {
  if (!(p.norm() > 1e-14 && q.norm() > 1e-14)) return std::nullopt;
  const Eigen::VectorXd u = p.normalized(), v = q.normalized();
  return 2 * std::atan2((u - v).norm(), (u + v).norm()) * 180 / spheremix::core::pi<double>;
}

/// Figures of order N, from the streamed passes.
template <class T>
void describe_health(const Modality<T>& m, Json& document) {
  const Health& h = *m.health;
  const Moments& sums = m.moments;
  const std::string& s = m.name();
  Json& list = document["metrics"];
  const std::pair<const char*, const Found*> counts[] = {{"not_finite", &h.not_finite},
                                                         {"zero", &h.zero},
                                                         {"duplicates", &h.duplicates},
                                                         {"constant_columns", &h.constant_columns}};
  for (const auto& [key, found] : counts)
    list.push_back(metric(key, s, double(found->count), "exact"));
  const double n = double(sums.n);
  list.push_back(metric("norm_mean", s, sums.mean_length, "exact"));
  list.push_back(
      metric("norm_spread", s, (sums.lengths[3] - sums.lengths[1]) / sums.lengths[2], "exact"));
  const double degree = spheremix::core::pi<double> / 180;
  const auto cosine = [n](double v) { return 1 - n * std::min(v, 1.0) / (n - 1); };
  const double v = sums.spread;
  std::optional<Interval> of_cone, of_cosine;
  if (!m.sampled && v > 0) {
    std::vector<double> away(at(m.n()));
    for (Index i = 0; i < m.n(); ++i)
      away[at(i)] = (m.rows.row(i).template cast<double>().transpose() - sums.mean).squaredNorm();
    const Interval of_spread = bootstrap_parts(v, away);
    of_cone = {cone_of(of_spread.low), cone_of(of_spread.high)};
    of_cosine = {cosine(of_spread.high), cosine(of_spread.low)};
    const double slope = v < 1 ? 1 / (2 * std::sqrt(v * (1 - v)) * degree) : 0;
    std::vector<double> parts = away;
    for (double& p : parts) p *= -n / (n - 1);
    keep_parts(document, s, "mean_cosine", parts);
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = slope * away[i];
    keep_parts(document, s, "cone_angle", parts);
  }
  list.push_back(metric("cone_angle", s, cone_of(v), "exact", of_cone));
  list.push_back(metric("mean_cosine", s, cosine(v), "exact", of_cosine));
  list.push_back(metric("effective_rank", s, m.spectrum.effective_rank, "exact"));
  list.push_back(metric("rank_me", s, m.spectrum.rank_me, "exact"));
  list.push_back(metric("full_rank", s, double(m.spectrum.full_rank), "exact"));
  list.push_back(metric("iso_score", s, m.spectrum.iso_score, "exact"));
  list.push_back(metric("uniformity_floor", s, uniformity_floor(m.source->cols()), "exact"));
}

/// Uniformity of each of the largest classes, of a sample of kClassRows rows beyond as many.
template <class T>
Json class_uniformity(const Modality<T>& m, const std::vector<std::string>& labels,
                      std::uint64_t seed) {
  std::map<std::string, std::vector<Index>> classes;
  for (Index i = 0; i < m.n(); ++i)
    if (!labels[at(m.ids[at(i)])].empty()) classes[labels[at(m.ids[at(i)])]].push_back(i);
  std::vector<std::pair<Index, std::string>> order;
  for (const auto& [label, rows] : classes)
    if (rows.size() >= 5) order.emplace_back(-Index(rows.size()), label);
  std::sort(order.begin(), order.end());
  Json list = Json::array();
  for (std::size_t c = 0; c < std::min<std::size_t>(12, order.size()); ++c) {
    const auto chosen = sample_rows(classes[order[c].second], kClassRows, seed);
    const Index n = Index(chosen.size());
    RowMatrix<double> rows(n, m.rows.cols());
    for (Index i = 0; i < n; ++i) rows.row(i) = m.rows.row(chosen[at(i)]).template cast<double>();
    const double value = spheremix::metrics::uniformity(rows);
    const Eigen::VectorXd sums =
        (2 * kSteepness * ((rows * rows.transpose()).array() - 1)).exp().rowwise().sum();
    std::vector<double> twice(at(n));
    for (Index i = 0; i < n; ++i) twice[at(i)] = 2 * (sums[i] - 1) / double(n - 1);
    const Interval interval = log_of(bootstrap_parts(std::exp(value), twice));
    list.push_back({{"label", order[c].second},
                    {"rows", -order[c].first},
                    {"value", value},
                    {"interval", {six_digits(interval.low), six_digits(interval.high)}},
                    {"sampled", n}});
  }
  return list;
}

/// The hubs of `count`: rows most often among the neighbours of `queries` rows.
template <class T>
Json hub_list(const std::vector<double>& count, const Modality<T>& owner, Index queries) {
  std::vector<Index> order(count.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = Index(i);
  const std::size_t shown = std::min<std::size_t>(10, order.size());
  std::partial_sort(order.begin(), order.begin() + Index(shown), order.end(),
                    [&](Index a, Index b) {
                      return count[at(a)] != count[at(b)] ? count[at(a)] > count[at(b)] : a < b;
                    });
  Json list = Json::array();
  for (std::size_t i = 0; i < shown; ++i)
    list.push_back({{"id", owner.ids[at(order[i])]},
                    {"count", count[at(order[i])]},
                    {"share", count[at(order[i])] / double(queries)}});
  return list;
}

}  // namespace analyze
