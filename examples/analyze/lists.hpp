// Full lists as tables, for --lists DIR.
//
//   bad_rows.csv           modality, row, what is wrong
//   duplicates.csv         groups of rows equal number by number
//   near_duplicates.csv    groups joined by cosines of 0.999 or more, copies among them
//   neighbours_NAME.csv    of each analysed row its nearest others within the modality
//   outliers_NAME.csv      all analysed rows, those farthest from their 10 nearest first
//   representative_NAME.csv  rows of the densest places, none among the nearest of one before it
//   suspects_NAME.csv      with labels: rows whose neighbours have another one, most suspicious first
//   ranks_X-Y.csv          the rank of each query's own partner
//   changes_X-Y_K.csv      of --compare: ranks before and in run K, the greatest losses first
#pragma once

#include "extras.hpp"

namespace analyze {

/// Names of files and their texts.
using Tables = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> list_names(const std::vector<std::string>& modalities);
Tables list_tables(const Json& document, const Extras& extras);
std::vector<std::string> change_names(const std::vector<Json>& runs);
Tables change_tables(const Json& comparison);

}  // namespace analyze
