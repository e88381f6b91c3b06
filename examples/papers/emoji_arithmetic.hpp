// Questions of embedding arithmetic that the emoji's names pose: a picture, the difference of two
// words, and the picture that should come out.
//
//   gender   "man farmer"    + woman - man                      -> "woman farmer"
//   hair     "man: red hair" + "woman: bald" - "woman: red hair" -> "man: bald"
//
// Words are texts of other emoji. "person" in front may be left out ("farmer"); a word alone
// ("man") is a word, not a picture asked about, but hair starts and ends at it ("man" -> "man:
// bald").
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "training.hpp"

namespace papers {

/// Question i: image query[i] + text of to[i] - text of from[i] should find image wanted[i].
struct Questions {
  Indices query, from, to, wanted;

  void add(Index q, Index f, Index t, Index w) {
    query.push_back(q);
    from.push_back(f);
    to.push_back(t);
    wanted.push_back(w);
  }
  /// Those whose wanted picture is among the rows marked.
  Questions wanted_among(const std::vector<bool>& marked) const {
    Questions some;
    for (std::size_t i = 0; i < query.size(); ++i)
      if (marked[std::size_t(wanted[i])]) some.add(query[i], from[i], to[i], wanted[i]);
    return some;
  }
};

struct EmojiQuestions {
  Questions gender, hair;
};

inline EmojiQuestions emoji_questions(const std::vector<std::string>& names) {
  std::map<std::string, Index> row;
  for (std::size_t i = 0; i < names.size(); ++i) row.try_emplace(names[i], Index(i));
  const auto find = [&](const std::string& name) {
    const auto found = row.find(name);
    return found == row.end() ? Index(-1) : found->second;
  };
  const std::array<std::string, 3> people{"person", "man", "woman"};
  const std::array<Index, 3> word{find("person"), find("man"), find("woman")};
  for (const Index w : word)
    if (w < 0) throw std::runtime_error("the emoji's names lack person, man or woman");

  EmojiQuestions questions;
  std::map<std::string, std::array<Index, 3>> stems;  // " farmer", ": red hair" -> three rows
  for (const auto& [name, i] : row)
    for (std::size_t g = 0; g < 3; ++g)
      if (name.size() > people[g].size() + 1 && name.starts_with(people[g]) &&
          (name[people[g].size()] == ' ' || name[people[g].size()] == ':'))
        stems.try_emplace(name.substr(people[g].size()), std::array<Index, 3>{-1, -1, -1})
            .first->second[g] = i;
  for (auto& [stem, who] : stems) {
    if (who[0] < 0 && stem[0] == ' ') who[0] = find(stem.substr(1));
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = 0; b < 3; ++b)
        if (a != b && who[a] >= 0 && who[b] >= 0)
          questions.gender.add(who[a], word[a], word[b], who[b]);
  }

  stems[""] = word;
  for (const auto& [before, a] : stems)
    for (const auto& [after, b] : stems) {
      const auto is_hair = [](const std::string& stem) { return stem.empty() || stem[0] == ':'; };
      if (before == after || !is_hair(before) || !is_hair(after)) continue;
      for (std::size_t g = 0; g < 3; ++g)
        for (std::size_t other = 0; other < 3; ++other)
          if (g != other && a[g] >= 0 && b[g] >= 0 && a[other] >= 0 && b[other] >= 0)
            questions.hair.add(a[g], a[other], b[other], b[g]);
    }
  return questions;
}

}  // namespace papers
