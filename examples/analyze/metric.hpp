// One figure of the report: what it is called, what it means, what good looks like.
#pragma once

#include <optional>

#include "bootstrap.hpp"
#include "common.hpp"

namespace analyze {

/// What a figure is about; a metric may be about two of these.
enum class Measures {
  modality = 1,
  pair = 2,
  direction = 4,
  modality_or_direction = 5,
  versions = 8,
  pair_or_versions = 10
};

struct MetricInfo {
  const char *key, *name, *formula, *good;
  int digits;
  Measures of = Measures::pair;  ///< pair: the same both ways
  bool of_labels = false, of_judgements = false;
};

/// Everything the tool can report, in the order of the report.
inline const std::vector<MetricInfo>& metric_table() {
  static const std::vector<MetricInfo> table = {
      {"not_finite", "Rows with NaN or infinity", "count", "0", 0, Measures::modality},
      {"zero", "Zero rows", "count", "0", 0, Measures::modality},
      {"duplicates", "Duplicated rows", "rows equal, number by number, to an earlier one", "0", 0,
       Measures::modality},
      {"near_duplicates", "Near-duplicated rows",
       "rows with another, not equal row at cosine ≥ 0.999", "0", 0, Measures::modality},
      {"constant_columns", "Constant columns", "columns with one value in all usable rows", "0", 0,
       Measures::modality},
      {"norm_mean", "Mean length", "mean |x| before normalising", "depends on the encoder", 3,
       Measures::modality},
      {"norm_spread", "Spread of lengths", "(95 % point − 5 % point) / median of |x|",
       "near 0 where cosine is used", 3, Measures::modality},
      {"cone_angle", "Cone angle",
       "arccos |m|, m the mean of the unit rows, in degrees; 90 when nothing is shared", "above 45",
       1, Measures::modality},
      {"mean_cosine", "Mean cosine",
       "mean over i ≠ j of x_i·x_j = 1 − N V/(N − 1), V = mean |x_i − m|²", "near 0", 4,
       Measures::modality},
      {"uniformity", "Uniformity", "log mean over i < j of e^(−2|x_i − x_j|²)", "near its floor", 3,
       Measures::modality},
      {"uniformity_floor", "Floor of uniformity",
       "−2t + log ₀F₁(; d/2; t²), t = 2: points drawn evenly on the sphere", "", 3,
       Measures::modality},
      {"effective_rank", "Effective rank", "exp H(p), p_k = σ_k / Σσ of the centred unit rows",
       "above half of the width", 1, Measures::modality},
      {"rank_me", "RankMe", "the same uncentred, p_k + 10⁻⁷", "above half of the width", 1,
       Measures::modality},
      {"full_rank", "Dimensions in use", "centred singular values above 10⁻⁶ of the greatest",
       "the width", 0, Measures::modality},
      {"iso_score", "IsoScore", "1: variance even over all dimensions; 0: all in one", "above 0.5",
       3, Measures::modality},
      {"hubness", "Hubness", "skewness of how often a row is among the 10 nearest of others",
       "below 1", 2, Measures::modality_or_direction},
      {"top_hub", "Greatest hub",
       "largest share of rows that have one and the same row among their 10 nearest", "below 2 %",
       4, Measures::modality_or_direction},
      {"label_match", "Nearest has the same label",
       "share of rows whose nearest other row has their label", "far above the share by chance", 3,
       Measures::modality, true},
      {"label_noise", "Suspect labels",
       "share of rows more than half of whose 10 nearest have one and the same other label",
       "near 0", 3, Measures::modality, true},
      {"recall1", "R@1",
       "share of queries whose own partner ranks first; equal cosines count against",
       "far above 1/N", 4, Measures::direction},
      {"recall5", "R@5", "share of queries whose own partner ranks among the first 5",
       "far above 5/N", 4, Measures::direction},
      {"recall10", "R@10", "share of queries whose own partner ranks among the first 10",
       "far above 10/N", 4, Measures::direction},
      {"median_rank", "Median rank", "median of 1 + #{j ≠ i: s_ij ≥ s_ii}", "1", 1,
       Measures::direction},
      {"mrr", "MRR", "mean of 1 / rank", "near 1", 4, Measures::direction},
      {"tied_queries", "Tied queries",
       "share of queries for which another row is exactly as near as their own partner", "0", 4,
       Measures::direction},
      {"class_match", "Nearest has the same class",
       "share of queries whose nearest candidate has their class", "far above the share by chance",
       3, Measures::direction, true},
      {"ndcg10", "nDCG@10",
       "mean over queries of DCG@10 / its greatest value, DCG@10 = Σ over ranks r ≤ 10 of grade / "
       "log₂(1 + r); of equal cosines the lower grade first",
       "near 1", 4, Measures::direction, false, true},
      {"map", "MAP",
       "mean over queries of the mean over their relevant rows of (relevant rows up to it) / rank",
       "near 1", 4, Measures::direction, false, true},
      {"alignment", "Alignment", "mean |x_i − y_i|² of the pairs",
       "well below 2 − 2 × mean cosine of other pairs", 3},
      {"positive_cosine", "Cosine of own pairs", "mean x_i·y_i", "well above that of other pairs",
       4},
      {"negative_cosine", "Cosine of other pairs", "mean over i ≠ j of x_i·y_j", "near 0", 4},
      {"relative_alignment", "Relative alignment",
       "mean(|x_i − y_i|² − min over k ≠ i of |x_i − y_k|²)", "below 0", 3, Measures::direction},
      {"uniformity_cross", "Cross uniformity", "log mean over i, j of e^(−2|x_i − y_j|²)",
       "near its floor", 3},
      {"uniformity_joint", "Joint uniformity", "uniformity of the rows of both together",
       "near its floor", 3},
      {"gap", "Modality gap", "|mean x − mean y|: distance of the centroids of the unit rows",
       "below 0.1", 3},
      {"distribution_gap", "Distribution gap",
       "e^uniformity(x) + e^uniformity(y) − 2 e^cross uniformity: squared mean discrepancy",
       "near 0", 4},
      {"cone_distance", "Angle between the means", "angle of mean x and mean y in degrees",
       "below 15", 1},
      {"gap_share", "Share of variance along the gap",
       "variance of all rows along the gap direction / total variance", "near 1/width", 4},
      {"cka", "Linear CKA", "|X'ᵀY'|² / (|X'ᵀX'| |Y'ᵀY'|), X', Y' centred", "near 1", 4},
      {"cka_shuffled", "Linear CKA, shuffled", "the same after a seeded shuffle of one side", "",
       4},
      {"cka_debiased", "Linear CKA, debiased",
       "the same by the unbiased estimate of HSIC (Song et al. 2007): 0 for unrelated rows, "
       "however "
       "few",
       "near 1", 4},
      {"cka_debiased_shuffled", "Linear CKA, debiased, shuffled",
       "the same after a seeded shuffle of one side", "", 4},
      {"recall1_turned", "R@1 after a rotation",
       "R@1 once y is turned onto x by the rotation fitted on the other half of the pairs "
       "(orthogonal Procrustes); where pairs do not find each other",
       "near 1: one space is a rotation of the other", 4},
      {"offset_share", "Greatest common offset",
       "largest share of queries whose first hit lies the same number ≠ 0 of rows away",
       "below 10 %", 4},
      {"hardness", "Hardness of mixed negatives",
       "share of i ≠ j with x_i·m_j ≥ x_i·y_j, m_j the geodesic mixture with λ = 0.5", "", 3},
      {"ece", "Calibration error", "ECE of the retrieval softmax at the temperature given, 10 bins",
       "near 0", 4},
      {"best_temperature", "Best calibrated temperature",
       "the temperature of the grid with the least mean ECE", "that of training", 3},
      {"push", "Push of the contrastive loss",
       "mean of 1 − p_ii, softmax at the temperature given, both directions", "above 1 %", 4},
      {"quiet_temperature", "Loss goes quiet below",
       "greatest temperature of the grid where 1 − p_ii is below 1 %; none if it always pushes",
       "below that of training", 3},
      {"neighbour_overlap", "Shared neighbours",
       "mean share of a row's 10 nearest within one that are its 10 nearest within the other; of "
       "modalities of different widths, and of versions",
       "near 1", 4, Measures::pair_or_versions},
      {"moved", "Moved", "mean |old_i − new_i|²", "near 0", 4, Measures::versions},
      {"moved_turned", "Moved beyond a rotation",
       "mean |old_i − Q new_i|², Q the rotation fitted on the other half of the rows", "near 0", 4,
       Measures::versions},
      {"mmd", "Squared MMD",
       "mean e^(−2|x − x'|²) + mean e^(−2|y − y'|²) − 2 mean e^(−2|x − y|²), x ≠ x', y ≠ y'",
       "near 0", 5, Measures::versions},
      {"mmd_p", "p of the MMD", "(1 + permutations at least as far apart) / (1 + permutations)",
       "above 0.01", 3, Measures::versions},
  };
  return table;
}

inline const MetricInfo& info_of(const std::string& key) {
  for (const MetricInfo& info : metric_table())
    if (key == info.key) return info;
  throw std::logic_error("no metric " + key);
}

inline bool info_known(const std::string& key) {
  for (const MetricInfo& info : metric_table())
    if (key == info.key) return true;
  return false;
}

inline double six_digits(double x) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", x);
  return std::strtod(text, nullptr);
}

/// A figure for the JSON list. `how`: "exact", "seeded sample of ..." or "neighbours given".
inline Json metric(const std::string& key, const std::string& scope, std::optional<double> value,
                   const std::string& how, std::optional<Interval> interval = {}) {
  const MetricInfo& info = info_of(key);
  Json json{{"key", key}, {"scope", scope}, {"name", info.name}};
  json["value"] = value && std::isfinite(*value) ? Json(*value) : Json();
  if (interval) json["interval"] = {six_digits(interval->low), six_digits(interval->high)};
  json["how"] = how;
  json["formula"] = info.formula;
  json["good"] = info.good;
  json["digits"] = info.digits;
  return json;
}

/// The value of a metric of the document, where it has one.
inline std::optional<double> value_of(const Json& document, const std::string& key,
                                      const std::string& scope) {
  for (const Json& m : document["metrics"])
    if (m["key"] == key && m["scope"] == scope && m["value"].is_number())
      return m["value"].get<double>();
  return {};
}

}  // namespace analyze
