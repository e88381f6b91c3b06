// The two encoders that a study's texts come from, and where its readings agree.
//
//   feat     a bag of word vectors beside hashed character n-grams, 256 numbers
//   minilm   a sentence encoder, 384 numbers
//
// Pictures, splits, batches and the pictures' first weights are the same for both.
#pragma once

#include <string>
#include <vector>

#include "table.hpp"
#include "training.hpp"

namespace papers {

struct TextEncoder {
  std::string name, file;
};

inline const std::vector<TextEncoder> text_encoders{{"feat", "text_feat_256_f16.npy"},
                                                    {"minilm", "text_minilm_384_f16.npy"}};

/// A comparison of a study, and what its seeds tell: 1 better, -1 worse, 0 no difference.
struct Told {
  std::string what;
  int direction;
};

/// What the texts of one encoder give.
struct Reading {
  Json tables = Json::array();
  std::vector<std::string> sentences;
  std::vector<Told> told;
};

/// One sentence: the comparisons that two encoders tell alike, those that one alone tells, those
/// told against each other, and how many neither tells. `a` and `b` name the same comparisons.
inline std::string agreement(const std::string& name_a, const std::vector<Told>& a,
                             const std::string& name_b, const std::vector<Told>& b) {
  std::string alike, against, only_a, only_b;
  int neither = 0;
  const auto add = [](std::string& list, const std::string& what, int direction) {
    list += (list.empty() ? "" : ", ") + what;
    if (direction != 0) list += direction > 0 ? " better" : " worse";
  };
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int x = a[i].direction, y = b[i].direction;
    if (x == 0 && y == 0)
      ++neither;
    else if (x == y)
      add(alike, a[i].what, x);
    else if (x == -y)
      add(against, a[i].what, 0);
    else if (y == 0)
      add(only_a, a[i].what, x);
    else
      add(only_b, b[i].what, y);
  }
  const auto listed = [](const std::string& list) { return list.empty() ? "nothing" : list; };
  return "Of " + std::to_string(a.size()) + " comparisons both texts tell " + listed(alike) +
         "; against each other " + listed(against) + "; " + name_a + " alone " + listed(only_a) +
         "; " + name_b + " alone " + listed(only_b) + "; neither tells the other " +
         std::to_string(neither) + " (two standard errors, no correction for their number).";
}

}  // namespace papers
