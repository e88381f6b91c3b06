// One analysis in one working precision: take the rows to work on, sweep each modality and each pair
// of them, gather what the report draws. Instantiated in run_single.cpp and run_double.cpp.
//
// A pair's figures take the rows usable on both of its sides, whatever other modalities lack. Those
// of one modality take the rows of its first pair: the first modality's with the second one, every
// other's with the first.
#pragma once

#include "analysis.hpp"
#include "extras.hpp"
#include "pair.hpp"
#include "unlike.hpp"
#include "within.hpp"

namespace analyze {

constexpr Index kPoints = 600;  ///< rows of each modality on the report's sphere

inline std::vector<bool> usable_in_both(const Health& a, const Health& b) {
  std::vector<bool> both = a.good;
  for (std::size_t i = 0; i < both.size(); ++i) both[i] = both[i] && b.good[i];
  return both;
}

inline std::vector<Index> marked(const std::vector<bool>& rows) {
  std::vector<Index> ids;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i]) ids.push_back(Index(i));
  return ids;
}

/// The chosen rows of one file, a seeded sample of them beyond exact_rows.
template <class T>
Modality<T> take_rows(const Source& source, const Health& health, const std::vector<bool>& chosen,
                      const Request& r, Progress& progress) {
  Modality<T> m;
  m.source = &source, m.health = &health, m.chosen = chosen;
  std::vector<Index> ids = marked(chosen);
  if (ids.size() < 2)
    wrong("only ", counted(Index(ids.size()), "row"), " can be used on every side, and at least 2 ",
          "are needed");
  if (Index(ids.size()) > r.exact_rows) ids = sample_rows(ids, r.sample, r.seed);
  m.moments = moments_of(source, health, chosen, progress);
  load_rows(m, std::move(ids));
  return m;
}

/// With --index: images first, then the captions of those. Returns the owners of the captions. An
/// image all of whose captions are unusable is out.
template <class T>
std::vector<Index> take_captions(std::vector<Modality<T>>& all, const std::vector<Source>& sources,
                                 const std::vector<Health>& healths, const Request& r,
                                 const std::vector<Index>& index, Progress& progress) {
  const Health &of_a = healths[0], &of_b = healths[1];
  std::vector<bool> owners = of_a.good, captions = of_b.good;
  std::vector<Index> given(owners.size()), left(owners.size());
  for (std::size_t j = 0; j < index.size(); ++j) {
    captions[j] = captions[j] && owners[at(index[j])];
    ++given[at(index[j])], left[at(index[j])] += captions[j];
  }
  for (std::size_t i = 0; i < owners.size(); ++i)
    if (given[i] > 0 && left[i] == 0) owners[i] = false;
  std::vector<Index> ids = marked(owners), chosen, place(owners.size(), -1), owner;
  const double per_owner = double(index.size()) / double(std::max<std::size_t>(1, ids.size()));
  if (std::max(ids.size(), index.size()) > std::size_t(r.exact_rows))
    ids = sample_rows(ids, Index(double(r.sample) / std::max(1.0, per_owner)), r.seed);
  for (std::size_t i = 0; i < ids.size(); ++i) place[at(ids[i])] = Index(i);
  for (std::size_t j = 0; j < index.size(); ++j)
    if (captions[j] && place[at(index[j])] >= 0)
      chosen.push_back(Index(j)), owner.push_back(place[at(index[j])]);
  if (ids.size() < 2 || chosen.size() < 2)
    wrong(r.index, ": fewer than 2 usable rows of each modality belong together");
  for (std::size_t k = 0; k < 2; ++k) {
    Modality<T> m;
    m.source = &sources[k], m.health = &healths[k], m.chosen = k == 0 ? owners : captions;
    m.moments = moments_of(sources[k], healths[k], m.chosen, progress);
    load_rows(m, k == 0 ? ids : chosen);
    all.push_back(std::move(m));
  }
  return owner;
}

/// Unit vectors of three numbers: rows on the three leading axes of all modalities together.
template <class T>
Json sphere_points(const std::vector<Modality<T>>& all, const std::vector<Index>& owner, bool apart,
                   std::uint64_t seed) {
  const auto fits = [&](const Modality<T>& m) { return m.rows.cols() == all[0].rows.cols(); };
  std::vector<const Moments*> sets;
  for (const Modality<T>& m : all)
    if (fits(m)) sets.push_back(&m.moments);
  double share = 0;
  const Eigen::MatrixXd axes = leading_axes(sets, share);
  // Rows of the first modality, those that all others have too where there are any.
  const auto place = [&](std::size_t m, Index id) {
    const auto found = std::lower_bound(all[m].ids.begin(), all[m].ids.end(), id);
    return found != all[m].ids.end() && *found == id ? Index(found - all[m].ids.begin()) : -1;
  };
  std::vector<Index> every, shared, partner(at(all[0].n()), -1);  // its first caption
  for (std::size_t j = 0; j < owner.size(); ++j)
    if (partner[at(owner[j])] < 0) partner[at(owner[j])] = Index(j);
  for (Index i = 0; i < all[0].n(); ++i) {
    every.push_back(i);
    bool everywhere = true;
    for (std::size_t m = 1; m < all.size() && owner.empty(); ++m)
      everywhere &= place(m, all[0].ids[at(i)]) >= 0;
    if (everywhere) shared.push_back(i);
  }
  const std::vector<Index> chosen = sample_rows(shared.empty() ? every : shared, kPoints, seed);
  Json json{{"share", share}, {"apart", apart}, {"modalities", Json::array()}};
  for (std::size_t m = 0; m < all.size(); ++m) {
    if (!fits(all[m])) continue;  // has no place on these axes
    Json ids = Json::array(), points = Json::array();
    std::vector<Index> rows_of_b;
    if (apart && m == 1) {
      for (Index j = 0; j < all[1].n(); ++j) rows_of_b.push_back(j);
      rows_of_b = sample_rows(rows_of_b, Index(chosen.size()), seed);
      rows_of_b.resize(chosen.size(), -1);
    }
    for (std::size_t c = 0; c < chosen.size(); ++c) {
      const Index i = chosen[c];
      const Index row = !rows_of_b.empty() ? rows_of_b[c]
                        : m == 0           ? i
                        : owner.empty()    ? place(m, all[0].ids[at(i)])
                                           : partner[at(i)];
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

/// What can be said of two clouds whose rows are not pairs.
inline void measure_clouds(const Moments& a, const Moments& b, const std::string& x,
                           const std::string& y, Json& document) {
  const std::string scope = x + "-" + y;
  document["metrics"].push_back(metric("gap", scope, (a.mean - b.mean).norm(), "exact"));
  document["metrics"].push_back(
      metric("cone_distance", scope, angle_between(a.mean, b.mean), "exact"));
  document["pairs"].push_back({{"x", x}, {"y", y}, {"unpaired", true}});
}

template <class T>
void run(const Request& r, const std::vector<Source>& sources, const std::vector<Health>& healths,
         const std::vector<Index>& index, const std::vector<std::string>& labels,
         const std::vector<NeighbourFiles>& given, const Judgements& judgements, Json& document,
         Progress& progress) {
  std::vector<Modality<T>> all;
  std::vector<Index> owner;  // with --index alone
  const bool apart = unpaired(sources, index);
  if (!index.empty()) {
    owner = take_captions(all, sources, healths, r, index, progress);
  } else if (apart) {
    for (std::size_t k = 0; k < sources.size(); ++k)
      all.push_back(take_rows<T>(sources[k], healths[k], healths[k].good, r, progress));
  } else {
    for (std::size_t k = 0; k < sources.size(); ++k) {
      const std::size_t other = k > 0 ? 0 : std::min<std::size_t>(1, sources.size() - 1);
      all.push_back(take_rows<T>(sources[k], healths[k], usable_in_both(healths[k], healths[other]),
                                 r, progress));
    }
  }
  const auto given_for = [&](const Modality<T>& m) -> const NeighbourFiles* {
    for (const NeighbourFiles& files : given)
      if (files.name() == m.name()) return &files;
    return nullptr;
  };
  if (r.extras != nullptr && r.extras->every_row_wanted)
    for (const Modality<T>& m : all) {
      Index most = 0;
      for (const Source& s : sources) most = std::max(most, s.rows());
      if (m.sampled && given_for(m) == nullptr)
        wrong("--neighbours-out: ", m.name(), " is a sample of ", with_commas(m.n()), " of ",
              counted(m.moments.n, "row"), ": give --exact-rows ", most, ", or --neighbours ",
              m.name(), "=...");
    }
  for (std::size_t k = 0; k < all.size(); ++k) {
    Modality<T>& m = all[k];
    m.spectrum = spectrum_of(m.moments);
    document["per_row"][m.name()]["ids"] = m.ids;
    describe_health(m, document);
    m.keep_top = r.extras != nullptr;
    const bool labelled = !labels.empty() && ((index.empty() && !apart) || k == 0);
    measure_within(m, given_for(m), labelled ? labels : std::vector<std::string>(), r.seed,
                   document, progress);
  }
  document["pairs"] = Json::array();
  for (std::size_t a = 0; a < all.size(); ++a)
    for (std::size_t b = a + 1; b < all.size(); ++b) {
      if (apart) {
        measure_clouds(all[a].moments, all[b].moments, all[a].name(), all[b].name(), document);
        continue;
      }
      // Rows that a third modality lacks, or this pair does, are another set.
      std::array<Modality<T>, 2> other;
      std::array<const Modality<T>*, 2> side{&all[a], &all[b]};
      const bool one_width = sources[a].cols() == sources[b].cols();
      if (index.empty()) {
        const std::vector<bool> both = usable_in_both(healths[a], healths[b]);
        for (std::size_t s = 0; s < 2; ++s) {
          if (side[s]->chosen == both) continue;
          const std::size_t k = s == 0 ? a : b;
          other[s] = take_rows<T>(sources[k], healths[k], both, r, progress);
          if (one_width) pairs_within(other[s], 1, progress);
          side[s] = &other[s];
        }
      }
      std::vector<Index> plain(at(side[1]->n()));
      for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = Index(i);
      const std::vector<Index>& owners = index.empty() ? plain : owner;
      if (one_width)
        measure_pair(*side[0], *side[1], owners, labels, r.temperature, r.seed, document, progress);
      else
        measure_unlike_pair(*side[0], *side[1], owners, r.seed, document, progress);
    }
  if (!judgements.empty() && leads(progress.share()))
    measure_judged(judgements, {sources[0], all[0].ids}, {sources[1], all[1].ids},
                   all[0].sampled ? all[0].how : all[1].how, document, progress);
  document["sphere"] = sphere_points(all, owner, apart, r.seed);
  if (r.extras != nullptr) take_extras(all, *r.extras);
  for (Modality<T>& m : all) {
    const Health& h = *m.health;
    const Moments& sums = m.moments;
    Json json{{"name", m.name()}, {"files", m.source->files()}, {"dtype", m.source->dtype()},
              {"rows", h.rows},   {"cols", m.source->cols()},   {"usable", h.usable},
              {"chosen", sums.n}, {"analysed", m.n()},          {"pairs_of_rows", m.how}};
    json["health"] = {{"not_finite", found_json(h.not_finite)},
                      {"zero", found_json(h.zero)},
                      {"duplicates", found_json(h.duplicates)},
                      {"near_duplicates", m.plots["near_duplicates"]},
                      {"constant_columns", found_json(h.constant_columns)}};
    json["norms"] = {{"least", sums.lengths[0]},
                     {"5 %", sums.lengths[1]},
                     {"median", sums.lengths[2]},
                     {"95 %", sums.lengths[3]},
                     {"greatest", sums.lengths[4]}};
    json["spectrum"] = {{"centred", thinned(m.spectrum.centred, 200)},
                        {"uncentred", thinned(m.spectrum.uncentred, 200)}};
    json["mean"] = {{"length", sums.mean.norm()}, {"vector", rounded_list(sums.mean)}};
    json["histogram"] = m.plots["histogram"];
    json["histogram_step"] = m.plots["histogram_step"];
    json["hubs"] = m.plots["hubs"];
    json["occurrences"] = m.plots["occurrences"];
    for (const char* key :
         {"classes", "by_class", "label_noise", "outliers", "representative", "given_neighbours"})
      if (m.plots.contains(key)) json[key] = m.plots[key];
    document["modalities"].push_back(std::move(json));
  }
}

}  // namespace analyze
