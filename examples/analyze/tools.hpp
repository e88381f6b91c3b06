// The two commands beside the report: a walk along a geodesic, and repairs of a file.
#pragma once

#include "output.hpp"
#include "progress.hpp"
#include "tables.hpp"

namespace analyze {

struct PathRequest {
  std::vector<std::pair<std::string, std::string>> modalities;
  std::string from, to;  ///< "image:3", or "3" of the first modality
  std::string names, json;
  int steps = 9, nearest = 3;
};

/// Points along the great circle between two rows, and the nearest items to each.
Json slerp_path(const PathRequest& request, Progress& progress);

struct FixRequest {
  std::string input, output, kept;
  std::string to, output_to;  ///< of align and csls: the other file; csls writes that one too
  std::string pairs;  ///< of align: lines "row of input, row of the other"; row by row without
  std::vector<std::string> repairs;  ///< drop-bad, drop-duplicates, normalise, centre, whiten,
                                     ///< align, csls
};

/// Applies the repairs in order and writes the result to `files`, not committed; returns what was
/// before and after.
Json fix_file(const FixRequest& request, OutputFiles& files, Progress& progress);

}  // namespace analyze
