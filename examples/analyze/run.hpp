// One analysis in one working precision: read each file, take the rows to work on, sweep each
// modality and each pair of them, gather what the report draws. Instantiated in run_single.cpp and
// run_double.cpp.
#pragma once

#include "analysis.hpp"
#include "extras.hpp"
#include "pair.hpp"
#include "unlike.hpp"

namespace analyze {

constexpr Index kPoints = 600;  ///< rows of each modality on the report's sphere

/// The rows to work on: of pairs, those usable on both sides; a seeded sample beyond exact_rows.
template <class T>
std::vector<Index> choose_rows(std::vector<Modality<T>>& all, const Request& r,
                               const std::vector<Index>& index) {
  const Index n = all.front().source->rows();
  if (!index.empty()) {  // images first, then the captions of those
    Modality<T>&a = all[0], &b = all[1];
    std::vector<Index> owners, captions, place(at(n), -1), owner;
    for (Index i = 0; i < n; ++i)
      if (a.health.good[at(i)]) owners.push_back(i);
    const double per_owner = double(index.size()) / double(owners.size());
    const bool many = std::max(Index(owners.size()), Index(index.size())) > r.exact_rows;
    if (many)
      owners = sample_rows(owners, Index(double(r.sample) / std::max(1.0, per_owner)), r.seed);
    for (std::size_t i = 0; i < owners.size(); ++i) place[at(owners[i])] = Index(i);
    for (std::size_t j = 0; j < index.size(); ++j)
      if (b.health.good[j] && place[at(index[j])] >= 0)
        captions.push_back(Index(j)), owner.push_back(place[at(index[j])]);
    if (owners.size() < 2 || captions.size() < 2)
      wrong(r.index, ": fewer than 2 usable rows of each modality belong together");
    load_rows(a, std::move(owners), a.health.usable);
    load_rows(b, std::move(captions), b.health.usable);
    if (many) a.sampled = b.sampled = true;
    return owner;
  }
  std::vector<Index> common, owner;
  for (Index i = 0; i < n; ++i)
    if (std::all_of(all.begin(), all.end(),
                    [i](const Modality<T>& m) { return m.health.good[at(i)]; }))
      common.push_back(i);
  if (common.size() < 2)
    wrong("only ", counted(Index(common.size()), "row"),
          " can be used on every side, and at least 2 are needed");
  const Index usable = Index(common.size());
  if (usable > r.exact_rows) common = sample_rows(common, r.sample, r.seed);
  for (Modality<T>& m : all) {
    load_rows(m, common, usable);
    stop_if_asked();
  }
  for (Index i = 0; i < Index(common.size()); ++i) owner.push_back(i);
  return owner;
}

/// Unit vectors of three numbers: rows on the three leading axes of all modalities together.
template <class T>
Json sphere_points(const std::vector<Modality<T>>& all, const std::vector<Index>& owner,
                   std::uint64_t seed) {
  Eigen::MatrixXd moment = all[0].health.moment;
  for (std::size_t m = 1; m < all.size(); ++m)
    if (all[m].rows.cols() == all[0].rows.cols()) moment += all[m].health.moment;
  Eigen::MatrixXd axes;
  const std::vector<double> sigma = singular_values(moment, 1, &axes);
  double whole = 0, held = 0;
  for (std::size_t k = 0; k < sigma.size(); ++k) (k < 3 ? held : whole) += sigma[k] * sigma[k];
  std::vector<Index> every(at(all[0].n())), chosen;
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = Index(i);
  chosen = sample_rows(every, kPoints, seed);
  Json json{{"share", held / (held + whole)}, {"modalities", Json::array()}};
  std::vector<Index> partner(every.size(),
                             -1);  // a row of the first modality: its first row in the others
  for (std::size_t j = 0; j < owner.size(); ++j)
    if (partner[at(owner[j])] < 0) partner[at(owner[j])] = Index(j);
  const bool plain = owner.size() == every.size();
  for (std::size_t m = 0; m < all.size(); ++m) {
    if (all[m].rows.cols() != all[0].rows.cols()) continue;  // has no place on these axes
    Json ids = Json::array(), points = Json::array();
    for (const Index i : chosen) {
      const Index row = m == 0 || plain ? i : partner[at(i)];
      if (row < 0) {
        ids.push_back(-1);
        for (int k = 0; k < 3; ++k) points.push_back(0);
        continue;
      }
      const Eigen::Vector3d p = (all[m].rows.row(row).template cast<double>() * axes).transpose();
      const double length = p.norm() > 0 ? p.norm() : 1;
      ids.push_back(all[m].ids[at(row)]);
      for (int k = 0; k < 3; ++k) points.push_back(std::round(p[k] / length * 1000) / 1000);
    }
    json["modalities"].push_back({{"name", all[m].name()}, {"ids", ids}, {"points", points}});
  }
  return json;
}

/// At most `most` values, evenly spaced, first and last among them.
inline Json thinned(const std::vector<double>& values, std::size_t most) {
  Json list = Json::array();
  const std::size_t n = values.size(), count = std::min(n, most);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = count < 2 ? 0 : i * (n - 1) / (count - 1);
    char text[40];
    std::snprintf(text, sizeof text, "%.4g", values[k]);
    list.push_back({k + 1, std::strtod(text, nullptr)});
  }
  return list;
}

template <class T>
void run(const Request& r, std::vector<Source>& sources, const std::vector<Index>& index,
         const std::vector<std::string>& labels, Json& document, Progress& progress) {
  std::vector<Modality<T>> all;
  for (const Source& source : sources) {
    Modality<T> m{};
    m.source = &source;
    m.health = inspect<T>(source, progress);
    m.spectrum = spectrum_of(m.health);
    all.push_back(std::move(m));
  }
  const std::vector<Index> owner = choose_rows(all, r, index);
  for (std::size_t k = 0; k < all.size(); ++k) {
    Modality<T>& m = all[k];
    describe_health(m, document);
    m.keep_top = r.extras != nullptr;
    const bool labelled = !labels.empty() && (index.empty() || k == 0);
    measure_within(m, labelled ? labels : std::vector<std::string>(), r.seed, document, progress);
  }
  document["pairs"] = Json::array();
  for (std::size_t a = 0; a < all.size(); ++a)
    for (std::size_t b = a + 1; b < all.size(); ++b)
      if (all[a].rows.cols() == all[b].rows.cols())
        measure_pair(all[a], all[b], owner, r.temperature, r.seed, document, progress);
      else
        measure_unlike_pair(all[a], all[b], owner, r.seed, document, progress);
  document["sphere"] = sphere_points(all, owner, r.seed);
  if (r.extras != nullptr) take_extras(all, *r.extras);
  for (Modality<T>& m : all) {
    const Health& h = m.health;
    Json json{{"name", m.name()},  {"files", m.source->files()}, {"dtype", m.source->dtype()},
              {"rows", h.rows},    {"cols", m.source->cols()},   {"usable", h.usable},
              {"analysed", m.n()}, {"pairs_of_rows", m.how}};
    json["health"] = {{"not_finite", found_json(h.not_finite)},
                      {"zero", found_json(h.zero)},
                      {"duplicates", found_json(h.duplicates)},
                      {"near_duplicates", m.plots["near_duplicates"]},
                      {"constant_columns", found_json(h.constant_columns)}};
    json["norms"] = {{"least", h.norms[0]},
                     {"5 %", h.norms[1]},
                     {"median", h.norms[2]},
                     {"95 %", h.norms[3]},
                     {"greatest", h.norms[4]}};
    json["spectrum"] = {{"centred", thinned(m.spectrum.centred, 200)},
                        {"uncentred", thinned(m.spectrum.uncentred, 200)}};
    json["mean"] = {{"length", h.mean.norm()}, {"vector", rounded_list(h.mean)}};
    json["histogram"] = m.plots["histogram"];
    json["histogram_step"] = m.plots["histogram_step"];
    json["hubs"] = m.plots["hubs"];
    json["occurrences"] = m.plots["occurrences"];
    if (m.plots.contains("classes")) json["classes"] = m.plots["classes"];
    document["modalities"].push_back(std::move(json));
  }
}

}  // namespace analyze
