// The sentences under the table: what the figures say, computed from them, and no more.
//
// Two losses are compared split by split (same split, same first weights, same batches); a difference counts
// when its mean is more than two standard errors from 0.
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
    all.push_back((s[metric_index("recall1_image_to_text")] + s[metric_index("recall1_text_to_image")]) / 2);
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

/// "+.021 ± .004, more" for a difference in recall.
inline std::string judged(Estimate e, const char* more, const char* less, const char* neither) {
  const int d = direction(e);
  return (e.mean >= 0 ? "+" : "") + figure(e, 3) + (d > 0 ? more : d < 0 ? less : neither);
}

inline std::vector<std::string> findings(const Results& results) {
  constexpr auto gap = metric_index("gap"), alignment = metric_index("alignment"), ece = metric_index("ece");
  std::vector<std::string> sentences;
  for (const double tau : results.plan.temperatures) {
    const auto of = [&](Loss loss) -> const Row& { return results.row(loss, tau); };
    const auto mean = [&](Loss loss, std::size_t metric) { return figure(estimate(of(loss).values(metric)).mean, 2); };
    const std::string at = "At τ = " + figure(tau, 2) + " ";
    sentences.push_back(at + "the gap goes from " + mean(Loss::before, gap) + " before training to " + mean(Loss::clip, gap) +
                        " with CLIP, " + mean(Loss::m2, gap) + " with m2-Mix, " + mean(Loss::m3, gap) +
                        " with m3-Mix and " + mean(Loss::control, gap) + " with the control, which mixes nothing; alignment from " +
                        mean(Loss::before, alignment) + " to " + mean(Loss::clip, alignment) + ", " +
                        mean(Loss::m2, alignment) + ", " + mean(Loss::m3, alignment) + " and " +
                        mean(Loss::control, alignment) + ".");
    const auto clip = recall1(of(Loss::clip)), m2 = recall1(of(Loss::m2)), m3 = recall1(of(Loss::m3)),
               control = recall1(of(Loss::control));
    const char *more = " (more)", *less = " (less)", *neither = " (within two standard errors of none)";
    sentences.push_back(at + "R@1 (mean of both directions) is " + figure(estimate(clip), 3) + " with CLIP. Against it, on the same splits: m2-Mix " +
                        judged(difference(m2, clip), more, less, neither) + ", m3-Mix " +
                        judged(difference(m3, clip), more, less, neither) + ", control " +
                        judged(difference(control, clip), more, less, neither) + ".");
    const Estimate against = difference(m2, control);
    const int gain = direction(difference(m2, clip)), beyond = direction(against);
    std::string verdict = at + "m2-Mix minus the control is " + judged(against, "", "", "") + " in R@1: ";
    if (beyond > 0)
      verdict += "the control does not reach what mixing gives.";
    else if (beyond < 0)
      verdict += "the control, with two temperatures and no mixing, recalls more than mixing.";
    else if (gain > 0)
      verdict += "the control, with two temperatures and no mixing, matches the gain in recall.";
    else
      verdict += "no difference that these splits can tell.";
    sentences.push_back(verdict);
  }
  const double first = results.plan.temperatures.front();
  const auto error = [&](Loss loss) { return figure(estimate(results.row(loss, first).values(ece)), 2); };
  sentences.push_back("Calibration at τ = " + figure(first, 2) + ": ECE " + error(Loss::clip) + " with CLIP, " + error(Loss::m2) +
                      " with m2-Mix, " + error(Loss::control) + " with the control.");
  return sentences;
}

}  // namespace demo
