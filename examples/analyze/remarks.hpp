// A plain sentence for each figure about which there is no judgement to make: what the number says,
// and no more.
#pragma once

#include "metric.hpp"

namespace analyze {

/// With a real minus sign, as the page writes numbers.
inline std::string shown(double value, int digits) {
  const std::string s = fixed(value, digits);
  return s[0] == '-' ? "\u2212" + s.substr(1) : s;
}

class Remarks {
 public:
  explicit Remarks(const Json& document) : document_(document) {}

  std::string about(const Json& m) const {
    const std::string key = m["key"], scope = m["scope"];
    const auto value = value_of(document_, key, scope);
    if (!value)
      return key == "quiet_temperature"
                 ? "The contrastive loss goes quiet at none of the temperatures tried."
                 : "Not defined for these rows.";
    const std::string number = shown(*value, m["digits"]), share = percent(*value);
    const auto [from, to] = sides(scope);
    const auto text = one_side(key, scope, *value, number, share);
    return text.empty() ? two_sides(key, scope, from, to, *value, number, share, m) : text;
  }

 private:
  std::string one_side(const std::string& key, const std::string& scope, double value,
                       const std::string& number, const std::string& share) const {
    const auto width = [&] {
      for (const Json& m : document_["modalities"])
        if (m["name"] == scope) return std::to_string(m["cols"].get<Index>());
      return std::string("all");
    };
    if (key == "not_finite") return "No row holds NaN or infinity.";
    if (key == "zero") return "No row is all zero.";
    if (key == "duplicates") return "No row repeats an earlier one.";
    if (key == "near_duplicates") return "No two unequal rows lie at a cosine of 0.999 or more.";
    if (key == "constant_columns") return "No column holds one value throughout.";
    if (key == "norm_mean") return "Before normalising, rows have a mean length of " + number + ".";
    if (key == "norm_spread")
      return value < 0.01
                 ? "Rows have nearly one length."
                 : "The lengths of nine rows in ten span " + share + " of the median length.";
    if (key == "mean_cosine")
      return "Two rows drawn by chance have a mean cosine of " + number + ".";
    if (key == "uniformity_floor")
      return "Points spread evenly in " + width() + " dimensions have " + number + ".";
    if (key == "rank_me")
      return "About the origin, rows spread over effectively " + number + " of " + width() +
             " dimensions.";
    if (key == "full_rank") return "Every dimension that these rows can fill holds variance.";
    if (key == "iso_score")
      return "The variance is as even as if it filled " + share + " of the dimensions.";
    if (key == "label_noise") return "No row's neighbours speak for another label.";
    if (key == "label_match")
      return "For " + share + " of the rows the nearest other row has their label (chance " +
             percent(chance_of(key, scope)) + ").";
    return "";
  }

  std::string two_sides(const std::string& key, const std::string& scope, const std::string& from,
                        const std::string& to, double value, const std::string& number,
                        const std::string& share, const Json& m) const {
    if (key == "top_hub")
      return "The commonest row is among the 10 nearest of " + share + " of the asking rows.";
    if (key == "class_match")
      return "For " + share + " of the " + from + " rows the nearest " + to +
             " row has their class (chance " + percent(chance_of(key, scope)) + ").";
    if (key == "recall1_turned")
      return "After a rotation fitted on half of the pairs, " + share +
             " of the others find their own first (chance " + percent(chance_of(key, scope)) + ").";
    if (key == "ndcg10")
      return "Of what the best order of the judged " + to + " rows would gain in the first ten, " +
             share + " is gained (" + with_commas(m["queries"].get<Index>()) + " queries" + ").";
    if (key == "map")
      return "Up to a relevant " + to + " row, " + share + " of the rows are relevant on average.";
    if (key == "tied_queries")
      return value > 0 ? share + " of the queries have another row exactly as near as their own."
                       : "No query has another row exactly as near as its own.";
    if ((key == "recall5" || key == "recall10") && m["gallery"] <= std::stoi(key.substr(6)))
      return "With " + std::to_string(m["gallery"].get<Index>()) +
             " candidates it is 100 % whatever the rows are.";
    if (key == "recall5" || key == "recall10")
      return from + " finds its own " + to + " among the first " + key.substr(6) + " for " + share +
             " of the queries.";
    if (key == "median_rank")
      return "Half of the queries rank their partner at " + number + " or better.";
    if (key == "mrr")
      return "As good as a partner at rank " + shown(1 / value, 1) + " for every query.";
    if (key == "positive_cosine") return "Own pairs have a mean cosine of " + number + ".";
    if (key == "negative_cosine")
      return "A row and another row's partner have a mean cosine of " + number + ".";
    if (key == "relative_alignment")
      return "The nearest other row lies " + (value > 0 ? number : shown(-value, 3)) +
             (value > 0 ? " nearer" : " farther") +
             " than the own partner on average (squared distance).";
    if (key == "uniformity_cross" || key == "uniformity_joint")
      return (key == "uniformity_cross" ? "Across the two, " : "Taken together, ") + number +
             " where evenly spread points have " +
             shown(value_of(document_, "uniformity_floor", from).value_or(0), 3) + ".";
    if (key == "distribution_gap")
      return m.contains("interval") && m["interval"][0] <= 0
                 ? "No difference between the two distributions shows."
                 : "The two differ as distributions (0: alike; 2: far apart).";
    if (key == "cone_distance") return "The two mean directions lie " + number + " degrees apart.";
    if (key == "gap_share") return share + " of the variance lies along the gap" + direction(scope);
    if (key == "cka_debiased")
      return "The similarities within the two agree to " + number + ", without what few rows add.";
    if (key == "cka_debiased_shuffled")
      return "What debiased CKA shows by chance: rows of one side shuffled.";
    if (key == "neighbour_overlap")
      return "Of the 10 nearest rows within " + from + ", " + share + " are among the 10 nearest " +
             "within " + to + " too.";
    if (key == "cka_shuffled") return "What CKA shows by chance: rows of one side shuffled.";
    if (key == "offset_share")
      return "No common shift: at most " + share + " of the first hits lie equally many rows away.";
    if (key == "ece")
      return "The retrieval softmax is off by " + share + " at the temperature given.";
    if (key == "best_temperature")
      return "Of the temperatures tried, " + number + " is the best calibrated.";
    if (key == "quiet_temperature")
      return "At " + number + " and below the contrastive loss pushes less than 1 %.";
    return "";
  }

  double chance_of(const std::string& key, const std::string& scope) const {
    for (const Json& m : document_["metrics"])
      if (m["key"] == key && m["scope"] == scope && m.contains("chance")) return m["chance"];
    return 0;
  }

  /// "image-text": image, text. A name may hold a dash itself.
  std::pair<std::string, std::string> sides(const std::string& scope) const {
    for (const Json& p : document_["pairs"]) {
      const std::string x = p["x"], y = p["y"];
      if (scope == x + "-" + y) return {x, y};
      if (scope == y + "-" + x) return {y, x};
    }
    return {scope, scope};
  }

  /// Where the gap points: its greatest columns.
  std::string direction(const std::string& scope) const {
    for (const Json& p : document_["pairs"]) {
      if (scope != p["x"].get<std::string>() + "-" + p["y"].get<std::string>()) continue;
      std::string text;
      for (const Json& c : p["gap"]["columns"])
        text += (text.empty() ? "; it points most along column " : ", ") +
                std::to_string(c["column"].get<Index>()) + " (" + percent(c["share"]) + ")";
      return text + ".";
    }
    return ".";
  }

  const Json& document_;
};

}  // namespace analyze
