// What classes of rows add: which classes find each other, which are taken for which, and rows
// whose neighbours speak for another class.
//
//   class match   share of queries whose nearest has their class; of nearest that tie, each a part.
//                 By chance: the mean share of their class among the candidates
//   confusion     counts of (class of the query, class of its nearest)
//   label noise   a row is suspect where more than half of its 10 nearest have one other class.
//                 By chance: the same share after a seeded shuffle of the labels
//
// A row without a label asks nothing and counts for no class.
#pragma once

#include "metric.hpp"

namespace analyze {

/// Classes of some rows, the largest first.
struct Classes {
  std::vector<std::string> names;
  std::vector<Index> sizes;
  std::vector<int> of;  ///< row by row; -1 without a label

  Classes(const std::vector<std::string>& labels, const std::vector<Index>& ids);
};

/// Queries of one direction and what they find.
struct ClassQueries {
  std::string scope, how;
  const Classes& asking;
  const Classes& answering;
  const std::vector<std::vector<Index>>& first;  ///< of every row: candidates that tie for nearest
  const std::vector<Index>& ranks;               ///< of every row: its own partner's; empty within
};

inline constexpr std::size_t kShownClasses = 12, kSuspects = 50;

/// class_match (label_match within one batch), R@1 of each class, the confusion of the largest.
Json report_classes(const ClassQueries& q, const char* key, Json& metrics);

/// `neighbours`: k rows of each row, -1 where there are fewer. The metric, and all suspects, the most
/// suspicious first.
Json report_label_noise(const Classes& classes, const std::vector<Index>& ids,
                        const std::vector<Index>& neighbours, Index k, const std::string& scope,
                        const std::string& how, std::uint64_t seed, Json& metrics);

}  // namespace analyze
