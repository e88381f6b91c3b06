// From sentences about single figures to findings: the same fact told once, in the order of what it
// means for whoever wants to use the embeddings.
#pragma once

#include "common.hpp"

namespace analyze {

inline constexpr std::size_t kFirstFindings = 7;  ///< shown before "more"
/// Shown on a terminal whatever they are.
inline constexpr const char* kFirstFigures[] = {
    "uniformity", "effective_rank", "hubness", "recall1", "ndcg10", "alignment", "gap"};

/// document["findings"] from document["readings"]: what is a fault or something to look at, merged by
/// kind, faults first, then by consequence. A finding has `level`, `text`, `keys` and, where it merges
/// several sentences, these as `parts`.
void gather_findings(Json& document);

/// The findings on a terminal: the first ones, the first figures, and how much more there is.
std::string spoken(const Json& document);

}  // namespace analyze
