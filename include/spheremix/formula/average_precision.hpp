// Mean average precision of retrieval by label.
//
//   AP_i = mean over the relevant rows r of  (relevant rows up to r) / (rows up to r)
//   mAP  = mean AP over the queries that have a relevant row; the others are counted
//
// Rows are ranked by x_i . y_j; relevant: label_y[j] = label_x[i]. Ties count against: of equal
// products the irrelevant come first, so that collapsed rows do not score. Within one batch the
// query itself is left out.
//
// Source   Manning, Raghavan, Schuetze 2008, "Introduction to Information Retrieval", section 8.4.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::metrics {

/// The mean, and the queries that have no answer.
struct AveragePrecisionResult {
  double value = 0;   ///< in [0, 1]
  Index skipped = 0;  ///< queries without a relevant row
};

}  // namespace spheremix::metrics

namespace spheremix::formula {

/// The share of one relevant row: `relevant` rows up to it, itself counted, and `others` before it.
SPHEREMIX_HD inline double precision_at(double relevant, double others) {
  return relevant / (relevant + others);
}

}  // namespace spheremix::formula
