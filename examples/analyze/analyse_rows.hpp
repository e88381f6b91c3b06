// The same analysis of rows that are in memory: what bindings call.
//
//   std::vector<Source> sources;
//   sources.emplace_back("image", Eigen::Ref<const RowMatrix<float>>(x));
//   const Json document = analyse_rows({}, std::move(sources), progress).document;
#pragma once

#include "analysis.hpp"

namespace analyze {

/// Request::modalities is not looked at; the sources stand in its place.
Analysis analyse_rows(const Request& request, std::vector<Source> sources, Progress& progress);

}  // namespace analyze
