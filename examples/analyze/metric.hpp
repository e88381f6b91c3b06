// One figure of the report: what it is called, what it means, what good looks like.
#pragma once

#include <optional>

#include "bootstrap.hpp"
#include "common.hpp"

namespace analyze {

struct MetricInfo {
  const char *key, *name, *formula, *good;
  int digits;
};

/// Everything the tool can report, in the order of the report.
inline const std::vector<MetricInfo>& metric_table() {
  static const std::vector<MetricInfo> table = {
      {"not_finite", "Rows with NaN or infinity", "count", "0", 0},
      {"zero", "Zero rows", "count", "0", 0},
      {"duplicates", "Duplicated rows", "rows equal, number by number, to an earlier one", "0", 0},
      {"near_duplicates", "Near-duplicated rows",
       "rows with another, not equal row at cosine ≥ 0.999", "0", 0},
      {"constant_columns", "Constant columns", "columns with one value in all usable rows", "0", 0},
      {"norm_mean", "Mean length", "mean |x| before normalising", "depends on the encoder", 3},
      {"norm_spread", "Spread of lengths", "(95 % point − 5 % point) / median of |x|",
       "near 0 where cosine is used", 3},
      {"cone_angle", "Cone angle",
       "arccos |m|, m the mean of the unit rows, in degrees; 90 when nothing is shared", "above 60",
       1},
      {"mean_cosine", "Mean cosine", "mean over i ≠ j of x_i·x_j = (N|m|² − 1)/(N − 1)", "near 0",
       4},
      {"uniformity", "Uniformity", "log mean over i < j of e^(−2|x_i − x_j|²)", "near its floor",
       3},
      {"uniformity_floor", "Floor of uniformity",
       "−2t + log ₀F₁(; d/2; t²), t = 2: points drawn evenly on the sphere", "", 3},
      {"effective_rank", "Effective rank", "exp H(p), p_k = σ_k / Σσ of the centred unit rows",
       "above half of the width", 1},
      {"rank_me", "RankMe", "the same uncentred, p_k + 10⁻⁷", "above half of the width", 1},
      {"full_rank", "Dimensions in use", "centred singular values above 10⁻⁶ of the greatest",
       "the width", 0},
      {"iso_score", "IsoScore", "1: variance even over all dimensions; 0: all in one", "above 0.5",
       3},
      {"hubness", "Hubness", "skewness of how often a row is among the 10 nearest of others",
       "below 1", 2},
      {"top_hub", "Greatest hub",
       "largest share of rows that have one and the same row among their 10 nearest", "below 2 %",
       4},
      {"label_match", "Nearest has the same label",
       "share of rows whose nearest other row has their label", "far above the share by chance", 3},
      {"recall1", "R@1", "share of queries whose own partner ranks first; ties count against",
       "far above 1/N", 4},
      {"recall5", "R@5", "share of queries whose own partner ranks among the first 5",
       "far above 5/N", 4},
      {"recall10", "R@10", "share of queries whose own partner ranks among the first 10",
       "far above 10/N", 4},
      {"median_rank", "Median rank", "median of 1 + #{j ≠ i: s_ij ≥ s_ii}", "1", 1},
      {"mrr", "MRR", "mean of 1 / rank", "near 1", 4},
      {"alignment", "Alignment", "mean |x_i − y_i|² of the pairs",
       "well below 2 − 2 × mean cosine of other pairs", 3},
      {"positive_cosine", "Cosine of own pairs", "mean x_i·y_i", "well above that of other pairs",
       4},
      {"negative_cosine", "Cosine of other pairs", "mean over i ≠ j of x_i·y_j", "near 0", 4},
      {"relative_alignment", "Relative alignment",
       "mean(|x_i − y_i|² − min over k ≠ i of |x_i − y_k|²)", "below 0", 3},
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
      {"neighbour_overlap", "Shared neighbours",
       "share of the 10 nearest rows within one that are among the 10 nearest within the other",
       "near 1", 4},
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
  };
  return table;
}

inline const MetricInfo& info_of(const std::string& key) {
  for (const MetricInfo& info : metric_table())
    if (key == info.key) return info;
  throw std::logic_error("no metric " + key);
}

inline double six_digits(double x) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", x);
  return std::strtod(text, nullptr);
}

/// A figure for the JSON list. `how`: "exact" or "sample of ...".
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
