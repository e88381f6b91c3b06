// The sentences under the table: what the figures say, computed from them, and no more.
//
// Two losses are compared split by split (same split, same first weights, same batches); a
// difference counts when its mean is more than two standard errors from 0.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "results.hpp"

namespace demo {

/// A number as the table writes it: ".069", "-3.81".
inline std::string figure(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  std::string s = text;
  const bool negative = s[0] == '-';
  if (negative) s.erase(0, 1);
  if (s.find_first_not_of("0.") == std::string::npos) return s.substr(1);  // no sign on zero
  if (s.size() > 1 && s[0] == '0') s.erase(0, 1);
  return (negative ? "-" : "") + s;
}

inline std::string figure(Estimate e, int digits) {
  return figure(e.mean, digits) + " ± " + figure(e.standard_error, digits);
}

/// R@1, mean of both directions, one a split.
inline std::vector<double> recall1(const Row& row) {
  std::vector<double> all;
  for (const Scores& s : row.scores)
    all.push_back(
        (s[metric_index("recall1_image_to_text")] + s[metric_index("recall1_text_to_image")]) / 2);
  return all;
}

/// a - b, split by split.
inline Estimate difference(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return estimate(a);
}

/// -1, 0 or 1: below, within or above two standard errors of 0.
inline int direction(Estimate e) {
  return e.mean > 2 * e.standard_error ? 1 : e.mean < -2 * e.standard_error ? -1 : 0;
}

/// "+.021 ± .004 (more)" for a difference in recall.
inline std::string judged(Estimate e) {
  const std::string sign = e.mean < 0 ? "−" : "+";
  const int d = direction(e);
  return sign + figure({std::abs(e.mean), e.standard_error}, 3) +
         (d > 0   ? " (more)"
          : d < 0 ? " (less)"
                  : " (not told apart)");
}

/// One sentence on the shape of the embeddings at tau.
inline std::string shape_sentence(const Results& results, double tau) {
  const auto all = [&](const char* key, bool with_before) {
    std::string list;
    for (const LossName& l : losses) {
      if (l.loss == Loss::before && !with_before) continue;
      const double mean = estimate(results.row(l.loss, tau).values(metric_index(key))).mean;
      const std::string name = l.loss == Loss::before    ? "before"
                               : l.loss == Loss::control ? "the control"
                                                         : l.name;
      list += (list.empty() ? "" : ", ") + std::string(mean < 0 ? "−" : "") +
              figure(std::abs(mean), 2) + " " + name;
    }
    return list;
  };
  return "Gap " + all("gap", true) + ". Alignment " + all("alignment", false) +
         ". Joint uniformity " + all("uniformity_joint", false) + ".";
}

/// One on recall: each loss against CLIP, and mixing against the control.
inline std::string recall_sentence(const Results& results, double tau) {
  const auto of = [&](Loss loss) { return recall1(results.row(loss, tau)); };
  const auto clip = of(Loss::clip), m2 = of(Loss::m2), control = of(Loss::control);
  const Estimate gain = difference(m2, clip), beyond = difference(m2, control);
  std::string text = "R@1, mean of both directions: " + figure(estimate(clip), 3) +
                     " CLIP. Against it, split by split: m2-Mix " + judged(gain) + ", m3-Mix " +
                     judged(difference(of(Loss::m3), clip)) + ", control " +
                     judged(difference(control, clip)) +
                     ". m2-Mix against the control: " + judged(beyond) + ", so ";
  if (direction(beyond) > 0) return text + "the control does not reach what mixing gives.";
  if (direction(beyond) < 0)
    return text + "two temperatures without mixing recall more than mixing does.";
  if (direction(gain) > 0)
    return text + "two temperatures without mixing match the gain in recall.";
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
