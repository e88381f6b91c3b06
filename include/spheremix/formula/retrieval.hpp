// How well each row of X finds its own row of Y among all rows of Y.
//
//   rank_i      = 1 + #{ j != i : x_i . y_j >= x_i . y_i }
//   recall@k    = share of rows with rank <= k
//   mrr         = mean of 1 / rank
//   median_rank = their median, the mean of the middle two for an even number of rows
//
// Ties count against: collapsed rows score nothing.
#pragma once

#include <vector>

#include "spheremix/core/constants.hpp"

namespace spheremix::metrics {

struct RetrievalOptions {
  std::vector<Index> k = {1, 5, 10};  ///< recall at each of these
};

}  // namespace spheremix::metrics
