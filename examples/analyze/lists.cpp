#include "lists.hpp"

#include <algorithm>
#include <map>

#include "file_names.hpp"
#include "groups.hpp"
#include "render.hpp"

namespace analyze {
namespace {

constexpr Index kListed = 10;  ///< neighbours of a row

class Lists {
 public:
  Lists(const Json& document, const Extras& extras) : document_(document), extras_(extras) {}

  Tables all() const {
    Tables tables;
    std::string bad = head("modality,row,what"), equal = head("modality,group,row"), near = equal;
    for (const RowLists& m : extras_.modalities) {
      for (const Index i : m.not_finite) bad += line(csv_cell(m.modality), i, ",not finite", m);
      for (const Index i : m.zero) bad += line(csv_cell(m.modality), i, ",zero", m);
      equal += groups(m, false);
      near += groups(m, true);
    }
    tables.emplace_back("bad_rows.csv", bad);
    tables.emplace_back("duplicates.csv", equal);
    tables.emplace_back("near_duplicates.csv", near);
    for (const RowLists& m : extras_.modalities) {
      const std::string name = as_file(m.modality) + ".csv";
      tables.emplace_back("neighbours_" + name, neighbours(m));
      tables.emplace_back("outliers_" + name, scored(m, m.outliers, "mean_cosine_of_nearest"));
      tables.emplace_back("representative_" + name, scored(m, m.representative, "density"));
      if (!extras_.labels.empty() && has_names(m))
        tables.emplace_back("suspects_" + name, suspects(m));
    }
    const Json per_row = document_.value("per_row", Json::object());
    for (const auto& [scope, rows] : per_row.items())
      if (rows.contains("rank"))
        tables.emplace_back("ranks_" + as_file(scope) + ".csv", ranks(rows));
    return tables;
  }

 private:
  bool named() const { return !extras_.names.empty(); }
  std::string head(const std::string& columns) const {
    return columns + (named() ? ",name\n" : "\n");
  }
  bool has_names(const RowLists& m) const {
    return document_["named_modality"].is_null() || document_["named_modality"] == m.modality;
  }
  std::string name_of(Index i, bool has) const {
    std::string cell;
    if (named()) cell += ',';
    if (named() && has && i >= 0 && at(i) < extras_.names.size())
      cell += csv_cell(extras_.names[at(i)]);
    return cell;
  }
  std::string line(const std::string& before, Index row, const std::string& after,
                   const RowLists& m) const {
    return before + "," + std::to_string(row) + after + name_of(row, has_names(m)) + "\n";
  }

  std::string groups(const RowLists& m, bool near) const {
    Groups joined(m.hashes.size());
    for (std::size_t i = 0; near && i < m.near.size(); ++i) joined.join(m.ids[i], m.near[i]);
    std::map<std::uint64_t, Index> first;
    for (std::size_t i = 0; i < m.hashes.size(); ++i)
      if (m.good[i]) joined.join(Index(i), first.try_emplace(m.hashes[i], Index(i)).first->second);
    std::map<Index, std::vector<Index>> members;
    for (std::size_t i = 0; i < m.hashes.size(); ++i)
      if (m.good[i]) members[joined.top(Index(i))].push_back(Index(i));
    std::string text;
    Index group = 0;
    for (const auto& [top, rows] : members) {
      bool unequal = false;
      for (const Index i : rows) unequal |= m.hashes[at(i)] != m.hashes[at(rows[0])];
      if (rows.size() < 2 || (near && !unequal)) continue;
      ++group;
      for (const Index i : rows)
        text += line(csv_cell(m.modality) + "," + std::to_string(group), i, "", m);
    }
    return text;
  }

  std::string neighbours(const RowLists& m) const {
    std::string text = "row,place,neighbour,cosine";
    text += named() ? ",name,neighbour_name\n" : "\n";
    char cosine[32];
    for (std::size_t i = 0; i < m.asked.size(); ++i)
      for (Index p = 0; p < std::min(m.k, kListed); ++p) {
        const std::size_t place = i * at(m.k) + at(p);
        if (m.nearest[place] < 0) continue;
        std::snprintf(cosine, sizeof cosine, "%.6f", double(m.cosines[place]));
        text += std::to_string(m.asked[i]) + "," + std::to_string(p + 1) + "," +
                std::to_string(m.nearest[place]) + "," + cosine +
                name_of(m.asked[i], has_names(m)) + name_of(m.nearest[place], has_names(m)) + "\n";
      }
    return text;
  }

  std::string scored(const RowLists& m, const std::vector<std::pair<Index, double>>& rows,
                     const char* column) const {
    std::string text = head(std::string("row,") + column);
    char number[32];
    for (const auto& [row, score] : rows) {
      std::snprintf(number, sizeof number, "%.6g", score);
      text += std::to_string(row) + "," + number + name_of(row, has_names(m)) + "\n";
    }
    return text;
  }

  std::string suspects(const RowLists& m) const {
    std::string text = head("row,label,share_of_label,other,share_of_other");
    for (const Json& s : m.suspects)
      text += dumped(s["id"]) + "," + csv_cell(s["label"]) + "," + dumped(s["own"]) + "," +
              csv_cell(s["other"]) + "," + dumped(s["for_other"]) + name_of(s["id"], has_names(m)) +
              "\n";
    return text;
  }

  std::string ranks(const Json& rows) const {
    std::string text = head("row,rank");
    for (std::size_t i = 0; i < rows["rank"].size(); ++i) {
      const Index id = rows["ids"][i];
      text += std::to_string(id) + "," + std::to_string(rows["rank"][i].get<Index>()) +
              name_of(id, document_["named_modality"].is_null()) + "\n";
    }
    return text;
  }

  const Json& document_;
  const Extras& extras_;
};

}  // namespace

std::vector<std::string> list_names(const std::vector<std::string>& modalities) {
  std::vector<std::string> names = {"bad_rows.csv", "duplicates.csv", "near_duplicates.csv"};
  for (const std::string& m : modalities)
    for (const char* kind : {"neighbours_", "outliers_", "representative_", "suspects_"})
      names.push_back(kind + as_file(m) + ".csv");
  for (const std::string& x : modalities)
    for (const std::string& y : modalities)
      if (x != y) names.push_back("ranks_" + as_file(x + "-" + y) + ".csv");
  return names;
}

Tables list_tables(const Json& document, const Extras& extras) {
  return Lists(document, extras).all();
}

std::vector<std::string> change_names(const std::vector<Json>& runs) {
  std::vector<std::string> names;
  const Json of_first = runs[0].value("per_row", Json::object());
  for (std::size_t r = 1; r < runs.size(); ++r)
    for (const auto& [scope, before] : of_first.items())
      if (before.contains("rank"))
        names.push_back("changes_" + as_file(scope) + "_" + std::to_string(r) + ".csv");
  return names;
}

Tables change_tables(const Json& comparison) {
  Tables tables;
  const Json& runs = comparison["runs"];
  const Json of_first = runs[0].value("per_row", Json::object());
  for (std::size_t r = 1; r < runs.size(); ++r)
    for (const auto& [scope, before] : of_first.items()) {
      const Json after = runs[r].value("per_row", Json::object()).value(scope, Json::object());
      if (!before.contains("rank") || !after.contains("rank")) continue;
      std::map<Index, Index> was;
      for (std::size_t i = 0; i < before["rank"].size(); ++i)
        was[before["ids"][i].get<Index>()] = before["rank"][i];
      std::vector<std::array<Index, 4>> rows;
      for (std::size_t i = 0; i < after["rank"].size(); ++i)
        if (const auto found = was.find(after["ids"][i].get<Index>()); found != was.end()) {
          const Index now = after["rank"][i];
          rows.push_back({found->second - now, found->first, found->second, now});
        }
      std::sort(rows.begin(), rows.end());
      std::string text = "row,rank_before,rank_after,gain\n";
      for (const auto& [gain, id, then, now] : rows)
        text += std::to_string(id) + "," + std::to_string(then) + "," + std::to_string(now) + "," +
                std::to_string(gain) + "\n";
      tables.emplace_back("changes_" + as_file(scope) + "_" + std::to_string(r) + ".csv", text);
    }
  return tables;
}

}  // namespace analyze
