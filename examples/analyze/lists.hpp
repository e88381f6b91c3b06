// Full lists as tables, for --lists DIR.
//
//   bad_rows.csv           modality, row, what is wrong
//   duplicates.csv         groups of rows equal number by number
//   near_duplicates.csv    groups joined by cosines of 0.999 or more among the nearest rows known
//   neighbours_NAME.csv    of each analysed row its nearest others within the modality
//   ranks_X-Y.csv          the rank of each query's own partner
//   changes_X-Y_K.csv      of --compare: ranks before and in run K, the greatest losses first
#pragma once

#include "extras.hpp"

namespace analyze {

/// Names of files and their texts.
using Tables = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> list_names(const std::vector<std::string>& modalities);
Tables list_tables(const Json& document, const Extras& extras);
Tables change_tables(const Json& comparison);

}  // namespace analyze
