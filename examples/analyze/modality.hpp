// The figures of one modality: its rows in memory, the sweep over all its pairs, what follows.
#pragma once

#include <map>

#include "metric.hpp"
#include "spectrum.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "sweep.hpp"

namespace analyze {

inline constexpr double kSteepness = 2;       ///< t of uniformity
inline constexpr double kNearCosine = 0.999;  ///< cosine from which rows count as near-duplicates
inline constexpr Index kNeighbours = 10;      ///< of hubness
inline constexpr Index kClassRows = 1000;     ///< rows of a class up to which all pairs are taken

/// -2t + log 0F1(; d/2; t^2): the uniformity that points drawn evenly on the sphere tend to.
inline double uniformity_floor(Index d) {
  double term = 1, sum = 1;
  for (int k = 1; term > 1e-18 * sum; ++k)
    sum += term *= kSteepness * kSteepness / (k * (double(d) / 2 + k - 1));
  return -2 * kSteepness + std::log(sum);
}

/// How often each of n rows is among the listed neighbours.
template <class T>
std::vector<double> occurrences(const TopList<T>& top, Index queries, Index n) {
  std::vector<double> count(at(n));
  const Index k = std::min(kNeighbours, top.k());
  for (Index i = 0; i < queries; ++i)
    for (Index p = 0; p < k && top.id(i, p) >= 0; ++p) ++count[at(top.id(i, p))];
  return count;
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

/// Third central moment over the power 3/2 of the second; 0 where all are equal.
template <class Get>
double skewness(Index n, const Get& get) {
  double mean = 0, second = 0, third = 0;
  for (Index i = 0; i < n; ++i) mean += get(i) / double(n);
  for (Index i = 0; i < n; ++i) {
    const double e = get(i) - mean;
    second += e * e / double(n);
    third += e * e * e / double(n);
  }
  return second > 0 ? third / std::pow(second, 1.5) : 0;
}
inline double skewness(const std::vector<double>& x) {
  return skewness(Index(x.size()), [&](Index i) { return x[at(i)]; });
}
inline Interval bootstrap_skewness(const std::vector<double>& x) {
  const Index n = Index(x.size());
  return bootstrap(n, {skewness(x)}, [&](const std::vector<Index>& draw, std::vector<double>& out) {
    out[0] = skewness(n, [&](Index i) { return x[at(draw[at(i)])]; });
  })[0];
}

/// How often each of n rows is among the neighbours, over other asking rows: the interval of the
/// row that is there most often.
template <class T>
Interval bootstrap_top_hub(const TopList<T>& top, Index asking, const std::vector<double>& count,
                           double of) {
  const Index hub = Index(std::max_element(count.begin(), count.end()) - count.begin());
  std::vector<double> named(at(asking));
  for (Index i = 0; i < asking; ++i)
    for (Index p = 0; p < std::min(kNeighbours, top.k()); ++p)
      if (top.id(i, p) == hub) named[at(i)] = double(asking) / of;
  return bootstrap_mean(named);
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

template <class T>
struct Modality {
  const Source* source;
  Health health;
  Spectrum spectrum;
  std::vector<Index> ids;  ///< of the rows below, in the file
  RowMatrix<T> rows;       ///< unit
  std::string how;         ///< of figures over these rows' pairs: "exact" or "sample of ..."
  bool sampled = false;
  double potential = 0;
  std::vector<double> potentials;
  Json plots;
  bool keep_top = false;          ///< whether the nearest rows are wanted as a list
  std::optional<TopList<T>> top;  ///< of each row, its nearest others
  const std::string& name() const { return source->name(); }
  Index n() const { return rows.rows(); }
};

template <class T>
void load_rows(Modality<T>& m, std::vector<Index> ids, Index of) {
  m.ids = std::move(ids);
  m.sampled = Index(m.ids.size()) < of;
  m.how = m.sampled ? "seeded sample of " + with_commas(Index(m.ids.size())) + " of " +
                          with_commas(of) + " rows"
                    : "exact";
  m.rows = m.source->template gather<T>(m.ids);
  spheremix::sphere::normalize_rows(m.rows, m.rows);
}

inline Json found_json(const Found& f) { return {{"count", f.count}, {"first", f.first}}; }

inline Json numbers(const std::vector<double>& values, int digits) {
  Json list = Json::array();
  const double unit = std::pow(10, digits);
  for (const double v : values) list.push_back(std::round(v * unit) / unit);
  return list;
}

/// Figures of order N, from the streamed pass.
template <class T>
void describe_health(const Modality<T>& m, Json& document) {
  const Health& h = m.health;
  const std::string& s = m.name();
  Json& list = document["metrics"];
  const std::pair<const char*, const Found*> counts[] = {{"not_finite", &h.not_finite},
                                                         {"zero", &h.zero},
                                                         {"duplicates", &h.duplicates},
                                                         {"constant_columns", &h.constant_columns}};
  for (const auto& [key, found] : counts)
    list.push_back(metric(key, s, double(found->count), "exact"));
  const double length = h.mean.norm(), n = double(h.usable);
  list.push_back(metric("norm_mean", s, h.mean_norm, "exact"));
  list.push_back(metric("norm_spread", s, (h.norms[3] - h.norms[1]) / h.norms[2], "exact"));
  const auto cone = [](double r) {
    return std::acos(std::clamp(r, 0.0, 1.0)) * 180 / spheremix::core::pi<double>;
  };
  const auto cosine = [n](double r) { return (n * r * r - 1) / (n - 1); };
  std::optional<Interval> of_cone, of_cosine;
  if (!m.sampled && length > 0) {
    std::vector<double> along(at(m.n()));
    for (Index i = 0; i < m.n(); ++i)
      along[at(i)] = m.rows.row(i).template cast<double>().dot(h.mean) / length;
    const Interval of_length = bootstrap_parts(length, along);
    of_cone = {cone(of_length.high), cone(of_length.low)};
    of_cosine = {cosine(std::max(0.0, of_length.low)), cosine(of_length.high)};
  }
  list.push_back(metric("cone_angle", s, cone(length), "exact", of_cone));
  list.push_back(metric("mean_cosine", s, cosine(length), "exact", of_cosine));
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

/// Figures of all pairs of the modality's own rows.
template <class T>
void measure_within(Modality<T>& m, const std::vector<std::string>& labels, std::uint64_t seed,
                    Json& document, Progress& progress) {
  const Index n = m.n();
  const std::string& s = m.name();
  progress.stage("Pairs within " + s, sweep_work(n, n, m.rows.cols(), true), "Gflop");
  AllPairs<T> pairs =
      all_pairs<T>(m.rows, m.rows, true, std::min(kNeighbours, n - 1), kSteepness, {}, progress);
  m.potential = pairs.potential;
  const double count = double(n) * double(n - 1) / 2, mean = pairs.potential / count;
  Json& list = document["metrics"];

  std::vector<double> twice(at(n));  // a pair has two rows
  for (Index i = 0; i < n; ++i) twice[at(i)] = 2 * pairs.potentials[at(i)] / double(n - 1);
  list.push_back(
      metric("uniformity", s, std::log(mean), m.how, log_of(bootstrap_parts(mean, twice))));
  const std::vector<double> occurrence = occurrences(pairs.row_top, n, n);
  list.push_back(metric("hubness", s, skewness(occurrence), m.how, bootstrap_skewness(occurrence)));
  m.plots["hubs"] = hub_list(occurrence, m, n - 1);
  m.plots["occurrences"] = occurrence_buckets(occurrence);
  list.push_back(metric("top_hub", s, m.plots["hubs"][0]["share"].template get<double>(), m.how,
                        bootstrap_top_hub(pairs.row_top, n, occurrence, double(n - 1))));

  Found near;
  std::vector<double> is_near(at(n));
  for (Index i = 0; i < n; ++i) {
    const auto hash = [&](Index r) { return m.health.hashes[at(m.ids[at(r)])]; };
    for (Index p = 0; p < pairs.row_top.k() && double(pairs.row_top.value(i, p)) >= kNearCosine;
         ++p) {
      if (pairs.row_top.id(i, p) < 0 || hash(pairs.row_top.id(i, p)) == hash(i)) continue;
      near.add(m.ids[at(i)]);
      is_near[at(i)] = double(n);
      break;
    }
  }
  std::optional<Interval> of_near;
  if (m.sampled) of_near = bootstrap_mean(is_near);
  list.push_back(metric("near_duplicates", s, double(near.count), m.how, of_near));
  m.plots["near_duplicates"] = found_json(near);
  if (!labels.empty()) {
    std::vector<double> match;  // of rows that have a label
    const auto label = [&](Index i) -> const std::string& { return labels[at(m.ids[at(i)])]; };
    for (Index i = 0; i < n; ++i)
      if (!label(i).empty()) match.push_back(label(i) == label(pairs.row_top.id(i, 0)));
    double share = 0;
    for (const double v : match) share += v / double(match.size());
    if (!match.empty())
      list.push_back(metric("label_match", s, share, m.how, bootstrap_mean(match)));
    m.plots["classes"] = class_uniformity(m, labels, seed);
  }
  m.plots["histogram"] = pairs.histogram;
  m.plots["histogram_step"] = pairs.histogram_step;
  if (m.keep_top) m.top = pairs.row_top;
  m.potentials = std::move(pairs.potentials);
}

}  // namespace analyze
