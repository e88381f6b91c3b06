#include "labels.hpp"

#include <map>

#include "cka.hpp"

namespace analyze {
namespace {

struct Vote {
  int other = -1;                 ///< the class, not the row's own, that most neighbours have
  double for_other = 0, own = 0;  ///< shares of the labelled neighbours
};

Vote vote_of(const std::vector<int>& of, const Index* neighbours, Index k, int own) {
  std::map<int, int> count;
  int labelled = 0;
  for (Index p = 0; p < k && neighbours[p] >= 0; ++p)
    if (const int c = of[at(neighbours[p])]; c >= 0) ++count[c], ++labelled;
  Vote vote;
  for (const auto& [c, votes] : count) {
    const double share = double(votes) / labelled;
    if (c == own)
      vote.own = share;
    else if (share > vote.for_other)
      vote.other = c, vote.for_other = share;
  }
  return vote;
}

double suspects(const std::vector<int>& of, const std::vector<Index>& neighbours, Index k) {
  double count = 0, labelled = 0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (of[i] < 0) continue;
    ++labelled;
    count += vote_of(of, &neighbours[i * at(k)], k, of[i]).for_other > 0.5;
  }
  return labelled > 0 ? count / labelled : 0;
}

}  // namespace

Classes::Classes(const std::vector<std::string>& labels, const std::vector<Index>& ids)
    : of(ids.size(), -1) {
  std::map<std::string, Index> count;
  for (const Index i : ids)
    if (!labels[at(i)].empty()) ++count[labels[at(i)]];
  std::vector<std::pair<Index, std::string>> order;
  for (const auto& [name, rows] : count) order.emplace_back(-rows, name);
  std::sort(order.begin(), order.end());
  std::map<std::string, int> place;
  for (const auto& [rows, name] : order) {
    place[name] = int(names.size());
    names.push_back(name), sizes.push_back(-rows);
  }
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!labels[at(ids[i])].empty()) of[i] = place[labels[at(ids[i])]];
}

Json report_classes(const ClassQueries& q, const char* key, Json& metrics) {
  const bool within = q.ranks.empty();
  const std::size_t shown = std::min(kShownClasses, q.asking.names.size());
  std::map<std::string, int> answering;
  for (std::size_t c = 0; c < q.answering.names.size(); ++c)
    answering[q.answering.names[c]] = int(c);
  const double candidates = double(q.answering.of.size()) - (within ? 1 : 0);
  double asked = 0, matched = 0, chance = 0;
  std::vector<double> hits(q.asking.names.size()), match(q.asking.names.size());
  std::vector<std::vector<double>> confusion(shown, std::vector<double>(shown + 1));
  for (std::size_t i = 0; i < q.asking.of.size(); ++i) {
    const int c = q.asking.of[i];
    if (c < 0) continue;
    const auto same = answering.find(q.asking.names[std::size_t(c)]);
    const int mine = same == answering.end() ? -2 : same->second;
    ++asked;
    if (mine >= 0)
      chance += (double(q.answering.sizes[std::size_t(mine)]) - (within ? 1 : 0)) / candidates;
    for (const Index j : q.first[i]) {
      const int found = q.answering.of[at(j)];
      const double part = 1 / double(q.first[i].size());
      if (found == mine) matched += part, match[std::size_t(c)] += part;
      if (std::size_t(c) >= shown) continue;
      std::size_t column = shown;  // another class, or none
      for (std::size_t s = 0; found >= 0 && s < shown; ++s)
        if (q.asking.names[s] == q.answering.names[std::size_t(found)]) column = s;
      confusion[std::size_t(c)][column] += part;
    }
    if (!within) hits[std::size_t(c)] += q.ranks[i] == 1;
  }
  if (asked < 1) return Json();
  metrics.push_back(
      metric(key, q.scope, matched / asked, q.how, wilson(std::min(1.0, matched / asked), asked)));
  metrics.back()["chance"] = chance / asked;
  Json json{{"classes", Json::array()}, {"labels", Json::array()}, {"confusion", Json::array()}};
  const auto share = [](double count, double of) {
    const Interval i = wilson(std::min(1.0, count / of), of);
    return Json{{"value", count / of}, {"interval", {six_digits(i.low), six_digits(i.high)}}};
  };
  for (std::size_t c = 0; c < shown; ++c) {
    const double rows = double(q.asking.sizes[c]);
    Json one{{"label", q.asking.names[c]}, {"rows", q.asking.sizes[c]}};
    one["match"] = share(match[c], rows);
    const auto same = answering.find(q.asking.names[c]);
    const double gallery =
        same == answering.end() ? 0 : double(q.answering.sizes[std::size_t(same->second)]);
    one["match"]["chance"] = std::max(0.0, gallery - (within ? 1 : 0)) / candidates;
    if (!within) {
      one["recall1"] = share(hits[c], rows);
      one["recall1"]["chance"] = 1 / candidates;
    }
    json["classes"].push_back(one);
    json["labels"].push_back(q.asking.names[c]);
    Json row = Json::array();
    for (const double count : confusion[c]) row.push_back(six_digits(count));
    json["confusion"].push_back(row);
  }
  return json;
}

Json report_label_noise(const Classes& classes, const std::vector<Index>& ids,
                        const std::vector<Index>& neighbours, Index k, const std::string& scope,
                        const std::string& how, std::uint64_t seed, Json& metrics) {
  const auto labelled =
      double(std::count_if(classes.of.begin(), classes.of.end(), [](int c) { return c >= 0; }));
  Json list = Json::array();
  if (labelled < 1 || classes.names.size() < 2) return list;
  const double share = suspects(classes.of, neighbours, k);
  std::vector<int> mixed = classes.of;
  const std::vector<Index> order = shuffled(Index(mixed.size()), seed);
  for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = classes.of[at(order[i])];
  metrics.push_back(metric("label_noise", scope, share, how, wilson(share, labelled)));
  metrics.back()["chance"] = suspects(mixed, neighbours, k);
  struct Suspect {
    double doubt;
    std::size_t row;
    Vote vote;
  };
  std::vector<Suspect> all;
  for (std::size_t i = 0; i < classes.of.size(); ++i) {
    if (classes.of[i] < 0) continue;
    const Vote vote = vote_of(classes.of, &neighbours[i * at(k)], k, classes.of[i]);
    if (vote.for_other > 0.5) all.push_back({vote.for_other - vote.own, i, vote});
  }
  std::sort(all.begin(), all.end(), [](const Suspect& a, const Suspect& b) {
    return a.doubt != b.doubt ? a.doubt > b.doubt : a.row < b.row;
  });
  for (std::size_t s = 0; s < all.size(); ++s)
    list.push_back({{"id", ids[all[s].row]},
                    {"label", classes.names[std::size_t(classes.of[all[s].row])]},
                    {"own", all[s].vote.own},
                    {"other", classes.names[std::size_t(all[s].vote.other)]},
                    {"for_other", all[s].vote.for_other}});
  return list;
}

}  // namespace analyze
