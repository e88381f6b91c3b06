// The sentences under the table: what the figures say, computed from them, and no more.
//
// Two losses are compared split by split (same split, same first weights, same batches); a
// difference counts when its mean is more than two standard errors from 0.
#pragma once

#include <string>
#include <vector>

#include "results.hpp"

namespace demo {

/// R@1, mean of both directions, one a split.
inline std::vector<double> recall1(const Row& row) {
  std::vector<double> all;
  for (const Scores& s : row.scores)
    all.push_back(
        (s[metric_index("recall1_image_to_text")] + s[metric_index("recall1_text_to_image")]) / 2);
  return all;
}

inline std::string short_name(Loss loss) {
  switch (loss) {
    case Loss::clip:
      return "CLIP";
    case Loss::m2:
      return "m2-Mix";
    case Loss::m3:
      return "m3-Mix";
    default:
      return "the control";
  }
}

/// On the shape of the embeddings at tau: the gap, and what the closest pairs cost in uniformity.
inline std::string shape_sentence(const Results& results, double tau) {
  const auto mean = [&](Loss loss, const char* key) {
    return estimate(results.row(loss, tau).values(metric_index(key))).mean;
  };
  const auto shown = [&](Loss loss, const char* key) {
    const double value = mean(loss, key);
    return (value < 0 ? "−" : "") + figure(std::abs(value), 2);
  };
  std::string text = "The gap goes from " + shown(Loss::before, "gap") + " to " +
                     shown(Loss::clip, "gap") + " with CLIP, " + shown(Loss::m2, "gap") +
                     " with m2-Mix, " + shown(Loss::m3, "gap") + " with m3-Mix and " +
                     shown(Loss::control, "gap") + " with the control. ";
  Loss closest = Loss::clip;
  for (const Loss loss : {Loss::m2, Loss::m3, Loss::control})
    if (mean(loss, "alignment") < mean(closest, "alignment")) closest = loss;
  text += "Pairs lie closest with " + short_name(closest) + ", alignment " +
          shown(closest, "alignment") + " at a joint uniformity of " +
          shown(closest, "uniformity_joint");
  if (closest != Loss::clip)
    text += "; with CLIP it is " + shown(Loss::clip, "alignment") + " at " +
            shown(Loss::clip, "uniformity_joint");
  return text + ".";
}

/// On recall at tau: each loss against CLIP, and mixing against the control.
inline std::string recall_sentence(const Results& results, double tau) {
  const auto of = [&](Loss loss) { return recall1(results.row(loss, tau)); };
  const auto clip = of(Loss::clip), m2 = of(Loss::m2), control = of(Loss::control);
  const Estimate gain = difference(m2, clip), beyond = difference(m2, control);
  std::string text = "R@1, mean of both directions, is " + figure(estimate(clip), 3) +
                     " with CLIP; split by split m2-Mix changes it by " + signed_figure(gain) +
                     ", m3-Mix by " + signed_figure(difference(of(Loss::m3), clip)) +
                     ", the control by " + signed_figure(difference(control, clip)) +
                     ". m2-Mix less the control is " + signed_figure(beyond) + ": ";
  if (direction(beyond) > 0) return text + "the control does not reach what mixing gives.";
  if (direction(beyond) < 0) return text + "two temperatures without mixing recall more.";
  if (direction(gain) > 0) return text + "two temperatures without mixing match the gain.";
  return text + "these splits tell no difference.";
}

struct Finding {
  double temperature;
  std::string shape, recall;
};

inline std::vector<Finding> findings(const Results& results) {
  std::vector<Finding> all;
  for (const double tau : results.plan.temperatures)
    all.push_back({tau, shape_sentence(results, tau), recall_sentence(results, tau)});
  return all;
}

}  // namespace demo
