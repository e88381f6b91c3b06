// Two dimensions for the eye: UMAP over exact neighbours, and PCA beside it.
//
//   neighbours   the 15 nearest of every row among the rows of all modalities of one width, by cosine, exact
//   UMAP         of that graph, by umappp where the program was built with it     [McInnes et al. 2018]
//   PCA          the two leading directions of the centred unit rows
//
// A picture: near rows lie near, distances between groups and sizes of groups mean nothing.
#pragma once

#include "extras.hpp"
#include "progress.hpp"

namespace analyze {

inline constexpr Index kMapRows = 100000;  ///< points of all modalities together; a sample beyond

/// document["map"] from the rows that `extras` holds.
void add_map(Json& document, const Extras& extras, std::uint64_t seed, Progress& progress);

bool built_with_umap();

}  // namespace analyze
