// What is measured on held-out pairs, and the table of what each figure means.
#pragma once

#include <array>
#include <string_view>

#include "head.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/contrastive_calibration.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/relative_alignment.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace demo {

struct Metric {
  const char *key, *name, *column, *detail;
  int digits;
  const char* meaning;
};

/// Every column of the table; Scores holds the figures in this order.
inline constexpr std::array<Metric, 11> metrics{{
    {"recall1_image_to_text", "R@1 image to text", "R@1", "image → text", 3,
     "share of pictures whose own text has the highest cosine of all held-out texts; ties count "
     "against; higher is better"},
    {"recall1_text_to_image", "R@1 text to image", "R@1", "text → image", 3,
     "share of texts whose own picture has the highest cosine of all held-out pictures; higher is "
     "better"},
    {"recall10_image_to_text", "R@10 image to text", "R@10", "image → text", 3,
     "share of pictures whose own text is among the ten highest cosines; higher is better"},
    {"recall10_text_to_image", "R@10 text to image", "R@10", "text → image", 3,
     "share of texts whose own picture is among the ten highest cosines; higher is better"},
    {"gap", "modality gap", "gap", "", 2,
     "|mean(v) − mean(t)|: distance between the two centres; 0 is no gap"},
    {"alignment", "alignment", "alignment", "", 2,
     "mean |v − t|² over the pairs; 0 when every pair coincides, 2 for unrelated directions; lower "
     "is closer"},
    {"relative_alignment", "relative alignment", "relative", "alignment", 2,
     "mean over pictures of |v − t|² − min |v − t'|² over the other texts t'; below 0 when the own "
     "text is the nearest"},
    {"uniformity_image", "uniformity, images", "uniformity", "images", 2,
     "log mean exp(−2|v − v'|²) over pairs of pictures; lower is more evenly spread (about −4 at "
     "most in many dimensions)"},
    {"uniformity_text", "uniformity, texts", "uniformity", "texts", 2,
     "the same over pairs of texts"},
    {"uniformity_joint", "uniformity, joint", "uniformity", "joint", 2,
     "the same over pictures and texts together"},
    {"ece", "ECE", "ECE", "", 3,
     "expected calibration error of the softmax over the held-out rows at the row's τ: mean of "
     "both directions, ten equal "
     "bins; 0 is calibrated"},
}};

using Scores = std::array<double, metrics.size()>;

constexpr std::size_t metric_index(std::string_view key) {
  for (std::size_t i = 0; i < metrics.size(); ++i)
    if (key == metrics[i].key) return i;
  throw "no such metric";
}

/// All figures for unit rows V (pictures) and T (texts) of the same pairs.
inline Scores measure(const Rows& v, const Rows& t, double temperature) {
  namespace m = spheremix::metrics;
  const auto found = m::retrieval_both(v, t, {.k = {1, 10}});
  const auto calibration = m::contrastive_calibration(v, t, {.temperature = temperature});
  return {found.x_to_y.recall[0],
          found.y_to_x.recall[0],
          found.x_to_y.recall[1],
          found.y_to_x.recall[1],
          m::modality_gap(v, t),
          m::alignment(v, t),
          m::relative_alignment(v, t),
          m::uniformity(v),
          m::uniformity(t),
          m::joint_uniformity(v, t),
          (calibration.x_to_y + calibration.y_to_x) / 2};
}

struct Curve {
  const char *key, *name, *better;
  int digits;
};

/// The figures followed over epochs; Glance holds them in this order.
inline constexpr std::array<Curve, 4> curves{
    {{"recall1", "R@1, mean of both directions", "higher is better", 3},
     {"gap", "Modality gap", "0 is none", 2},
     {"alignment", "Alignment", "lower is closer", 2},
     {"uniformity_joint", "Uniformity, joint", "lower is more even", 2}}};

using Glance = std::array<double, curves.size()>;

inline Glance glance(const Rows& v, const Rows& t) {
  namespace m = spheremix::metrics;
  const auto found = m::retrieval_both(v, t, {.k = {1}});
  return {(found.x_to_y.recall[0] + found.y_to_x.recall[0]) / 2, m::modality_gap(v, t),
          m::alignment(v, t), m::joint_uniformity(v, t)};
}

}  // namespace demo
