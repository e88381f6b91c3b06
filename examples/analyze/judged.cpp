#include "judged.hpp"

#include <map>

#include "tables.hpp"

namespace analyze {
namespace {

std::map<std::string, Index> places_of(const std::vector<std::string>& names, const char* option) {
  std::map<std::string, Index> places;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!names[i].empty() && !places.emplace(names[i], Index(i)).second)
      wrong(option, ": \"", names[i].substr(0, 60), "\" names two rows, ", places[names[i]],
            " and ", i);
  return places;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

Judgements read_qrels(const std::string& path, const std::vector<std::string>& queries, Index n,
                      const std::vector<std::string>& documents, Index m) {
  const auto query_places = places_of(queries, "--query-ids"),
             document_places = places_of(documents, "--document-ids");
  const auto place = [&](const std::string& word, const std::map<std::string, Index>& places,
                         Index rows, std::size_t line, const char* what) -> Index {
    if (!places.empty()) {
      const auto found = places.find(word);
      if (found == places.end())
        wrong(path, ": line ", line, ": no row is the ", what, " \"", word.substr(0, 60), "\"");
      return found->second;
    }
    const bool digits =
        word.size() < 18 && word.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoll(word) >= rows)
      wrong(path, ": line ", line, ": \"", word.substr(0, 60), "\" where a row number from 0 to ",
            rows - 1, " of a ", what, " is expected (names: --query-ids, --document-ids)");
    return Index(std::stoll(word));
  };
  Judgements all;
  std::map<std::pair<Index, Index>, std::size_t> seen;
  const std::vector<std::string> lines = read_lines(path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string> words = words_of(lines[i]);
    if (words.empty()) continue;
    if (words.size() != 3 && words.size() != 4)
      wrong(path, ": line ", i + 1, " has ", words.size(),
            " words where \"query 0 document grade\" is expected");
    char* rest = nullptr;
    const double grade = std::strtod(words.back().c_str(), &rest);
    if (*rest != '\0' || !std::isfinite(grade)) {
      if (i == 0) continue;  // names of columns
      wrong(path, ": line ", i + 1, ": the grade \"", words.back().substr(0, 60),
            "\" is no number");
    }
    const Index query = place(words[0], query_places, n, i + 1, "query"),
                document = place(words[words.size() - 2], document_places, m, i + 1, "document");
    const auto [before, fresh] = seen.try_emplace({query, document}, i + 1);
    if (!fresh)
      wrong(path, ": line ", i + 1, " judges the same query and document as line ", before->second);
    all.push_back({query, document, grade});
  }
  if (all.empty()) wrong(path, ": holds no judgement");
  return all;
}

void measure_judged(const Judgements& judgements, const JudgedRows& a, const JudgedRows& b,
                    const std::string& how, Json& document, Progress& progress) {
  const auto place = [](const std::vector<Index>& ids, Index id) {
    const auto found = std::lower_bound(ids.begin(), ids.end(), id);
    return found != ids.end() && *found == id ? Index(found - ids.begin()) : Index(-1);
  };
  Judgements forward, back;
  for (const auto& j : judgements) {
    const Index query = place(a.ids, j.query), answer = place(b.ids, j.answer);
    if (query < 0 || answer < 0) continue;
    forward.push_back({query, answer, j.grade}), back.push_back({answer, query, j.grade});
  }
  const std::string names[2] = {a.source.name(), b.source.name()};
  progress.stage("Judged answers of " + names[0] + " and " + names[1], 2, "directions");
  const auto unit = [](const JudgedRows& rows) {
    RowMatrix<double> x = rows.source.gather<double>(rows.ids);
    spheremix::sphere::normalize_rows(x, x);
    return x;
  };
  const RowMatrix<double> x = unit(a), y = unit(b);
  const double width = tie_width<double>(x.cols());
  for (const bool turned : {false, true}) {
    const std::string scope = names[turned] + "-" + names[!turned];
    const auto found = turned ? spheremix::metrics::judged_retrieval(y, x, back, {10, width})
                              : spheremix::metrics::judged_retrieval(x, y, forward, {10, width});
    progress.add(1);
    const bool any = !found.queries.empty();
    Json& per_row = document["per_row"][scope];
    const bool plain = !per_row.contains("ids");
    if (plain) {
      Json ids = Json::array();
      for (const Index q : found.queries) ids.push_back((turned ? b : a).ids[at(q)]);
      per_row["ids"] = std::move(ids);
    }
    for (const auto& [key, value, parts] : {std::tuple("ndcg10", found.ndcg, &found.of_ndcg),
                                            std::tuple("map", found.map, &found.of_map)}) {
      Json m = any ? metric(key, scope, value, how, bootstrap_mean(*parts))
                   : metric(key, scope, std::nullopt, how);
      m["queries"] = found.queries.size();
      m["judged"] = forward.size();
      document["metrics"].push_back(std::move(m));
      if (plain) keep_parts(document, scope, key, *parts);
    }
  }
}

}  // namespace analyze
