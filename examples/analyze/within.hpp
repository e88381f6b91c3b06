// The figures of all pairs of one modality's own rows: a sweep over them, or over a sample, and the
// nearest others of each, which the sweep finds or files give (given_neighbours.hpp).
//
// Where they are given, figures of neighbours take all chosen rows, whatever the sweep takes.
#pragma once

#include "given_neighbours.hpp"

namespace analyze {

/// Outliers: rows whose nearest rows are farthest.
template <class T>
void outlying_rows(Modality<T>& m, const TopList<T>& top, const std::vector<Index>& ids) {
  constexpr std::size_t shown = 10;
  const Index k = std::min(kNeighbours, top.k());
  std::vector<double> near(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (Index p = 0; p < k; ++p) near[i] += double(top.value(Index(i), p)) / double(k);
  std::vector<Index> order(ids.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = Index(i);
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    return near[at(a)] != near[at(b)] ? near[at(a)] < near[at(b)] : a < b;
  });
  for (const Index i : order) m.outliers.emplace_back(ids[at(i)], near[at(i)]);
  m.plots["outliers"] = Json::array();
  for (std::size_t i = 0; i < std::min(shown, order.size()); ++i)
    m.plots["outliers"].push_back(
        {{"id", m.outliers[i].first}, {"cosine", six_digits(m.outliers[i].second)}});
}

/// Representative rows: those in the densest places, none among the nearest of one before it.
template <class T>
void representative_rows(Modality<T>& m, const std::vector<double>& potentials,
                         const TopList<T>& top) {
  constexpr std::size_t shown = 10;
  std::vector<Index> order(at(m.n()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = Index(i);
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const double x = potentials[at(a)], y = potentials[at(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<bool> taken(at(m.n()));
  m.plots["representative"] = Json::array();
  for (const Index i : order) {
    if (taken[at(i)]) continue;
    const double density = potentials[at(i)] / double(m.n() - 1);
    m.representative.emplace_back(m.ids[at(i)], density);
    if (m.plots["representative"].size() < shown)
      m.plots["representative"].push_back(
          {{"id", m.ids[at(i)]}, {"potential", six_digits(density)}});
    for (Index p = 0; p < std::min(kNeighbours, top.k()); ++p)
      if (const Index j = top.id(i, p); j >= 0) taken[at(j)] = true;
  }
}

/// All chosen rows, whatever sample m is.
template <class T>
Modality<T> all_chosen(const Modality<T>& m) {
  Modality<T> all;
  all.source = m.source, all.health = m.health, all.chosen = m.chosen, all.moments.n = m.moments.n;
  std::vector<Index> ids;
  for (std::size_t i = 0; i < m.chosen.size(); ++i)
    if (m.chosen[i]) ids.push_back(Index(i));
  load_rows(all, std::move(ids));
  return all;
}

/// What the sweep has said of the lists that files gave: `missed` rows lack a nearer one.
template <class T>
void judge_given(Modality<T>& m, const NeighbourFiles& files, const Found& missed, Json& document) {
  m.plots["given_neighbours"] = {{"columns", files.ids().cols()},
                                 {"rows", m.asked.size()},
                                 {"looked_at", m.n()},
                                 {"lacking", found_json(missed)}};
  if (missed.count == 0) return;
  document["readings"].push_back(
      {{"level", "look"},
       {"scope", m.name()},
       {"key", "given_neighbours"},
       {"text", m.name() + ": the neighbours given lack some of the 10 nearest for " +
                    with_commas(missed.count) + " of " + counted(m.n(), "row") +
                    (m.sampled ? ", of what a sample shows" : "") + " (first: row " +
                    std::to_string(missed.first[0]) +
                    "); figures of neighbours are of those given."}});
}

/// Figures of all pairs of the modality's own rows. `files` is null where the sweep finds the
/// nearest.
template <class T>
void measure_within(Modality<T>& m, const NeighbourFiles* files,
                    const std::vector<std::string>& labels, std::uint64_t seed, Json& document,
                    Progress& progress) {
  Modality<T> whole;
  std::optional<TopList<T>> given;  // what is wrong with it is said before the sweep
  if (files && m.sampled) whole = all_chosen(m);
  const Modality<T>& asked = files && m.sampled ? whole : m;
  if (files) given = GivenNeighbours<T>(*files, asked).read(progress);
  m.asked = asked.ids;

  const Index n = m.n(), asking = asked.n();
  const std::string& s = m.name();
  const AllPairs<T> pairs = pairs_within(m, kNeighbours + 1, progress);
  const TopList<T>& top = given ? *given : pairs.row_top;
  Found missed;
  if (given) missed = lacking(top, m.asked, pairs.row_top, m.ids, tie_width<T>(m.rows.cols()));
  // Exact where every pair was met and none was missed.
  const std::string how = !given                            ? m.how
                          : !m.sampled && missed.count == 0 ? "exact"
                                                            : "neighbours given";
  const double count = double(n) * double(n - 1) / 2, mean = pairs.potential / count;
  Json& list = document["metrics"];

  std::vector<double> twice(at(n));  // a pair has two rows
  for (Index i = 0; i < n; ++i) twice[at(i)] = 2 * pairs.potentials[at(i)] / double(n - 1);
  list.push_back(
      metric("uniformity", s, std::log(mean), m.how, log_of(bootstrap_parts(mean, twice))));
  for (double& part : twice) part /= mean;
  keep_parts(document, s, "uniformity", twice);

  std::vector<std::vector<Index>> first(at(asking));
  const auto exact = file_cosine(asked, asked);
  const Neighbours<T> neighbours(
      asked.rows, asked.rows, true, top, kNeighbours, get(exact),
      [&](Index i, const std::vector<Index>& nearest) { first[at(i)] = nearest; });
  const std::vector<double>& occurrence = neighbours.count();
  list.push_back(metric("hubness", s, skewness(occurrence), how, bootstrap_skewness(occurrence)));
  list.back()["tied"] = neighbours.tied();
  m.plots["hubs"] = hub_list(occurrence, asked, asking - 1);
  m.plots["occurrences"] = occurrence_buckets(occurrence);
  list.push_back(metric("top_hub", s, m.plots["hubs"][0]["share"].template get<double>(), how,
                        top_hub_interval(neighbours, asking, double(asking - 1))));

  Found near;
  for (Index i = 0; i < n; ++i)
    if (pairs.near[at(i)] != 0) near.add(m.ids[at(i)]);
  std::optional<Interval> of_near;
  if (m.sampled) {
    of_near = wilson(double(near.count) / double(n), double(n));
    of_near->low *= double(n), of_near->high *= double(n);
  }
  list.push_back(metric("near_duplicates", s, double(near.count), m.how, of_near));
  m.plots["near_duplicates"] = found_json(near);
  if (!labels.empty()) {
    const Index k = std::min(kNeighbours, top.k());
    std::vector<Index> listed;
    for (Index i = 0; i < asking; ++i)
      for (Index p = 0; p < k; ++p) listed.push_back(top.id(i, p));
    const Classes classes(labels, asked.ids);
    m.plots["by_class"] =
        report_classes({s, how, classes, classes, first, {}}, "label_match", list);
    m.suspects = report_label_noise(classes, asked.ids, listed, k, s, how, seed, list);
    m.plots["label_noise"] = Json::array();
    for (std::size_t i = 0; i < std::min(kSuspects, m.suspects.size()); ++i)
      m.plots["label_noise"].push_back(m.suspects[i]);
    m.plots["classes"] = class_uniformity(m, labels, seed);
  }
  outlying_rows(m, top, asked.ids);
  representative_rows(m, pairs.potentials, m.sampled ? pairs.row_top : top);
  m.plots["histogram"] = pairs.histogram;
  m.plots["histogram_step"] = pairs.histogram_step;
  if (files) judge_given(m, *files, missed, document);
  if (m.keep_top) m.top = top, m.near_group = pairs.near_group;
}

}  // namespace analyze
